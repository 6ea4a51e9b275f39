"""Channels and failed calls: what a person reads when the hub does not answer, or says no."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from privacy.errors import PeerProblem, QuorateError, Refused, Unreachable, UsageProblem
from quorate.contract.transport import TODO_KEY, explained, open_channel

HUB = "hub.example:7443"


class Item(NamedTuple):
    key: str
    value: str


class Failed(grpc.RpcError):
    """A failed call as gRPC hands it over."""

    def __init__(self, code: grpc.StatusCode, details: str | None = None, todo: str = "") -> None:
        self._code, self._details, self._todo = code, details, todo

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def trailing_metadata(self) -> Any:
        return (Item("other", "x"), Item(TODO_KEY, self._todo)) if self._todo else None


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (Failed(grpc.StatusCode.UNAVAILABLE, "refused"), Unreachable, "does not answer"),
        (Failed(grpc.StatusCode.DEADLINE_EXCEEDED), Unreachable, "does not answer"),
        (
            Failed(grpc.StatusCode.UNAVAILABLE, "... CERTIFICATE_VERIFY_FAILED ..."),
            Unreachable,
            "is not the hub's",
        ),
        (Failed(grpc.StatusCode.UNAVAILABLE, "Peer name x is not y"), Unreachable, "is not the hub's"),
        (Failed(grpc.StatusCode.PERMISSION_DENIED, "not yours"), Refused, "refuses: not yours"),
        (Failed(grpc.StatusCode.UNAUTHENTICATED, "who are you"), Refused, "refuses: who are you"),
        (Failed(grpc.StatusCode.NOT_FOUND, "no release"), Refused, "refuses (NOT_FOUND): no release"),
        (Failed(grpc.StatusCode.INTERNAL), Refused, "refuses (INTERNAL): "),
        (Failed(grpc.StatusCode.CANCELLED), PeerProblem, "the call was cancelled"),
    ],
)
def test_a_failed_call_is_explained(error: Failed, kind: type[QuorateError], says: str) -> None:
    found = explained(error, HUB)
    assert type(found) is kind
    assert says in found.what
    assert kind is PeerProblem or HUB in found.what
    assert kind is not Unreachable or (found.means and found.todo)


def test_what_the_hub_says_to_do_is_passed_on() -> None:
    for code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION):
        assert explained(Failed(code, "no", todo="ask the office"), HUB).todo == "ask the office"


@pytest.mark.parametrize("missing", ["root.pem", "node.key", "node.pem"])
def test_a_channel_needs_three_files_and_names_the_one_that_is_missing(tmp_path: Path, missing: str) -> None:
    paths = [tmp_path / name for name in ("root.pem", "node.key", "node.pem")]
    for path in paths:
        if path.name != missing:
            path.write_bytes(b"x")
    with pytest.raises(UsageProblem, match=f"{missing} cannot be read"):
        open_channel(HUB, *paths)
