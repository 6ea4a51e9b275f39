"""A zoning: the versioned partition of a country into zones, with their parents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from privacy.terms import Name
from quorate.contract.canonical import Document

#: Name of the finest level; parents are called as the zoning calls them.
ZONE = "zone"
#: Name of the one level of what has a single row for the whole country; a zoning need not have it.
NATION = "nation"
_E6 = 1_000_000


Latitude = Annotated[int, Field(strict=True, ge=-90_000_000, le=90_000_000)]
Longitude = Annotated[int, Field(strict=True, ge=-180_000_000, le=180_000_000)]
Code = Annotated[str, Field(pattern=r"^[^\s,;\"]{1,32}$")]


class Zone(Document):
    """A zone and its parents by level; a level that it lacks (Brussels has no province) is not named.

    `centre_e6` is latitude and longitude of its middle in millionths of a degree, for distances; None if the zoning
    has no use for them.
    """

    code: Code
    parents: Mapping[Name, Code]
    centre_e6: tuple[Latitude, Longitude] | None = None


class Zoning(Document):
    """The zones of a country, by code ascending; a zone's position is its index everywhere in Quorate."""

    name: str = Field(min_length=1, max_length=100)
    version: str = Field(min_length=1, max_length=32)
    levels: tuple[Name, ...] = Field(min_length=1)
    zones: tuple[Zone, ...] = Field(min_length=1, max_length=2**22 - 1)

    @model_validator(mode="after")
    def _consistent(self) -> Zoning:
        codes = [zone.code for zone in self.zones]
        if codes != sorted(set(codes)):
            raise ValueError("zones are not unique codes in ascending order")
        if len(set(self.levels)) != len(self.levels):
            raise ValueError("a level is named twice")
        if len({zone.centre_e6 is None for zone in self.zones}) > 1:
            raise ValueError("some zones have a centre and others have none")
        if self.levels[0] != ZONE:
            raise ValueError(f"the finest level is not called {ZONE}")
        taken: dict[str, str] = dict.fromkeys(codes, ZONE)
        for zone in self.zones:
            for level, code in zone.parents.items():
                if level not in self.levels[1:]:
                    raise ValueError(f"zone {zone.code} names the unknown level {level}")
                if taken.setdefault(code, level) != level:
                    raise ValueError(f"code {code} is used at two levels")
        return self

    @cached_property
    def kept_digest(self) -> str:
        """SHA-256 of the canonical bytes, in hexadecimal; of many zones it takes seconds, so it is kept."""
        return super().digest()

    def digest(self) -> str:
        """Return SHA-256 of the canonical bytes, in hexadecimal."""
        return self.kept_digest

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, which does not keep the digest of what it was made of."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("kept_digest", None)
        return copied

    @property
    def codes(self) -> list[str]:
        """Codes of the zones, by index."""
        return [zone.code for zone in self.zones]

    def members(self, level: str) -> dict[str, list[int]]:
        """Return the zone indices of every area of a level, by area code ascending."""
        if level == ZONE:
            return {zone.code: [index] for index, zone in enumerate(self.zones)}
        areas: dict[str, list[int]] = {}
        for index, zone in enumerate(self.zones):
            if level in zone.parents:
                areas.setdefault(zone.parents[level], []).append(index)
        return dict(sorted(areas.items()))

    def positions(self) -> list[tuple[int, int]] | None:
        """Return x and y of every zone in whole metres on a plane that touches the earth in the middle of them.

        None if the zones have no centres. An equirectangular projection: a degree of latitude is 110,540 m, one of
        longitude 111,320 m times the cosine of the middle latitude.
        """
        centres = [zone.centre_e6 for zone in self.zones if zone.centre_e6 is not None]
        if not centres:
            return None
        latitudes, longitudes = zip(*centres, strict=True)
        middle = round((min(latitudes) + max(latitudes)) / 2), round((min(longitudes) + max(longitudes)) / 2)
        width = 111_320 * math.cos(math.radians(middle[0] / _E6))
        return [
            (round((longitude - middle[1]) / _E6 * width), round((latitude - middle[0]) / _E6 * 110_540))
            for latitude, longitude in centres
        ]
