"""How many worlds a property is tried on: a third of them in `make test`, all of them in `make test-full`."""

from __future__ import annotations

from hypothesis import settings

THOROUGH = "thorough"
settings.register_profile(THOROUGH)


def tried(most: int) -> int:
    """Return how many examples of `most` are tried in this run; worlds are the first ones of the same sequence."""
    return most if settings.get_current_profile_name() == THOROUGH else -(-most // 3)
