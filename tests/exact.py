"""The exact vectors of a node's data, for tests that must know what may never leave."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.config import Home
from node.engine import connect, hash_key, read_one
from node.enrolment import load
from node.statistics.registry import Inputs, exact_vector
from privacy.terms import Terms
from quorate.contract.calendar import days_between
from quorate.contract.order import keyset_for
from quorate.contract.zoning import ZONE


def exact_of(home: Home, terms: Terms) -> NDArray[np.int64]:
    """Return the exact counts of zones that a release of these terms is made of; presence must be built."""
    own = load(home)
    paths = [home.presence / f"{day}.parquet" for day in days_between(terms.first_day, terms.last_day)]
    key = hash_key(home.secret.read_bytes(), f"{terms.statistic}|{terms.first_day}|{terms.last_day}")
    with tempfile.TemporaryDirectory() as scratch, connect(own.config.engine, Path(scratch)) as db:
        presence = [read_one(db, path) for path in paths]
        exact = exact_vector(terms, Inputs(presence, own.zoning, own.charter.time_zone, key))
    keyset = keyset_for(own.charter, own.zoning, terms)
    return next(exact[place] for name, place, _shape in keyset.parts() if name == ZONE)
