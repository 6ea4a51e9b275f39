"""The privacy ledger: what one operator has spent on whom, and the bytes that were released for it."""

from privacy.ledger.entry import Entry, Terms
from privacy.ledger.store import Ledger, Recorded, Request
from privacy.ledger.verify import verify

__all__ = ["Entry", "Ledger", "Recorded", "Request", "Terms", "verify"]
