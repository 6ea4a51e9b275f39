"""Sets up the directories of hub, nodes and office as their own command lines would, and enrols them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType

from deploy.demo.agreement import NETWORK, OFFICE
from deploy.demo.simulation import Simulation
from hub.authority import found, sign
from hub.client.office import Home as OfficeHome
from hub.config import Home as HubHome
from node.config import Home as NodeHome
from node.enrolment import enrol, initialise
from node.own_keys import exchange_key_of
from quorate.contract.charter import Charter, Keys
from quorate.contract.exchange import exchange_public
from quorate.contract.identity import OFFICE as OFFICE_ROLE
from quorate.contract.identity import OPERATOR, Identity, load_signing_key, new_key, signing_request
from quorate.contract.signing import public_key
from quorate.contract.zoning import Zoning

_NODE_TOML = """\
# Written by the demo; docs/operator.md and docs/connect-your-data.md explain every setting.
hub = "localhost:7443"

[source]
events = "{operator}/events/{{day}}.parquet"
cells = "{operator}/cells.parquet"
first_day = {first}
last_day = {last}
{pseudonyms}
[engine]
memory_limit = "2GB"
threads = 1
"""
_POLICY_TOML = """\
# Written by the demo; the operator's own word on top of the charter, pinned by digest at enrolment.
products = {products}
day_cap = {day}
month_cap = {month}
answer_tick_seconds = {tick}
"""


@dataclass(frozen=True)
class Parties:
    """The directories of everybody who takes part."""

    charter: Charter
    zoning: Zoning
    hub: HubHome
    nodes: dict[str, NodeHome]
    office: OfficeHome


def set_up(
    simulation: Simulation,
    zoning: Zoning,
    agree: Callable[[Keys], Charter],
    out: Path,
    *,
    tick_seconds: float = 2.0,
    withheld: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> Parties:
    """Make keys and certificates, and enrol every node under a charter.

    Parameters
    ----------
    simulation
        The operators' data.
    zoning
        Of the country.
    agree
        Returns the charter, once the parties have their keys.
    out
        Directory of the demo; hub, nodes and office get directories in it.
    tick_seconds
        The nodes' answers leave at multiples of this.
    withheld
        Products of the charter that an operator's policy does not list, by operator; all are listed where it is not
        named.
    """
    hub = HubHome(out / "hub")
    hub.root.mkdir(parents=True)
    fingerprint = found(hub, NETWORK, ("localhost", "127.0.0.1"))
    nodes = {operator: NodeHome(out / "nodes" / operator) for operator in simulation.operator_ids}
    for operator, home in nodes.items():
        initialise(home, NETWORK, operator)
    charter = agree(_keys(hub, nodes))
    hub.charter.write_bytes(charter.to_bytes())
    hub.zoning.write_bytes(zoning.to_bytes())
    shutil.copy(simulation.register, hub.register)
    for operator, home in nodes.items():
        _lay_out(simulation, operator, hub, home)
        home.policy.write_text(_policy(charter, withheld.get(operator, ()), tick_seconds), encoding="utf-8")
        enrol(home, operator, charter.network, fingerprint)
    return Parties(charter, zoning, hub, nodes, _office(hub, charter.network, out / "office"))


def _keys(hub: HubHome, nodes: Mapping[str, NodeHome]) -> Keys:
    """Return the public keys of the parties, as they would tell each other when they agree on the charter."""
    return Keys(
        hub=public_key(load_signing_key(hub.signing_key.read_bytes())),
        operators={n: public_key(load_signing_key(h.operator_key.read_bytes())) for n, h in nodes.items()},
        exchange={name: exchange_public(exchange_key_of(home)) for name, home in nodes.items()},
    )


def _lay_out(simulation: Simulation, operator: str, hub: HubHome, home: NodeHome) -> None:
    charter = Charter.read(hub.charter)
    identity = Identity(charter.network, OPERATOR, operator)
    home.certificate.write_bytes(sign(hub, home.request.read_bytes(), identity))
    for theirs, ours in (
        (hub.root_certificate, home.hub_root),
        (hub.charter, home.charter),
        (hub.zoning, home.zoning),
    ):
        shutil.copy(theirs, ours)
    home.config.write_text(
        _NODE_TOML.format(
            operator=simulation.operator(operator).resolve().as_posix(),
            first=simulation.days[0],
            last=simulation.days[-1],
            pseudonyms=_pseudonyms(simulation.days[0], simulation.days[-1]),
        ),
        encoding="utf-8",
    )


def _policy(charter: Charter, withheld: Collection[str], tick_seconds: float) -> str:
    """Return policy.toml of an operator that agrees to every product but some."""
    listed = [product.product_id for product in charter.products if product.product_id not in withheld]
    return _POLICY_TOML.format(
        products=json.dumps(listed), day=charter.budgets.day, month=charter.budgets.month, tick=tick_seconds
    )


def _pseudonyms(first: date, last: date) -> str:
    """Return the setting for days of two months, in which the node's own pseudonyms would change."""
    if (first.year, first.month) == (last.year, last.month):
        return ""
    return "# These days are in two months; the simulated identifiers are pseudonyms.\npseudonyms = {given = true}"


def _office(hub: HubHome, network: str, root: Path) -> OfficeHome:
    home, identity = OfficeHome(root), Identity(network, OFFICE_ROLE, OFFICE)
    root.mkdir()
    home.certificate.write_bytes(sign(hub, signing_request(new_key(home.key), identity), identity))
    shutil.copy(hub.root_certificate, home.hub_root)
    return home
