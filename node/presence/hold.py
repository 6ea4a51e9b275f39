"""How long an event says where its subscriber is: after it, and before it."""

from __future__ import annotations

from dataclasses import dataclass

_MINUTE_US = 60_000_000
_LONGEST = 25 * 60


@dataclass(frozen=True)
class Hold:
    """Limits of the charter, in minutes.

    Between two events the nearer one says where the subscriber is, where both do; an event that does not reach back
    says nothing of the time before it, so that the one before it does, as far as it reaches.

    Attributes
    ----------
    after, before
        Most minutes after and before an event.
    """

    after: int
    before: int = 0

    @property
    def after_us(self) -> int:
        """Microseconds after an event."""
        return self.after * _MINUTE_US

    @property
    def before_us(self) -> int:
        """Microseconds before an event."""
        return self.before * _MINUTE_US

    @property
    def usable(self) -> bool:
        """Whether both are in range."""
        return 1 <= self.after <= _LONGEST and 0 <= self.before <= _LONGEST
