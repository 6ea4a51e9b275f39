"""Keeps a lease while a node works: says from a thread of its own that it still does, and in which phase."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from privacy.errors import QuorateError
from quorate.v1 import federation_pb2 as pb

#: A lease is renewed so many times before it would end, so that one lost call does not lose it.
_TIMES = 3


class KeptLease:
    """A lease that is renewed until the block ends.

    Parameters
    ----------
    lease
        As the hub gave it.
    renew
        Called with the token and the phase; raises QuorateError if the hub says no or does not answer.
    warn
        Called with what went wrong. The work goes on: whoever holds the lease then, the ledger has one charge and one
        set of bytes for it.
    """

    def __init__(
        self,
        lease: pb.Lease,
        renew: Callable[[bytes, pb.Phase.ValueType], object],
        warn: Callable[[str], None],
    ) -> None:
        self._lease, self._renew, self._warn = lease, renew, warn
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
            except QuorateError as error:
                self._warn(f"the lease was not renewed: {error}")
