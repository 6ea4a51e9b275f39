"""One release in the words of the OpenDP deployments registry: what people read on a release card."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict

from privacy.accuracy import WANTED, smallest_count
from privacy.deployments import (
    Administrative,
    Basic,
    Curator,
    Deployment,
    DeploymentModel,
    Implementation,
    Parameters,
    PrivacyLoss,
    Record,
    Variant,
)
from privacy.ledger.entry import Entry
from privacy.noise import MILLI, Sampler, deviation_milli, noise_of
from privacy.terms import Digest, Name
from privacy.units import NANO

#: What the hub does with the noised numbers; none of it reads data again.
POST_PROCESSING = (
    "contributions of the operators that answered are added, and so are their variances",
    "where several levels were measured, zones are estimated from all of them by least squares",
    "the sum is calibrated to public population registers",
    "sums over published areas of the zoning, with standard error and 95 % interval",
    "the lower end of an interval is cut at zero as the last step",
    "values whose coefficient of variation is above 25 % are suppressed",
)
NEIGHBOURS = "add or remove one subscriber of one operator within the privacy unit"
_SAMPLERS: dict[Sampler, str] = {
    "opendp": "OpenDP's own exact sampler",
    "table": "an exact inversion sampler driven by AES-256-CTR, wrapped as an OpenDP measurement",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Setting(_Frozen):
    """What a card says that is not in the entry.

    Attributes
    ----------
    network, operator
        Whose release it is.
    title
        Of the product.
    region
        That the zoning covers.
    cells
        Number of cells of the keyset.
    algorithm
        Digest of the code that the charter approved, if the entry is under the present charter.
    software
        Name and version of the software that writes the card.
    """

    network: Name
    operator: Name
    title: str
    region: str
    cells: int | None
    algorithm: Digest | None
    software: str


class Loss(_Frozen):
    """The loss of one privacy unit: all data of a subscriber on so many consecutive local days."""

    unit: Literal["subscriber-day", "subscriber-period"]
    days: int
    neighbours: str = NEIGHBOURS
    nano_rho: int
    rho: float
    epsilon: float
    delta: float


def record(entry: Entry, setting: Setting, losses: tuple[Loss, ...]) -> Record:
    """Return the registry's record of a release.

    Parameters
    ----------
    entry
        Of the ledger.
    setting
        What the entry does not say.
    losses
        Of the whole period first, and of a day last; the same one if the period is a day.
    """
    terms = entry.terms
    parts = (setting.network, setting.operator, terms.product, terms.first_day, terms.last_day)
    slug = "-".join([*map(str, parts), f"r{terms.revision}"])
    return Record(
        url_slug=re.sub(r"[^a-z0-9-]", "-", slug),
        deployment=Deployment(
            basic=_basic(entry, setting),
            dp_variant=_variant(entry),
            privacy_loss=_privacy_loss(losses),
            deployment_model=_MODEL,
            implementation=_implementation(entry),
            administrative=Administrative(registry_authors=(setting.operator,)),
        ),
    )


def _basic(entry: Entry, setting: Setting) -> Basic:
    terms = entry.terms
    return Basic(
        name=f"{setting.title}, {terms.first_day} to {terms.last_day}",
        data_curators=(Curator(data_curator_name=setting.operator, data_curator_type="Industry"),),
        description=(
            f"Noised counts of the statistic {terms.statistic} by one mobile network operator, revision "
            f"{terms.revision}; the hub of network {setting.network} combines them with those of others."
        ),
        intended_use=(
            "Official statistics: combined with the contributions of the network's other operators and "
            "calibrated to national estimates."
        ),
        data_product_type="Summary statistics",
        data_product_region=setting.region,
        data_product_sector="Government",
        publication_date=entry.recorded_on,
    )


def _variant(entry: Entry) -> Variant:
    terms = entry.terms
    return Variant(
        variant_name="Zero-concentrated DP",
        data_domain=(
            "Events (pseudonymous subscriber, time, radio cell) of the operator's subscriptions on the local "
            f"days {terms.first_day} to {terms.last_day}."
        ),
        unprotected_quantities=(
            "None. The list of cells is public and complete, and empty cells get noise too. Days for which "
            "the operator declared to have no data are public; refusals never depend on exact data."
        ),
    )


def _privacy_loss(losses: tuple[Loss, ...]) -> PrivacyLoss:
    whole, day = losses[0], losses[-1]
    partly = (
        f"One of its days, and every window of 31 days that it lies in only partly, costs ρ = {day.rho:g} "
        f"(ε = {day.epsilon:.3f} at δ = {day.delta:g})."
    )
    return PrivacyLoss(
        privacy_unit="Subscriber-day" if whole is day else f"Subscriber, {whole.days} local days",
        privacy_unit_details=(
            f"Adjacent data sets: {NEIGHBOURS}. A subscriber is a pseudonymous subscription; somebody with n "
            "subscriptions at the operator has n² times the loss."
        ),
        privacy_parameters=Parameters(rho=whole.rho, epsilon=whole.epsilon, delta=whole.delta),
        privacy_parameters_details=(
            "ε follows from ρ (Canonne, Kamath and Steinke 2020). " + ("" if whole is day else partly)
        ).strip(),
    )


_MODEL = DeploymentModel(
    model_name="Central",
    model_name_details=(
        "A federation of central curators: each operator noises its own subscribers' counts inside its own "
        "walls, and only noised counts leave."
    ),
    trust_assumptions=(
        "Subscribers trust their operator, which holds their events anyway. The hub, the statistical office "
        "and the public need not be trusted: they see noised counts only."
    ),
    release_type="Many releases",
    release_type_details=(
        "The operator's ledger charges every release to each local day and to every window of 31 consecutive "
        "days, and refuses what would exceed the charter's budget of either. There are no refunds."
    ),
    data_source_type="Dynamic",
    access_type="Non-interactive",
)


def _noise_of_levels(entry: Entry) -> str:
    symbol = "σ" if entry.terms.mechanism == "discrete-gaussian" else "b"
    return " ".join(
        f"Level {level.name}: ρ = {level.by_period / NANO:g}, {symbol} = {level.scale_milli / MILLI:g}, drawn by "
        f"{_SAMPLERS[sampler]}."
        for level, sampler in zip(entry.terms.levels, entry.samplers, strict=True)
    )


def _implementation(entry: Entry) -> Implementation:
    terms, bounds = entry.terms, entry.terms.bounds
    by_period, by_day = bounds.distances_squared(terms.mechanism)
    norm = "₂" if terms.mechanism == "discrete-gaussian" else "₁"
    # Counts of the level with most noise, which is that of the zones unless the shares are odd.
    sigma_milli = max(deviation_milli(noise_of(terms.mechanism, level.scale_milli)) for level in terms.levels)
    publishable, reliable = (smallest_count(sigma_milli, 1, limit) for limit in WANTED)
    return Implementation(
        preprocessing_and_hyperparameter_tuning=(
            f"Cells that all data of one subscriber can fill: {bounds.cells_by_period}; cells that one day's "
            f"data can change: {bounds.cells_by_day}; largest change of a cell: {bounds.cell_maximum}. Rows "
            "are accepted one by one by public rules. Nothing was tuned on the data."
        ),
        mechanisms=(
            f"{terms.mechanism}, independent in every cell; Δ{norm}² = {by_period} by period and {by_day} by "
            f"day. {_noise_of_levels(entry)} Without floating point. Exact counts end with the process that "
            "noises them; answers leave on a fixed tick of the clock."
        ),
        composition="Sequential composition of zCDP: ρ adds up over levels and over releases.",
        post_processing="At the operator: none. At the hub: " + "; ".join(POST_PROCESSING) + ".",
        justification=(
            f"Product, bounds and ρ were agreed by all parties in version {terms.charter_version} of the "
            "charter before anything was computed; the noise follows from them by OpenDP's privacy map."
        ),
        utility=(
            f"By noise alone a count has a coefficient of variation of at most 25 % from {publishable:,} on, "
            f"and of at most 10 % from {reliable:,} on."
        ),
    )
