"""An operator's calibration factors: how many persons each of its subscribers stands for, by anchor zone.

They come with the orders of weighted releases, made by the hub of this operator's own anchors and the register. An
operator may use them for its own estimates; they show its share of the market, so nobody else gets them.
"""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.config import Home
from node.enrolment import keeper_of, load
from node.evidence import Evidence
from node.private import own_directory
from node.uplink import Uplink
from privacy.errors import Refused, UsageProblem
from quorate.contract.identity import write_private
from quorate.contract.order import TaskOrder
from quorate.contract.transport import open_channel

#: Seconds for which an answer of the hub is waited for.
PATIENCE = 30.0


@dataclass(frozen=True)
class Factors:
    """The factors of one release.

    Attributes
    ----------
    release
        Its id at the hub.
    zones, value
        Codes of the zones, and persons for each subscriber who is anchored there.
    """

    release: str
    zones: Sequence[str]
    value: Sequence[float]

    def as_csv(self) -> str:
        """Return a table with the columns zone and factor."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("zone", "factor"))
        writer.writerows((code, f"{value:.4f}") for code, value in zip(self.zones, self.value, strict=True))
        return text.getvalue()


def factors_in(order: TaskOrder, zones: Sequence[str]) -> Factors | None:
    """Return the factors that an order carries, None if it carries none."""
    if order.weights is None or order.weight_one is None:
        return None
    terms = order.terms
    release = f"{terms.product}-{terms.first_day}-{terms.last_day}-r{terms.revision}"
    # The last weight is that of subscribers without an anchor zone.
    return Factors(release, zones, [weight / order.weight_one for weight in order.weights[: len(zones)]])


def keep(directory: Path, found: Factors) -> None:
    """Write factors into a directory, complete or not at all; those of a release never change."""
    own_directory(directory)
    path = directory / f"{found.release}.csv"
    if not path.exists():
        fresh = path.with_name(f".{path.name}")
        fresh.unlink(missing_ok=True)
        write_private(fresh, found.as_csv().encode())
        fresh.replace(path)


def kept(home: Home) -> list[str]:
    """Return the releases of which factors are kept, by name."""
    return sorted(path.stem for path in home.factors.glob("[!.]*.csv"))


def read(home: Home, release: str) -> str:
    """Return the table of kept factors (UsageProblem if there are none of this release)."""
    if release not in kept(home):
        raise UsageProblem(
            f"no factors of {release} are kept here",
            todo="name one that `quorate-node factors` lists, or fetch it with --from-hub",
        )
    return (home.factors / f"{release}.csv").read_text(encoding="utf-8")


def fetched(home: Home, hub: str | None, release: str) -> Factors:
    """Return the factors of a release from the hub, as its signed order has them.

    Raises
    ------
    UsageProblem
        If the node is not enrolled.
    PeerProblem
        If the hub does not answer, has no weights of this operator in this release, or sends something else.
    """
    own = load(home)
    evidence, address = (
        Evidence(own.operator, own.charter, keeper_of(home, own.config).key),
        hub or own.config.hub,
    )
    with open_channel(address, home.hub_root, home.key, home.certificate) as channel:
        uplink = Uplink(channel, address, threading.Event(), lambda _text: None)
        statement = uplink.factors(release, PATIENCE)
    order = TaskOrder.from_wire(evidence.order(statement), "the order of the factors")
    found = factors_in(order, own.zoning.codes)
    if found is None or found.release != release or order.operator != own.operator:
        raise Refused(
            "the hub's answer is not the order of this release to this operator",
            todo="report it to the hub operator",
        )
    return found
