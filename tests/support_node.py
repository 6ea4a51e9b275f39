"""A tiny enrolled node for tests: own key, certificate of a made-up hub, charter, zoning, policy, events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.demo.agreement import ASSUMED
from hub.authority import found, sign
from hub.config import Home as HubHome
from node.config import Home, NodeConfig, Policy, parse_toml
from node.enrolment import Agreement, enrol, initialise, lower_budgets
from node.statistics.registry import algorithms
from privacy.calculus import Budgets
from privacy.errors import ExitCode, UsageProblem
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from privacy.terms import Level, Terms
from quorate.contract.charter import Charter, PresenceRules, Product, Publication
from quorate.contract.identity import OPERATOR, Identity
from quorate.contract.order import TaskOrder, terms_of
from quorate.contract.zoning import Zone, Zoning
from tests.keys import exchange_pem_for, keys_for, pem_for

NETWORK, NAME, OTHER = "testnet", "alpha", "beta"
BRUSSELS = "Europe/Brussels"
#: Days that the node offers, but for one; the last of them has 25 hours, 29 March has 23.
FIRST_DAY, LAST_DAY, UNAVAILABLE = date(2026, 10, 12), date(2026, 10, 25), date(2026, 10, 14)
SHORT_DAY, LONG_DAY = date(2026, 3, 29), date(2026, 10, 25)
CHARTER_DAYS = (date(2026, 1, 1), date(2026, 12, 31))
NODE_TOML = """\
hub = "localhost:7443"

[source]
events = "events/{{day}}.parquet"
cells = "cells.parquet"
first_day = {first}
last_day = {last}
pseudonyms = {{given = true}}
{source}

[engine]
memory_limit = "{memory}"
threads = 1
"""
POLICY_TOML = """\
products = ["residents", "presence"]
day_cap = 20_000_000
month_cap = 700_000_000
unavailable_days = [2026-10-14]
answer_tick_seconds = 0.1
"""
#: (subscriber, microseconds since the epoch, cell); None is a null.
Event = tuple[int | None, int | None, int | None]


def instant(day: date, seconds: float, zone: str = BRUSSELS) -> int:
    """Return the time so many elapsed seconds after a local midnight, in microseconds since the epoch.

    Worked out by walking through UTC, not by the code under test.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    since = midnight - datetime(1970, 1, 1, tzinfo=UTC)
    return (since + timedelta(seconds=seconds)) // timedelta(microseconds=1)


def zoning_of(zones: int = 3) -> Zoning:
    """Return a zoning of zones Z001, Z002 …, the first two in district D1 and the others in D2."""
    return Zoning(
        name="Small",
        version="1",
        levels=("zone", "district"),
        zones=tuple(
            Zone(code=f"Z{index + 1:03d}", parents={"district": "D1" if index < 2 else "D2"})
            for index in range(zones)
        ),
    )


def products_of(digests: Mapping[str, str]) -> tuple[Product, Product]:
    """Return the two products of the tiny charter: residents and presence."""
    levels = (Level(name="zone", share_permille=1000),)
    residents = Product(
        product_id="residents",
        title="Residents",
        statistic=RESIDENTS,
        parameters={"night_hours": [0, 1, 2, 3, 4, 5], "min_nights": 2},
        levels=levels,
        max_days=7,
        rho=5_000_000,
        algorithm=digests[RESIDENTS],
    )
    presence = Product(
        product_id="presence",
        title="Presence by hour",
        statistic=PRESENCE_BY_HOUR,
        parameters={},
        levels=levels,
        max_days=1,
        rho=10_000_000,
        algorithm=digests[PRESENCE_BY_HOUR],
    )
    return residents, presence


def charter_of(zoning: Zoning, **changes: Any) -> Charter:
    """Return the charter of the tiny network; `changes` replace whole fields."""
    fields: dict[str, Any] = {
        "version": 3,
        "network": NETWORK,
        "time_zone": BRUSSELS,
        "zoning": zoning.digest(),
        "operators": (NAME, OTHER),
        "budgets": Budgets(
            day=30_000_000, month=600_000_000, first_day=CHARTER_DAYS[0], last_day=CHARTER_DAYS[1]
        ),
        "sigma_grid_milli": 10,
        "presence": PresenceRules(max_hold_minutes=120, max_hold_back_minutes=0),
        "products": products_of(algorithms()),
        "publication": Publication(
            levels=("zone", "district"), min_operators=2, collect_seconds=60, dominance_percent=85
        ),
        "calibration": ASSUMED,
    }
    fields |= changes
    return Charter(**({"keys": keys_for(fields["operators"])} | fields))


