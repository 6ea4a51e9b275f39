r"""Zones that change between two dates: the register and the counts of an old zoning brought to a new one.

A public correspondence says which part a_oz of an old zone o went to each new zone z: 1 where it went there whole
(zones that merge add up), declared parts that sum to 1 where it was split. With these,

    N₀z = Σ a_oz·N₀o,    Y₀z = Σ a_oz·Y₀o,    V₀z = Σ a_oz²·V₀o.

A part is known with a standard deviation s_oz only, so the logarithm of N₀z has the variance Σ s²N₀o²/N₀z². It is
no error of growth: the same part is in N₀ and in Y₀. So it is one more spread beside the covariates, of that zone
alone (`register_variance` of `hub.estimation.residents`), and the more the counts weigh, the less the declared
part matters:

    log(N₁z/N₀z) = x_z'β + u_z − (error of the part).

Growth has another error there. Phones by person differ between the parts of an old zone, whose counts give their
mean only. With the spread τ_c of coverage between old zones (`hub.estimation.unregistered`), each the mean of
independent parts, parts spread by τ_c²/Σ_j a_oj², and the logarithm of Y₀z is off by

    τ_c²·Σ_o (a_oz·N₀o/N₀z)²·[(1 − a_oz)² + Σ_{j≠z} a_oj²]/Σ_j a_oj²,

which is nothing where zones merely merged (`growth_variance`).

A new zone on which no old one lay has no
register: N₀ = Y₀ = V₀ = 0. It is estimated by the coverage of others and flagged G. Parts of one zone are treated
as independent though what one lacks the other has, so that the interval of the national sum is a little too wide.
An old zone of which a part goes nowhere is an error: people would be lost.

Declared parts are areal weighting (Goodchild and Lam 1980, "Areal interpolation: a variant of the traditional spatial
problem", Geo-Processing 1); their errors are derived here, by the delta method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.estimation.period import Period
from hub.estimation.unregistered import usual_coverage
from privacy.errors import UsageProblem

Values = NDArray[np.float64]
#: Parts sum to one within this.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Went:
    """Where a part of an old zone went.

    Attributes
    ----------
    old, new
        Codes of zones.
    part
        Of the old zone's residents, from 0 to 1.
    sd
        Standard deviation of that; zero if the zone went whole, or the part was counted.
    """

    old: str
    new: str
    part: float = 1.0
    sd: float = 0.0


@dataclass(frozen=True)
class Correspondence:
    """From an old zoning to a new one.

    Attributes
    ----------
    old, new
        Codes of zones.
    part, sd
        Of shape (old zones, new zones).
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    part: Values
    sd: Values

    @property
    def founded(self) -> NDArray[np.bool_]:
        """New zones on which no old one lay, bool of shape (new zones,)."""
        return np.asarray(self.part.sum(axis=0) <= 0)


def correspondence(old: Sequence[str], new: Sequence[str], went: Sequence[Went]) -> Correspondence:
    """Return a correspondence from its rows; an old zone without a row is one that did not change.

    Parameters
    ----------
    old, new
        Codes of both zonings.
    went
        Rows of the zones that changed.

    Raises
    ------
    UsageProblem
        If a row names a zone that there is not or is there twice, or the parts of an old zone do not sum to one.
    """
    rows, columns = {code: i for i, code in enumerate(old)}, {code: i for i, code in enumerate(new)}
    part, sd = np.zeros((len(old), len(new))), np.zeros((len(old), len(new)))
    changed = {row.old for row in went}
    for row in [*went, *(Went(code, code) for code in old if code not in changed)]:
        if row.old not in rows or row.new not in columns:
            raise _wrong(f"zone {row.old} is said to be in {row.new}, and one of them is in no zoning")
        if part[rows[row.old], columns[row.new]]:
            raise _wrong(f"zone {row.old} is said twice to be in {row.new}")
        if not (0 < row.part <= 1 and row.sd >= 0):
            raise _wrong(f"{row.part:g} ± {row.sd:g} is no part of zone {row.old}")
        part[rows[row.old], columns[row.new]], sd[rows[row.old], columns[row.new]] = row.part, row.sd
    summed = part.sum(axis=1)
    for i in np.flatnonzero(np.abs(summed - 1) > _ROUNDING):
        raise _wrong(f"the parts of zone {old[int(i)]} sum to {summed[i]:g}, not to 1")
    return Correspondence(tuple(old), tuple(new), part, sd)


def _wrong(what: str) -> UsageProblem:
    return UsageProblem(
        what,
        means="the register cannot be brought to the new zones without losing or doubling people",
        todo="correct the table of zones that changed: every old zone that is not in the new zoning under its own "
        "code has rows, whose parts sum to 1",
    )


@dataclass(frozen=True)
class Brought:
    """Register and counts of the old date by new zones, for `hub.estimation.residents`.

    Attributes
    ----------
    register, register_variance
        Persons, and the variance of their logarithm by uncertain parts, float64 of shape (new zones,).
    before
        Counts.
    growth_variance
        Variance of the growth of counts where an old zone's coverage stands for that of its parts, of shape (new
        zones,).
    """

    register: Values
    register_variance: Values
    before: Period
    growth_variance: Values


def brought(register: Values, before: Period, now: Period, link: Correspondence) -> Brought:
    """Bring a register, and the counts of its date, to new zones.

    Parameters
    ----------
    register
        Persons, float64 of shape (old zones,).
    before
        Counts of the old zones.
    now
        Of the new zones; only which operators answered is looked at.
    link
        Correspondence.
    """
    persons = register @ link.part
    some = np.where(persons > 0, persons, np.inf)
    counted, noise = before.of(before.present & now.present)
    _coverage, spread = usual_coverage(register, counted, noise)
    squares = (link.part**2).sum(axis=1, keepdims=True)
    mixed = ((1 - link.part) ** 2 + squares - link.part**2) / squares
    weights = link.part * register[:, None] / some
    return Brought(
        register=np.asarray(persons),
        register_variance=np.asarray(register**2 @ link.sd**2 / some**2),
        before=brought_period(before, link),
        growth_variance=np.asarray(spread * (weights**2 * mixed).sum(axis=0)),
    )


def brought_period(period: Period, link: Correspondence) -> Period:
    """Bring the counts of a date to new zones; those of a missing operator stay what nobody looks at.

    Parameters
    ----------
    period
        Counts of the old zones.
    link
        Correspondence.
    """
    counts = np.where(period.present[:, None], period.counts, 0.0)
    return Period(counts @ link.part, period.noise @ link.part**2, period.present)
