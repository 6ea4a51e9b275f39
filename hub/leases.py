"""Leases, without I/O: which node of an operator works at an order, and until when it has to say so again.

- A task that nobody holds, or whose holder has not said anything for the time of a lease, goes to whoever asks.
- The node that holds it gets it again when it asks again, as it does after a restart: with a new token.
- Only with the newest token is a task renewed, refused or answered. A token is not made invalid by time, but by
  another one: who was slow and was not replaced may go on.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from hub.errors import LeaseLost
from hub.life import OFFERED
from hub.models import Task

_TOKEN_BYTES = 16


@dataclass(frozen=True)
class Leased:
    """An order, and the token with which it is answered."""

    order_digest: str
    payload: bytes
    token: bytes


def is_free(task: Task, node: int, now: float) -> bool:
    """Return whether a node may take a task."""
    return task.state == OFFERED and (task.lease_node in {None, node} or task.lease_until <= now)


def is_live(task: Task, now: float) -> bool:
    """Return whether somebody works at a task and has said so lately."""
    return task.state == OFFERED and task.lease_node is not None and task.lease_until > now


def take(task: Task, node: int, now: float, seconds: float) -> Leased:
    """Give a task to a node, with a new token."""
    token = secrets.token_bytes(_TOKEN_BYTES)
    task.lease_token, task.lease_node, task.lease_until = _named(token), node, now + seconds
    task.attempts += 1
    task.phase = ""
    return Leased(task.order_digest, task.payload, token)


def renew(task: Task, token: bytes, phase: str, now: float, seconds: float) -> None:
    """Note that the holder still works, and at what (LeaseLost if it is not the holder)."""
    require(task, token)
    task.phase, task.lease_until = phase, now + seconds


def require(task: Task | Row[Any], token: bytes) -> None:
    """Refuse who does not hold a task (LeaseLost)."""
    if not task.lease_token or not hmac.compare_digest(task.lease_token, _named(token)):
        raise LeaseLost(
            "this order is not leased under this token",
            means="another node of the operator has it, or this one has acquired it again",
            todo="acquire a task again; whatever was committed is sent then",
        )


def _named(token: bytes) -> str:
    return hashlib.sha256(token).hexdigest()