@dataclass(frozen=True)
class Network:
    """A hub's directory with a root certificate, and what its parties agreed on."""

    hub: HubHome
    fingerprint: str
    charter: Charter
    zoning: Zoning

    def certificate(self, home: Home, operator: str = NAME, network: str = NETWORK) -> bytes:
        """Return the hub's certificate for the signing request in a node's directory."""
        return sign(self.hub, home.request.read_bytes(), Identity(network, OPERATOR, operator))


def network_at(root: Path, **charter: Any) -> Network:
    """Make a root certificate in a directory and agree on a charter."""
    hub, zoning = HubHome(root), zoning_of()
    root.mkdir(parents=True)
    return Network(hub, found(hub, NETWORK, ("localhost",)), charter_of(zoning, **charter), zoning)


#: In node.toml: subscribers are pseudonyms already; and persons behind them are known, too.
GIVEN = "pseudonyms = {given = true}"
NATIONAL = 'pseudonyms = {given = true, national_key_file = "national.key"}\ncolumns = {national_id = "nin"}'


def config_text(
    days: tuple[date, date] = (FIRST_DAY, LAST_DAY), source: str = "", memory: str = "500MB"
) -> str:
    """Return a node.toml; `source` are more lines of its [source]."""
    return NODE_TOML.format(first=days[0], last=days[1], source=source, memory=memory)


def agreement(policy: str = POLICY_TOML, config: str | None = None, **charter: Any) -> Agreement:
    """Return what a node decides by, without any file."""
    zoning = zoning_of()
    agreed, here = charter_of(zoning, **charter), Path("here")
    own = parse_toml(policy.encode(), Policy, here)
    return Agreement(
        operator=NAME,
        charter=agreed,
        charter_digest=agreed.digest(),
        zoning=zoning,
        policy=own,
        config=parse_toml((config or config_text()).encode(), NodeConfig, here),
        budgets=lower_budgets(agreed.budgets, own),
    )


def prepare(network: Network, root: Path, *, config: str | None = None, policy: str = POLICY_TOML) -> Home:
    """Lay out a node's directory up to the step before `enrol`: key, certificate and all documents."""
    home = Home(root)
    initialise(home, NETWORK, NAME)
    home.operator_key.write_bytes(pem_for(NAME))
    home.exchange_key.write_bytes(exchange_pem_for(NAME))
    home.certificate.write_bytes(network.certificate(home))
    home.hub_root.write_bytes(network.hub.root_certificate.read_bytes())
    home.charter.write_bytes(network.charter.to_bytes())
    home.zoning.write_bytes(network.zoning.to_bytes())
    home.policy.write_text(policy, encoding="utf-8")
    home.config.write_text(config or config_text(), encoding="utf-8")
    write_cells(home, [(1, "Z001"), (2, "Z002"), (3, "Z003"), (4, "Z003")])
    return home


def enrolled(network: Network, root: Path, *, config: str | None = None, policy: str = POLICY_TOML) -> Home:
    """Lay out a node's directory and enrol it."""
    home = prepare(network, root, config=config, policy=policy)
    enrol(home, NAME, NETWORK, network.fingerprint)
    return home


def order_of(own: Agreement, product: str, days: tuple[date, date], revision: int = 0) -> TaskOrder:
    """Return the order that an honest hub would send for a product and period."""
    return TaskOrder(
        network=own.charter.network,
        operator=own.operator,
        nonce="0" * 32,
        charter=own.charter_digest,
        algorithm=own.charter.product(product).algorithm,
        terms=terms_of(own.charter, own.zoning, product, days, revision),
    )


def nothing_else(_terms: Terms) -> None:
    """Prepare a release that needs nothing from the hub."""


def event_table(events: Iterable[Event], unit_us: int = 1_000) -> pa.Table:
    """Return events as an operator would deliver them, times in units of `unit_us` microseconds."""
    rows = list(events)
    times = [None if time is None else time // unit_us for _subscriber, time, _cell in rows]
    return pa.table(
        {
            "subscriber_id": pa.array([row[0] for row in rows], pa.int64()),
            "timestamp_ms": pa.array(times, pa.int64()),
            "cell_id": pa.array([row[2] for row in rows], pa.int64()),
        }
    )


def write_events(home: Home, day: date, events: Iterable[Event]) -> Path:
    """Write the event file of a day, in milliseconds."""
    path = home.root / "events" / f"{day}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(event_table(events), path)
    return path


def write_cells(home: Home, cells: Sequence[tuple[int, str]]) -> Path:
    """Write the cell table."""
    path = home.root / "cells.parquet"
    pq.write_table(pa.table({"cell_id": [c for c, _ in cells], "zone": [z for _, z in cells]}), path)
    return path


def problem(action: Callable[[], object]) -> UsageProblem:
    """Return the problem of configuration that an action raises."""
    with pytest.raises(UsageProblem) as caught:
        action()
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    return caught.value
