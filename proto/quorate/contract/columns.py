"""The columns of a release's cells: hours of a day, public bins, countries, areas, bins of a sketch, or a single one.

And its special rows: where a statistic counts who has no zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from privacy.errors import UsageProblem
from privacy.statistics import (
    ACTIVITY,
    ANCHORS_BY_DAY,
    COMMUTING,
    FLOWS,
    GYRATION,
    PRESENCE_BY_DAY,
    PRESENCE_BY_HOUR,
    QUALITY_INDICATORS,
    RESIDENTS,
    STAY_DURATIONS,
    TRAVELLED_DISTANCES,
    UNION_SKETCH,
    VISITORS,
    WEIGHTED_PRESENCE,
)
from privacy.terms import Name
from quorate.contract.canonical import first_problem
from quorate.contract.zoning import Zoning

#: What the columns of a level are. `area` is the areas of the same level once more, the special ones among them;
#: those of a `sketch` are so many that only their number is said.
By = Literal["total", "hour", "bin", "country", "area", "sketch", "indicator"]
#: Most cells of a release: a vector of them is 512 MiB.
MOST_CELLS = 2**26
#: The column of a statistic that has no others, and that of all countries that are not named.
TOTAL, OTHER = "total", "other"
#: The columns of quality indicators, all of them counts of subscribers.
INDICATORS = ("subscribers", "rejected", "many-zones", "many-flows")


@dataclass(frozen=True)
class Layout:
    """How the cells of a statistic are laid out.

    Attributes
    ----------
    special
        Name of the row after the last area of each level; empty if there is none.
    by
        What its columns are.
    additive
        Whether a larger area is the sum of its zones, because a subscriber fills one zone at a time. Where it is
        not, every level is counted by itself.
    """

    special: str
    by: By
    additive: bool = True


_UNANCHORED_BIN = Layout("unanchored", "bin")
#: Every statistic that a node can run.
LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        PRESENCE_BY_HOUR: Layout("unobserved", "hour"),
        PRESENCE_BY_DAY: Layout("elsewhere", "total", additive=False),
        ANCHORS_BY_DAY: Layout("unanchored", "total"),
        WEIGHTED_PRESENCE: Layout("unobserved", "hour"),
        RESIDENTS: Layout("unanchored", "total"),
        COMMUTING: Layout("unanchored", "area"),
        FLOWS: Layout("elsewhere", "area", additive=False),
        VISITORS: Layout("unanchored", "country"),
        STAY_DURATIONS: _UNANCHORED_BIN,
        TRAVELLED_DISTANCES: _UNANCHORED_BIN,
        GYRATION: _UNANCHORED_BIN,
        ACTIVITY: _UNANCHORED_BIN,
        UNION_SKETCH: Layout("", "sketch", additive=False),
        QUALITY_INDICATORS: Layout("", "indicator", additive=False),
    }
)


def _ascending(edges: tuple[int, ...]) -> tuple[int, ...]:
    if edges[0] != 0 or list(edges) != sorted(set(edges)):
        raise ValueError("edges begin with 0 and ascend")
    return edges


def _distinct(countries: Mapping[str, tuple[int, ...]]) -> Mapping[str, tuple[int, ...]]:
    codes = [code for found in countries.values() for code in found]
    if len(set(codes)) != len(codes):
        raise ValueError("a mobile country code is named twice")
    return dict(sorted(countries.items()))


#: Lower edges of public bins; the last bin has no upper edge.
Edges = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=0, le=10**8)], ...],
    Field(min_length=1, max_length=64),
    AfterValidator(_ascending),
]
#: ISO 3166 code of a country → its mobile country codes (ITU-T E.212).
Countries = Annotated[
    Mapping[
        Annotated[str, Field(pattern=r"^[A-Z]{2}$")],
        Annotated[tuple[Annotated[int, Field(strict=True, ge=200, le=799)], ...], Field(min_length=1)],
    ],
    Field(min_length=1, max_length=250),
    AfterValidator(_distinct),
]


class _Lenient(BaseModel):
    """The parameters of a product that decide its columns; the others are ignored here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Bins(_Lenient):
    edges: Edges

    def labels(self) -> tuple[str, ...]:
        inner = [f"{low}-{high - 1}" for low, high in zip(self.edges, self.edges[1:], strict=False)]
        return (*inner, f"{self.edges[-1]}+")


