"""A node daemon with a fault put in by name, for tests: python -m tests.faults.faulty_node FAULT HOME HUB."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from node import uplink
from node.config import Home
from node.daemon import Daemon
from node.enrolment import load
from privacy.ledger import Entry, Recorded
from privacy.ledger.anchor import Position
from quorate.contract.payload import encode
from quorate.contract.shell import daemon
from quorate.v1 import federation_pb2 as pb
from tests.exact import exact_of


def kill_at(point: str) -> None:
    """Run the daemon and die without warning when it reaches a point."""

    def seam(reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    Daemon(home, hub, 30.0, seam=seam).run()


def leak_subscriber() -> None:
    """Run a daemon that tells the hub one of its subscribers, hidden in its version."""
    day = load(home).config.source.first_day
    subscriber = pq.read_table(home.presence / f"{day}.parquet").column("subscriber")[0].as_py()
    honest = uplink.Uplink.hello

    def hello(
        self: uplink.Uplink, version: str, head: Position, patience: float | None = None
    ) -> pb.HeartbeatResponse:
        return honest(self, f"{version}+{subscriber}", head, patience)

    uplink.Uplink.hello = hello  # type: ignore[method-assign]
    Daemon(home, hub, 30.0).run()


def leak_exact() -> None:
    """Run a daemon that sends the exact counts instead of the noised ones."""
    honest = uplink.Uplink.upload

    def upload(
        self: uplink.Uplink, order_digest: bytes, token: bytes, recorded: Recorded, receipt: pb.Envelope
    ) -> pb.Envelope:
        entry = Entry.model_validate_json(recorded.entry)
        result = encode(exact_of(home, entry.terms))
        return honest(self, order_digest, token, replace(recorded, result=result), receipt)

    uplink.Uplink.upload = upload  # type: ignore[method-assign]
    Daemon(home, hub, 30.0).run()


FAULTS = {
    "kill-before-commit": lambda: kill_at("before commit"),
    "kill-after-commit": lambda: kill_at("after commit"),
    "kill-before-upload": lambda: kill_at("before upload"),
    "kill-before-receipt": lambda: kill_at("before receipt"),
    "leak-subscriber": leak_subscriber,
    "leak-exact": leak_exact,
}

if __name__ == "__main__":
    home, hub = Home(Path(sys.argv[2])), sys.argv[3]
    daemon()
    FAULTS[sys.argv[1]]()
