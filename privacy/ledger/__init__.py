"""The privacy ledger: what one operator has spent on whom, and the bytes that were released for it."""

from privacy.ledger.entry import Entry, Terms
from privacy.ledger.restore import restore
from privacy.ledger.store import Ledger, Recorded, Request
from privacy.ledger.verify import verify
from privacy.ledger.witness import Keeper

__all__ = ["Entry", "Keeper", "Ledger", "Recorded", "Request", "Terms", "restore", "verify"]