class _Origins(_Lenient):
    countries: Countries

    def labels(self) -> tuple[str, ...]:
        return (*self.countries, OTHER)


class _Sketch(_Lenient):
    """Bins of a sketch; `by_zone` and `limit` together are looked at where they bound it (`privacy.sensitivity`)."""

    bins: Annotated[int, Field(strict=True, ge=2, le=MOST_CELLS)]
    by_zone: Annotated[bool, Field(strict=True)]


class _Silent(_Lenient):
    """The level by whose areas those without a zone are told apart; None if they are not."""

    silent_level: Name | None = None


def labels_of(statistic: str, parameters: Mapping[str, JsonValue], hours: int) -> tuple[str, ...]:
    """Return the names of a statistic's columns in their order; none where they are areas, or bins of a sketch.

    Parameters
    ----------
    statistic
        One of `LAYOUTS`.
    parameters
        Of the product.
    hours
        Elapsed hours of the day; only statistics by hour look at them.

    Raises
    ------
    UsageProblem
        If a parameter that decides the columns is missing or malformed.
    """
    by = LAYOUTS[statistic].by
    if by == "area" or sketch_bins(statistic, parameters):
        return ()
    if by == "total":
        return (TOTAL,)
    if by == "indicator":
        return INDICATORS
    if by == "hour":
        return tuple(str(hour) for hour in range(hours))
    if by == "bin":
        return _asked(statistic, parameters, _Bins).labels()
    return _asked(statistic, parameters, _Origins).labels()


def sketch_bins(statistic: str, parameters: Mapping[str, JsonValue]) -> int:
    """Return the number of bins of a sketch, which are columns without names; 0 of other statistics.

    Raises
    ------
    UsageProblem
        If a parameter that decides them is missing or malformed.
    """
    return _asked(statistic, parameters, _Sketch).bins if LAYOUTS[statistic].by == "sketch" else 0


def is_national(statistic: str, parameters: Mapping[str, JsonValue]) -> bool:
    """Whether a statistic has one row for the whole country, whatever the zoning; raises as `sketch_bins`."""
    by = LAYOUTS[statistic].by
    return by == "indicator" or (by == "sketch" and not _asked(statistic, parameters, _Sketch).by_zone)


def silent_level_of(statistic: str, parameters: Mapping[str, JsonValue]) -> str | None:
    """Return the level by whose areas a statistic tells those without a zone apart, None if it does not.

    Raises
    ------
    UsageProblem
        If it is malformed.
    """
    if statistic != WEIGHTED_PRESENCE:
        return None
    return _asked(statistic, parameters, _Silent).silent_level


def specials_of(statistic: str, parameters: Mapping[str, JsonValue], zoning: Zoning) -> tuple[str, ...]:
    """Return the names of the special rows, which follow the areas of each level.

    Most statistics have one. Where those without a zone are told apart by anchor area, each area of that level has
    one, by code ascending, and the last is for all others. A sketch and quality indicators have none.

    Raises
    ------
    UsageProblem
        If a parameter is malformed.
    """
    special, level = LAYOUTS[statistic].special, silent_level_of(statistic, parameters)
    if not special:
        return ()
    apart = zoning.members(level) if level else ()
    return (*(f"{special}:{code}" for code in apart), special)


_Asked = TypeVar("_Asked", bound=_Lenient)


def _asked(statistic: str, parameters: Mapping[str, JsonValue], model: type[_Asked]) -> _Asked:
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        raise UsageProblem(
            f"the cells of {statistic} are not known: {first_problem(error)}",
            todo=f"give the product the parameter {next(iter(model.model_fields))}; see docs/statistics.md",
        ) from error
