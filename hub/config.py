"""The hub's files, and what it works by: charter, zoning and register."""

from __future__ import annotations

import csv
import io
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.knowledge import NOTHING_KNOWN, Knowledge, read_knowledge
from privacy.errors import UsageProblem
from privacy.statistics import (
    ANCHORS_BY_DAY,
    COMMUTING,
    FLOWS,
    PRESENCE_BY_HOUR,
    QUALITY_INDICATORS,
    RESIDENTS,
    UNION_SKETCH,
    VISITORS,
    WEIGHTED_PRESENCE,
)
from quorate.contract.canonical import first_problem, read_bytes
from quorate.contract.charter import Charter
from quorate.contract.identity import load_signing_key
from quorate.contract.place import PLACE
from quorate.contract.rounds import first_round_of
from quorate.contract.signing import public_key
from quorate.contract.zoning import Zoning

REGISTER_COLUMNS = ("zone", "population", "phone_owners")
#: Statistics of which `hub.estimation` can make estimates.
ESTIMABLE = (
    PRESENCE_BY_HOUR,
    RESIDENTS,
    ANCHORS_BY_DAY,
    WEIGHTED_PRESENCE,
    COMMUTING,
    FLOWS,
    VISITORS,
    UNION_SKETCH,
    QUALITY_INDICATORS,
)


class HubConfig(BaseModel):
    """`hub.toml`.

    Attributes
    ----------
    listen
        host:port; port 0 takes a free one, which `address` in the hub's directory then says.
    database
        `postgresql+psycopg://…` or `sqlite:///path`; empty for `hub.db` in the hub's directory.
    objects
        Address of fsspec for contributions and estimates; empty for `objects` in the hub's directory.
    lease_seconds
        How long a node that holds an order may be silent before another node of its operator may take it.
    certificate_days
        How long certificates of nodes and of the hub itself live; they are renewed half-way.
    listen_enrolment
        host:port at which nodes enrol with a one-time token; empty for nowhere.
    metrics
        host:port at which metrics are told to whoever asks, over HTTP; empty for not at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: str = Field(default="localhost:7443", pattern=r"^[^\s:]+:[0-9]{1,5}$")
    database: str = ""
    objects: str = ""
    lease_seconds: int = Field(default=60, ge=1, le=3600)
    certificate_days: float = Field(default=7.0, gt=0, le=397)
    listen_enrolment: str = Field(default="", pattern=r"^([^\s:]+:[0-9]{1,5})?$")
    metrics: str = Field(default="", pattern=PLACE)


class Home:
    """The paths of a hub's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "hub.toml"
        self.charter = root / "charter.json"
        self.zoning = root / "zoning.json"
        self.register = root / "register.csv"
        self.knowledge = root / "knowledge.toml"
        self.root_key = root / "root.key"
        self.root_certificate = root / "root.pem"
        self.authority_key = root / "authority.key"
        self.authority = root / "authority.pem"
        self.key = root / "hub.key"
        self.certificate = root / "hub.pem"
        self.signing_key = root / "signing.key"
        self.database = root / "hub.db"
        self.objects = root / "objects"
        self.address = root / "address"
        self.enrolment_address = root / "enrolment-address"


@dataclass(frozen=True)
class Register:
    """What is known of every zone from elsewhere.

    Attributes
    ----------
    population
        Registered persons, float64 of shape (zones,).
    phone_owners
        Persons among them who own a phone, by a survey, float64 of shape (zones,).
    """

    population: NDArray[np.float64]
    phone_owners: NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """What the hub works by."""

    charter: Charter
    charter_digest: str
    zoning: Zoning
    register: Register
    key: Ed25519PrivateKey
    """The hub's own, with which it signs orders and countersigns statements."""
    knowledge: Knowledge = NOTHING_KNOWN


def load_config(home: Home) -> HubConfig:
    """Return `hub.toml`, or its defaults if there is none (UsageProblem if malformed)."""
    if not home.config.exists():
        return HubConfig()
    try:
        return HubConfig.model_validate(tomllib.loads(read_bytes(home.config).decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{home.config} is not TOML: {error}") from error
    except ValidationError as error:
        raise UsageProblem(f"{home.config}: {first_problem(error)}") from error


def load_agreement(home: Home) -> Agreement:
    """Return charter, zoning and register, checked against each other (UsageProblem if they do not fit)."""
    charter, zoning = Charter.read(home.charter), Zoning.read(home.zoning)
    if charter.zoning != zoning.digest():
        raise UsageProblem(
            f"{home.zoning} is not the zoning of the charter",
            todo="put the charter's zoning into the hub's directory",
        )
    charter.require_levels(zoning)
    _require_estimators(charter)
    register = read_register(home.register, zoning.codes)
    known = read_knowledge(home.knowledge, charter.operators)
    known.require_factor(home.knowledge)
    return Agreement(charter, charter.digest(), zoning, register, _signing_key(home, charter), known)


def _signing_key(home: Home, charter: Charter) -> Ed25519PrivateKey:
    key = load_signing_key(read_bytes(home.signing_key))
    if public_key(key) != charter.keys.hub:
        raise UsageProblem(
            f"{home.signing_key} is not the key that the charter names for the hub",
            means="no operator would believe an order of this hub",
            todo=f"restore the key, or have a charter agreed on with keys.hub = {public_key(key)}",
        )
    return key


def _require_estimators(charter: Charter) -> None:
    for product in charter.products:
        first_round_of(charter, product)
        if product.statistic not in ESTIMABLE:
            raise UsageProblem(
                f"product {product.product_id} is {product.statistic}, of which this hub cannot make estimates",
                means="its releases would cost the operators budget, and nobody would get a figure",
                todo=f"leave it out of the charter; this version estimates {', '.join(ESTIMABLE)}",
            )


def read_register(path: Path, codes: list[str]) -> Register:
    """Read register.csv: zone, population, phone_owners; one line for every zone.

    Raises
    ------
    UsageProblem
        Names the line and column that is wrong.
    """
    try:
        rows = csv.DictReader(io.StringIO(read_bytes(path).decode("utf-8-sig")), strict=True)
        lines = sorted(
            (str(row["zone"]), *(_number(path, rows.line_num, row, name) for name in REGISTER_COLUMNS[1:]))
            for row in rows
        )
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageProblem(f"{path} is not a CSV file in UTF-8") from error
    except KeyError as error:
        raise UsageProblem(
            f"{path} lacks the column {error}", todo=f"its columns are {REGISTER_COLUMNS}"
        ) from error
    zones = [str(zone) for zone, *_numbers in lines]
    if zones != codes:
        wrong = sorted(set(zones) ^ set(codes)) or sorted({zone for zone in zones if zones.count(zone) > 1})
        raise UsageProblem(
            f"{path} does not have exactly one line for each zone of the zoning: see {wrong[0]}"
        )
    values = np.array([numbers for _zone, *numbers in lines], dtype=np.float64)
    too_many = values[:, 1] > values[:, 0]
    if too_many.any():
        raise UsageProblem(f"{path}: zone {codes[int(too_many.argmax())]} has more phone owners than persons")
    return Register(population=values[:, 0], phone_owners=values[:, 1])


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    text = row[name] or ""
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageProblem(f"{path}, line {line}, column {name}: {row[name]!r} is not a number of persons")
    return value
