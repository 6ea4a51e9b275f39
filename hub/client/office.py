"""A statistical office's Python client: products, releases and estimates of a hub."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pyarrow as pa
import pyarrow.csv

from privacy.errors import BudgetExhausted, ExitCode, PrivacyProblem, UsageProblem
from quorate.contract.requests import RequestIds
from quorate.contract.transport import explained, open_channel
from quorate.v1 import statistics_pb2 as pb
from quorate.v1.statistics_pb2_grpc import StatisticsServiceStub

_Answer = TypeVar("_Answer")
CALL_SECONDS = 20.0


class NotQuorate(PrivacyProblem):
    """A release ended without estimates."""

    exit_code = ExitCode.NOT_QUORATE


class Home:
    """The paths of an office's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.key = root / "office.key"
        self.request = root / "office.csr"
        self.certificate = root / "office.pem"
        self.hub_root = root / "hub-root.pem"


class Office:
    """Calls to one hub; use `connect`.

    Parameters
    ----------
    channel
        Open channel to the hub.
    address
        For messages.
    """

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._stub = StatisticsServiceStub(grpc.intercept_channel(channel, RequestIds()))
        self._address = address

    def products(self) -> list[pb.Product]:
        """Return what can be asked for, with its cost."""
        request = pb.ListProductsRequest()
        return list(self._call(lambda: self._stub.ListProducts(request, timeout=CALL_SECONDS)).products)

    def request(self, product_id: str, first_day: date, last_day: date, revision: int = 0) -> str:
        """Ask for a release; return its id. Asking again returns the same one and costs nothing."""
        request = pb.RequestReleaseRequest(
            product_id=product_id,
            first_day=first_day.isoformat(),
            last_day=last_day.isoformat(),
            revision=revision,
        )
        return self._call(lambda: self._stub.RequestRelease(request, timeout=CALL_SECONDS)).release_id

    def watch(self, release_id: str, timeout: float) -> Iterator[pb.WatchReleaseResponse]:
        """Yield the state of a release at once and at every change, until it has ended."""
        request = pb.WatchReleaseRequest(release_id=release_id)
        try:
            yield from self._stub.WatchRelease(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise NotQuorate(
                    f"not every operator has answered for {release_id} within {timeout:g} s",
                    means="the release goes on at the hub",
                    todo="ask for the same release again, which costs nothing, and wait longer with --timeout",
                ) from error
            raise explained(error, self._address) from error

    def wait(self, release_id: str, timeout: float, seen: Callable[[pb.WatchReleaseResponse], None]) -> None:
        """Wait until a release is estimated.

        Raises
        ------
        NotQuorate
            If it ended without estimates.
        """
        last = pb.WatchReleaseResponse()
        for last in self.watch(release_id, timeout):
            seen(last)
        if last.state == pb.RELEASE_STATE_FAILED:
            raise NotQuorate(
                f"no estimates could be made for release {release_id}",
                means="the operators' contributions are kept, and were charged",
                todo="ask the hub operator what its log says of this release",
            )
        if last.state != pb.RELEASE_STATE_ESTIMATED:
            refusals = {op.refusal for op in last.operators if op.refusal}
            if refusals == {"BUDGET_EXHAUSTED"}:
                raise BudgetExhausted(
                    f"the operators' privacy budgets cannot bear release {release_id}",
                    means="nothing was charged by those that refused, and there are no estimates",
                    todo="ask for other days; there are no refunds, and a later revision would cost again",
                )
            answers = ", ".join(f"{op.operator_id} {op.refusal or op.state}" for op in last.operators)
            raise NotQuorate(
                f"release {release_id} is not quorate: {answers}",
                means="too few operators contributed, so there are no estimates",
                todo="look at the reasons; a later revision can be asked for when they are gone",
            )

    def estimates(self, release_id: str) -> pa.Table:
        """Return the estimates of a release."""
        request = pb.GetEstimatesRequest(release_id=release_id)
        pieces = self._call(
            lambda: [piece.data for piece in self._stub.GetEstimates(request, timeout=10 * CALL_SECONDS)]
        )
        with pa.ipc.open_stream(b"".join(pieces)) as reader:
            return reader.read_all()

    def quality(self, release_id: str) -> dict[str, Any]:
        """Return the quality report of a release: it travels with the estimates."""
        return quality_of(self.estimates(release_id))

    def _call(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except grpc.RpcError as error:
            found = explained(error, self._address)
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
                what = f"the hub at {self._address} cannot be asked that: {error.details()}"
                raise UsageProblem(what, means=found.means, todo=found.todo) from error
            raise found from error


@contextmanager
def connect(home: Home, hub: str) -> Iterator[Office]:
    """Open a connection to a hub.

    Parameters
    ----------
    home
        The office's directory with key, certificate and the hub's root.
    hub
        host:port.
    """
    with open_channel(hub, home.hub_root, home.key, home.certificate) as channel:
        yield Office(channel, hub)


def quality_of(table: pa.Table) -> dict[str, Any]:
    """Return the quality report that a table of estimates carries (UsageProblem if it carries none)."""
    told = (table.schema.metadata or {}).get(b"quality")
    if told is None:
        raise UsageProblem(
            "these estimates have no quality report", means="they were made by an earlier version of the hub"
        )
    found: dict[str, Any] = json.loads(told)
    return found


def require_writable(path: Path) -> None:
    """Refuse a file that could not be written (UsageProblem), before anything is asked for and charged."""
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK) or path.is_dir():
        raise UsageProblem(
            f"{path} cannot be written",
            means="nothing was asked for",
            todo="name a file in a directory that is there and that you may write to",
        )


def write_csv(table: pa.Table, path: Path) -> None:
    """Write estimates as CSV, complete or not at all."""
    fresh = path.with_name(path.name + ".part")
    options = pa.csv.WriteOptions(quoting_style="needed", quoting_header="none")
    pa.csv.write_csv(table, fresh, options)
    fresh.replace(path)
