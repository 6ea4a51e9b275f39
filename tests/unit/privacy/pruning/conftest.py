"""A ledger with its witness, closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from privacy.ledger import Keeper
from tests.unit.privacy.pruning.history import HISTORY, commit


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Ed25519PrivateKey.generate(), tmp_path / "witness.jsonl")


@pytest.fixture
def path(tmp_path: Path, keeper: Keeper) -> Path:
    """Write a ledger of seven entries and close it."""
    commit(tmp_path / "ledger.db", keeper, *HISTORY)
    return tmp_path / "ledger.db"
