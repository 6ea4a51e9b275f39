"""Nothing of the exact data crosses the wire or reaches the hub, and the search would find it if it did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from node.enrolment import load
from quorate.contract.order import terms_of
from tests.exact import exact_of
from tests.harness import START, Network, wait_until
from tests.integration.search import (
    Secrets,
    contributions_in,
    decoded,
    files_below,
    findings,
    secrets_of,
)
from tests.integration.wiretap import Wiretap, messages

PERIODS = {"residents": (START, START.replace(day=25)), "presence": (START, START)}


@contextmanager
def tapped(net: Network) -> Iterator[dict[str, Wiretap]]:
    """Put a tap between every node and the hub."""
    hub = net.parties.hub
    taps = {
        operator: Wiretap(
            hub.root_certificate, (hub.certificate, hub.key), (home.certificate, home.key), net.port
        )
        for operator, home in net.parties.nodes.items()
    }
    try:
        yield taps
    finally:
        for tap in taps.values():
            tap.close()


def secrets(net: Network) -> Secrets:
    """Return everything that no node may let out, of all operators."""
    vectors, events, presence = [], [], []
    for operator, home in net.parties.nodes.items():
        own = load(home)
        vectors += [
            exact_of(home, terms_of(own.charter, own.zoning, product, days, 0))
            for product, days in PERIODS.items()
        ]
        events += list(
            Path(net.parties.nodes[operator].root, own.config.source.events.path[0]).parent.glob("*.parquet")
        )
        presence += list(home.presence.glob("*.parquet"))
    return secrets_of(events, presence, vectors)


def wire(taps: dict[str, Wiretap]) -> Iterator[bytes]:
    """Yield everything that was captured: raw, by message, and decompressed."""
    for tap in taps.values():
        for captured in tap.captured:
            yield bytes(captured)
            yield from decoded(messages(bytes(captured)))


def test_neither_rows_nor_subscribers_nor_exact_counts_reach_the_wire_or_the_hub(net: Network) -> None:
    net.start_hub()
    with tapped(net) as taps:
        for operator, tap in taps.items():
            net.start_node(operator, f"localhost:{tap.port}")
        with net.office() as office:
            for product, days in PERIODS.items():
                office.wait(office.request(product, *days), 120, lambda _seen: None)
        known = secrets(net)
        assert len(known.numbers) > 10_000
        assert all(np.count_nonzero(vector) > 8 for vector in known.vectors)
        captured = list(wire(taps))
        assert sum(map(len, captured)) > 6 * 8 * 300, "the tap saw the contributions of three operators"
        assert findings(captured, known) == []
    assert findings(files_below(net.parties.hub.root), known) == []
    assert findings(contributions_in(net.parties.hub), known) == []
    logs = [net.log(name).encode() for name in ("hub", *taps)]
    assert findings(logs, known) == []


@pytest.mark.parametrize("shift", range(9))
def test_a_run_of_counts_is_found_in_every_form_wherever_it_begins(shift: int) -> None:
    vector = np.array([0, 7, 1200, 3, 0, 41, 5, 9, 77, 2, 300], dtype=np.int64)
    known = Secrets(np.array([], dtype=np.uint64), [vector])
    for number in range(len(vector) - 7):
        run = vector[number : number + 8]
        forms = [run.astype(kind).tobytes() for kind in ("<i8", ">i8", "<i4", ">i4", "<i2", ">i2", "<f8")]
        forms += [mark.join(map(str, run)).encode() for mark in (",", ", ", " ", "\n", ";")]
        for form in forms:
            assert findings([b"x" * shift + form + b"y"], known), form
            assert findings([b"x" * shift + form[:-1]], known) == [], "a part of a run is no run"


@pytest.mark.full
@pytest.mark.parametrize(
    ("leak", "sent", "told"),
    [
        ("leak-subscriber", "heartbeat of {leaky}", "number as digits"),
        # The hub rejects bytes that no entry of the ledger was charged for; on the wire they are all the same.
        ("leak-exact", "charged for other bytes", "counts of vector"),
    ],
)
def test_the_same_search_finds_a_leak_that_was_put_in(net: Network, leak: str, sent: str, told: str) -> None:
    net.start_hub()
    with tapped(net) as taps:
        leaky, *honest = taps
        for operator in honest:
            net.start_node(operator, f"localhost:{taps[operator].port}")
        build_presence(net, leaky)
        net.start_faulty_node(leaky, leak, f"localhost:{taps[leaky].port}")
        with net.office() as office:
            office.request("presence", *PERIODS["presence"])
            wait_until(lambda: sent.format(leaky=leaky) in net.log("hub"), "the leak to be sent")
        for operator in net.parties.nodes:
            build_presence(net, operator)
        found = findings(wire(taps), secrets(net))
        assert any(told in line for line in found), found


def build_presence(net: Network, operator: str) -> None:
    """Build presence without a daemon."""
    from node.daemon import ingest

    home = net.home(operator)
    ingest(home, load(home), lambda _day: None)
