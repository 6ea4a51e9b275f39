"""python -m tests.sketch_node HOME ADDRESS: get the key of a week as the daemon does before it computes a union."""

from __future__ import annotations

import hashlib
import logging
import sys
import threading
from pathlib import Path

from node.config import Home
from node.enrolment import keeper_of, load
from node.period_keys import PeriodKeys
from node.pinned_keys import key_of
from node.renewal import renewed_channel
from node.uplink import Uplink
from quorate.contract.order import terms_of
from tests.support_sketch import UNION, WEEK


def main(root: Path, address: str) -> None:
    """Print the SHA-256 of the key."""
    home = Home(root)
    own = load(home)
    terms = terms_of(own.charter, own.zoning, UNION, WEEK, 0)
    with renewed_channel(home, address, logging.getLogger("quorate.node")) as channel:
        uplink = Uplink(channel, address, threading.Event(), logging.getLogger("quorate.node").warning)
        PeriodKeys(home, own, uplink, keeper_of(home, own.config).key).ensure(terms)
    sys.stdout.write(hashlib.sha256(key_of(home, terms)).hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
