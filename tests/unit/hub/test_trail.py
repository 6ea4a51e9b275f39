"""The audit trail says what each line is about, and finds the lines that are wanted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars

from hub.metrics import REGISTRY
from hub.opening import open_release
from hub.store import Store
from hub.trail import About, Wanted, about, lines
from quorate.contract.canonical import digest
from quorate.v1 import federation_pb2 as fed
from quorate.v1 import statistics_pb2 as stat
from tests.support_hub import DAY, next_order, small_agreement

WEST, OFFICE = "spiffe://small/operator/west/node/0", "spiffe://small/office/bureau"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (fed.PutChunkRequest(order_digest=b"\x01" * 32), About(order_digest="01" * 32)),
        (fed.RefuseTaskRequest(order_digest=b"\x01" * 31), About()),
        (stat.WatchReleaseRequest(release_id="presence"), About(release_id="presence")),
        (stat.WatchReleaseRequest(release_id="x" * 101), About(release_id="x" * 100)),
        (fed.HeartbeatRequest(), About()),
    ],
)
def test_a_request_says_what_it_is_about(request_: Any, expected: About) -> None:
    assert about(request_) == expected


def test_the_release_of_an_order_is_looked_up_and_the_request_is_named(store: Store) -> None:
    own = small_agreement()
    release = open_release(own, store, "presence", (DAY, DAY), 0)
    order = next_order(store, "west")
    assert order is not None
    with bound_contextvars(request_id="ab" * 16):
        store.audit(WEST, "refused an order: POLICY", "", About(order_digest=digest(order)))
    store.audit(WEST, "rejected PutChunk", "no such order", About(order_digest="0" * 64))
    first, second = lines(store.database, Wanted())
    assert (first["release"], first["order"], first["request_id"]) == (release, digest(order), "ab" * 16)
    assert (second["release"], second["order"], second["request_id"]) == ("", "0" * 64, "")


def test_lines_are_found_by_time_person_and_release(store: Store) -> None:
    store.audit(OFFICE, "requested a release", "r", About(release_id="r"))
    store.audit(WEST, "refused an order: POLICY", "", About(release_id="r"))
    store.audit(WEST, "rejected AcquireTask", "50% _", About())

    def what(wanted: Wanted) -> list[str]:
        return [line["what"].split()[0] for line in lines(store.database, wanted)]

    assert what(Wanted()) == ["requested", "refused", "rejected"]
    assert what(Wanted(release_id="r")) == ["requested", "refused"]
    assert what(Wanted(who="operator/west")) == ["refused", "rejected"]
    assert what(Wanted(who="operator/west", release_id="r")) == ["refused"]
    assert what(Wanted(who="%")) == [], "what somebody looks for is no pattern"
    assert what(Wanted(since=datetime.now(UTC) + timedelta(minutes=1))) == []
    assert what(Wanted(since=datetime.now(UTC) - timedelta(minutes=1))) == what(Wanted())


def test_the_metric_has_a_kind_for_every_line_and_no_other(store: Store) -> None:
    def count(kind: str) -> float:
        return REGISTRY.get_sample_value("quorate_hub_audit_lines_total", {"kind": kind}) or 0.0

    before = {kind: count(kind) for kind in ("accepted", "other")}
    store.audit(WEST, "accepted a contribution", "")
    store.audit(WEST, "made-up-by-a-request", "")
    assert {kind: count(kind) - before[kind] for kind in before} == {"accepted": 1, "other": 1}
    assert (
        REGISTRY.get_sample_value("quorate_hub_audit_lines_total", {"kind": "made-up-by-a-request"}) is None
    )
