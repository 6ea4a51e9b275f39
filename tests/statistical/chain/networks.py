"""Real networks over the simulated country: hub and nodes as processes, charters, releases, and what a hub holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from deploy.demo.agreement import charter_of
from deploy.demo.parties import set_up
from deploy.demo.simulation import Settings, Simulation
from hub.config import Agreement, load_agreement
from hub.estimation.question import Answer
from hub.opening import answers_of, name_of
from hub.store import store_of
from node.statistics.registry import algorithms
from privacy.units import LARGEST, NANO
from quorate.contract.charter import Charter, Keys, Product
from quorate.contract.zoning import ZONE, Zoning
from tests.harness import Network, wait_until
from tests.statistical.scenarios import TAU
from tests.two_rounds import WEIGHTED, agreed, anchors, weighted

Days = tuple[date, date]
#: σ of the counts of residents and of presence at full scale, and the largest weight: those of the acceptance table
#: and of `tests.statistical.presence_world`.
RESIDENTS_SIGMA, PRESENCE_SIGMA, LARGEST_WEIGHT = 50.0, 100.0, 10
HOURS = 24
#: Long enough for the nodes to build presence of every day.
PATIENCE = 3600.0
RESIDENTS, PRESENCE = "residents", "presence"


def without(operator: str) -> str:
    """Return the weighted product that an operator's policy does not list."""
    return f"weighted-without-{operator}"


def loss(squared_sensitivity: float, sigma: float) -> int:
    """Return the loss in nano-ρ with which noise has a standard deviation: ρ = Δ²/(2σ²)."""
    return round(NANO * squared_sensitivity / (2 * sigma**2))


def residents_charter(scale: float, charter: Charter) -> Charter:
    """Return the charter of both dates: residents of municipalities, σ = 50 · scale."""
    (product,) = (one for one in charter.products if one.product_id == RESIDENTS)
    rho = loss(1, RESIDENTS_SIGMA * scale)
    return _patient(agreed(charter, (product.model_copy(update={"rho": rho}),), day_budget=_bounded(4 * rho)))


def presence_charter(scale: float, charter: Charter) -> Charter:
    """Return the charter of one day: presence by hour, anchors, and weighted presence, σ = 100 · scale.

    Beside the weighted product that all operators take part in, there is one for each operator that its policy does
    not list: the same thing, so that one operator is missing after the weights went out.
    """
    sigma = PRESENCE_SIGMA * scale
    (by_hour,) = (one for one in charter.products if one.product_id == PRESENCE)
    # Noise of a weighted answer is σ times the largest weight, so its loss is that of presence by hour.
    rho = loss(HOURS, sigma)
    names = [WEIGHTED, *(without(operator) for operator in charter.operators)]
    products: tuple[Product, ...] = (
        by_hour.model_copy(update={"rho": rho}),
        anchors(loss(1, sigma)),
        *(weighted(rho, LARGEST_WEIGHT, name) for name in names),
    )
    budget = _bounded(sum(product.rho for product in products))
    published = charter.publication.model_copy(update={"levels": (ZONE,)})
    return _patient(
        agreed(charter.model_copy(update={"publication": published}), products, day_budget=budget)
    )


def _bounded(rho: int) -> int:
    """Return a budget of a day of which 31 days' can be written down."""
    if 31 * rho > LARGEST:
        raise ValueError("at this scale the noise is so small that no budget bears it; take a larger one")
    return rho


def _patient(charter: Charter) -> Charter:
    publication = charter.publication.model_copy(update={"collect_seconds": int(PATIENCE)})
    return charter.model_copy(update={"publication": publication})


@contextmanager
def running(
    simulation: Simulation,
    zoning: Zoning,
    amend: Callable[[Charter], Charter],
    root: Path,
    *,
    withheld: Mapping[str, Collection[str]] = MappingProxyType({}),
    known: str = "",
) -> Iterator[Network]:
    """Run a hub and a node of every operator, all of whose days are built; they end with this.

    Parameters
    ----------
    simulation, zoning
        Data and zones of the operators.
    amend
        Makes the charter of that of the demo.
    root
        New directory.
    withheld
        Products that an operator's policy does not list.
    known
        knowledge.toml of the hub.
    """

    def agree(keys: Keys) -> Charter:
        return amend(charter_of(zoning, simulation.settings, algorithms(), keys))

    root.mkdir()
    net = Network(set_up(simulation, zoning, agree, root, tick_seconds=0.2, withheld=withheld), root)
    net.parties.hub.knowledge.write_text(known, encoding="utf-8")
    try:
        net.start_hub()
        for operator in net.parties.nodes:
            net.start_node(operator)
        for operator in net.parties.nodes:
            wait_until(partial(_ready, net, operator), f"{operator} to build presence", PATIENCE)
        yield net
    finally:
        net.stop()


def _ready(net: Network, operator: str) -> bool:
    said = net.log(operator)
    assert net.running[operator].poll() is None, said
    return "connected to the hub" in said


def release(net: Network, product: str, days: Days) -> pa.Table:
    """Ask for a release as an office, and return its published estimates."""
    with net.office() as office:
        name = office.request(product, *days)
        office.wait(name, PATIENCE, lambda _seen: None)
        return office.estimates(name)


def knowledge(register: Days, now: date, persons: float) -> str:
    """Return knowledge.toml: when the register was drawn up, how zones grow, and the national population now."""
    return (
        f"[register_date]\nfirst_day = {register[0]}\nlast_day = {register[1]}\ntau = {TAU}\n"
        f"[[population]]\nday = {now}\npersons = {persons:.1f}\n"
    )


def held(net: Network, product: str, days: Days) -> list[Answer]:
    """Return the contributions that the hub holds of a release, by operator."""
    with closing(store_of(net.parties.hub)) as store:
        return answers_of(store.contributions(name_of(product, days, 0)))


def agreement(net: Network) -> Agreement:
    """Return what the hub works by."""
    return load_agreement(net.parties.hub)


def settings_of(settings: Settings, start: date, days: int) -> Settings:
    """Return the settings of other days."""
    return settings.model_copy(update={"start": start, "days": days, "presence_day": None})
