"""The privacy ledger: what one operator has spent on whom, and the bytes that were released for it."""

from privacy.ledger.anchor import Anchor
from privacy.ledger.entry import Entry
from privacy.ledger.forfeit import Forfeit
from privacy.ledger.forfeiture import forfeit, would_forfeit
from privacy.ledger.keeper import Keeper
from privacy.ledger.pruning import prune, would_prune
from privacy.ledger.request import Recorded, Request
from privacy.ledger.restore import restore
from privacy.ledger.store import Ledger
from privacy.ledger.verify import verify
from privacy.terms import Terms

__all__ = [
    "Anchor",
    "Entry",
    "Forfeit",
    "Keeper",
    "Ledger",
    "Recorded",
    "Request",
    "Terms",
    "forfeit",
    "prune",
    "restore",
    "verify",
    "would_forfeit",
    "would_prune",
]
