"""The key of a sketch's period, which the operators' nodes share and the hub does not know."""

from __future__ import annotations

from node.config import Home
from node.private import read_secret
from privacy.errors import DataUnavailable
from privacy.sketch import KEY_BYTES
from privacy.terms import Terms

DIRECTORY = "period-keys"


def key_of(home: Home, terms: Terms) -> bytes:
    """Return the key of a product and period, 32 bytes.

    Raises
    ------
    DataUnavailable
        If the node does not have it, or the file is no key.
    UsageProblem
        If others may read it.
    """
    path = home.root / DIRECTORY / f"{terms.product}-{terms.first_day}-{terms.last_day}.key"
    if not path.is_file():
        raise DataUnavailable(
            f"the node has no key of {terms.product} from {terms.first_day} to {terms.last_day}",
            means="without it no bin of a person is known; nothing was computed, charged or sent",
            todo="wait until the key has come from the operator who makes it",
        )
    key = read_secret(path, "whoever reads it can tell the bins of persons")
    if len(key) != KEY_BYTES:
        raise DataUnavailable(f"the period key of {terms.product} does not have {KEY_BYTES} bytes")
    return key
