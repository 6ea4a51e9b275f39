"""The node's files: its configuration, the operator's policy, and the paths of its directory."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from node.sources.mapping import Source
from privacy.errors import UsageProblem
from privacy.terms import Name
from privacy.units import NanoRho
from quorate.contract.canonical import first_problem, read_bytes
from quorate.contract.place import PLACE

_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_UNITS = {"MB": 10**6, "GB": 10**9}


class Engine(_Strict):
    """Limits of what builds days and computes statistics.

    Attributes
    ----------
    memory_limit
        What the tables and arrays of a day may take, besides the libraries; the rest is spilled.
    threads
        Number of threads.
    build
        How days are built: `auto` takes the compiled pass where it can do what is asked for, `expressions` never
        does. Both give the same rows.
    """

    memory_limit: str = Field(default="2GB", pattern=r"^[1-9][0-9]*(MB|GB)$")
    threads: int = Field(default=2, ge=1, le=256)
    build: Literal["auto", "expressions"] = "auto"

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return int(self.memory_limit[:-2]) * _UNITS[self.memory_limit[-2:]]


class NodeConfig(_Strict):
    """`node.toml`.

    Attributes
    ----------
    hub
        host:port of the hub.
    witness
        File of the ledger's signed heads; best on another disk than the ledger.
    metrics
        host:port at which the node tells its operator its metrics; empty for not at all.
    tasks_at_once
        How many orders are worked at at the same time; each takes what `engine` allows.
    """

    hub: str = Field(default="localhost:7443", pattern=r"^[^\s:]+:[0-9]{1,5}$")
    witness: str = Field(default="witness.jsonl", min_length=1)
    metrics: str = Field(default="", pattern=PLACE)
    tasks_at_once: int = Field(default=1, ge=1, le=8)
    source: Source
    engine: Engine = Engine()


class Policy(_Strict):
    """`policy.toml`: the operator's own word, on top of the charter.

    Attributes
    ----------
    products
        Products that this operator takes part in.
    day_cap, month_cap
        Largest loss of a day and of 31 days in nano-ρ; the lower of this and the charter's holds.
    unavailable_days
        Days for which the operator declares to have no data.
    answer_tick_seconds
        Answers leave at multiples of this time after the order came, so that the time a computation takes
        stays inside.
    """

    products: tuple[Name, ...]
    day_cap: NanoRho
    month_cap: NanoRho
    unavailable_days: tuple[date, ...] = ()
    answer_tick_seconds: float = Field(default=60.0, gt=0, le=3600)


class Home:
    """The paths of a node's directory; every file of a node is below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "node.toml"
        self.policy = root / "policy.toml"
        self.charter = root / "charter.json"
        self.zoning = root / "zoning.json"
        self.enrolment = root / "enrolment.json"
        self.key = root / "node.key"
        self.request = root / "node.csr"
        self.certificate = root / "node.pem"
        self.hub_root = root / "hub-root.pem"
        self.secret = root / "secret.key"
        self.ledger = root / "ledger.db"
        self.operator_key = root / "operator.key"
        self.exchange_key = root / "exchange.key"
        self.period_keys = root / "period-keys"
        self.presence = root / "presence"
        self.visits = root / "visits"
        self.persons = root / "persons"
        self.rejected = root / "rejected"
        self.quality = root / "quality"
        self.receipts = root / "receipts"
        self.factors = root / "factors"
        self.progress = root / "status.json"


def read_toml(path: Path, model: type[_Model]) -> _Model:
    """Read and validate a TOML file.

    Raises
    ------
    UsageProblem
        If it is missing, not TOML, or a field is wrong; names the field.
    """
    return parse_toml(read_bytes(path), model, path)


def parse_toml(data: bytes, model: type[_Model], path: Path) -> _Model:
    """Validate the bytes of a TOML file; `path` is for the message of an error."""
    try:
        return model.model_validate(tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{path} is not TOML: {error}", todo="correct the file") from error
    except ValidationError as error:
        raise UsageProblem(
            f"{path}: {first_problem(error)}", todo="correct the file; docs/operator.md lists every setting"
        ) from error
