"""A node that plans."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from node.config import Home
from node.enrolment import load
from privacy.ledger import Ledger
from quorate.contract.order import terms_of
from tests.support_node import enrolled, network_at
from tests.unit.privacy.builders import request_for
from tests.unit.privacy.planning.asked import DAYS


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An enrolled node that has released residents of a week."""
    made = enrolled(network_at(tmp_path / "hub"), tmp_path / "node")
    own = load(made)
    with closing(Ledger(made.ledger, own.ledger_identity, own.budgets)) as ledger:
        terms = terms_of(own.charter, own.zoning, "residents", DAYS, 0)
        ledger.commit(request_for(terms), date(2026, 11, 2))
    return made
