"""Tells of what fails again and again: every time in a metric, and in the log less and less often."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hub.metrics import END_FAILURES

log = logging.getLogger("quorate.hub")
#: Of the looks at what fails, at least every so many-th tries it again.
_SELDOM = 300


class Failures:
    """How often each thing has failed since it last worked."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._looks: Counter[str] = Counter()

    def tell(self, name: str, what: str, error: Exception) -> None:
        """Note a failure; the first is logged, then the second, fourth, eighth and so on."""
        self._counts[name] += 1
        END_FAILURES.inc()
        count = self._counts[name]
        if count & (count - 1) == 0:
            again = f" (failure {count} in a row)" if count > 1 else ""
            log.error("%s%s", what, again, exc_info=error)

    @contextmanager
    def kept(self, name: str, what: str) -> Iterator[None]:
        """Tell of an error inside, and go on after it; if there is none, note that it worked."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is told
            self.tell(name, what, error)
        else:
            self.over(name)

    def over(self, name: str) -> None:
        """Note that it worked."""
        self._counts.pop(name, None)
        self._looks.pop(name, None)

    def failing(self, name: str) -> bool:
        """Return whether it failed the last time."""
        return self._counts[name] > 0

    def due(self, name: str) -> bool:
        """Return whether to try: always if it works, and of the looks at what fails the first, second, fourth …"""
        if not self.failing(name):
            return True
        self._looks[name] += 1
        looks = self._looks[name]
        return looks & (looks - 1) == 0 or looks % _SELDOM == 0
