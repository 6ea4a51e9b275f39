"""Keeps a lease while a node works: says from a thread of its own that it still does, and in which phase."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from privacy.errors import QuorateError, Refused
from quorate.v1 import federation_pb2 as pb

#: A lease is renewed so many times before it would end, so that one lost call does not lose it.
_TIMES = 3


class LeaseLost(Refused):
    """The order is another node's by now, or it was answered."""


class KeptLease:
    """A lease that is renewed until the block ends, or until it is lost.

    Parameters
    ----------
    lease
        As the hub gave it.
    renew
        Called with the token and the phase; raises LeaseLost if the lease is another node's, and QuorateError if the
        hub says no otherwise or does not answer. Then the work goes on.
    warn
        Called with what went wrong.
    lost
        Called when the lease is lost. What is being computed then is computed by somebody else already.
    """

    def __init__(
        self,
        lease: pb.Lease,
        renew: Callable[[bytes, pb.Phase.ValueType], object],
        warn: Callable[[str], None],
        lost: Callable[[], None],
    ) -> None:
        self._lease, self._renew, self._warn, self._lost = lease, renew, warn, lost
        self._phase: pb.Phase.ValueType = pb.PHASE_ACCEPTED
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    @property
    def token(self) -> bytes:
        """What the order is answered with."""
        return self._lease.token

    def now(self, phase: pb.Phase.ValueType) -> None:
        """Note what is being done; it is told with the next renewal."""
        self._phase = phase

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        while not self._over.wait(self._lease.seconds / _TIMES):
            try:
                self._renew(self._lease.token, self._phase)
            except LeaseLost as error:
                self._warn(f"the lease was lost: {error}")
                self._lost()
                return
            except QuorateError as error:
                self._warn(f"the lease was not renewed: {error}")
