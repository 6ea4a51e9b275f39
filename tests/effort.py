"""How much is tried in `make test`, and how much more in `make test-full`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import settings

THOROUGH = "thorough"
settings.register_profile(THOROUGH)


def tried(most: int) -> int:
    """Return how many examples of `most` are tried in this run; worlds are the first ones of the same sequence."""
    return most if _thorough() else -(-most // 3)


def stride() -> int:
    """Return how far apart the steps are at which a crash is tried; in `make test-full` it is every one."""
    return 1 if _thorough() else 2


def _thorough() -> bool:
    return settings.get_current_profile_name() == THOROUGH


def by_turns(every: int, *axes: Sequence[Any]) -> list[Any]:
    """Return the parameters of all combinations; those off every so-many-th diagonal are `make test-full`'s.

    Every value of an axis is tried in `make test`, with others by turns.
    """
    return [
        pytest.param(
            *(axis[place] for axis, place in zip(axes, places, strict=True)),
            marks=[] if sum(places) % every == 0 else [pytest.mark.full],
        )
        for places in product(*(range(len(axis)) for axis in axes))
    ]
