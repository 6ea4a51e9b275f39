"""The release card: a machine-readable statement of what a release protects, how strongly and by what means.

Everything in it follows from the release's entry in the ledger and from public documents. `release`,
`losses` and `noise` are exact; `registry` says the same for people, in the vocabulary of the OpenDP
deployments registry (privacy.deployments).
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from privacy.accuracy import DELTA
from privacy.deployments import Record
from privacy.ledger.entry import Entry, head_after
from privacy.noise import MILLI, Sampler
from privacy.registry_record import POST_PROCESSING, Loss, Setting, record
from privacy.sensitivity import Declaration, Mechanism
from privacy.terms import Digest, Name
from privacy.units import NANO, epsilon


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Release(_Frozen):
    """Which release it is."""

    release_id: Digest
    ledger_sequence: int
    ledger_head: Digest
    result_sha256: Digest
    network: Name
    operator: Name
    product: Name
    statistic: Name
    parameters: dict[str, JsonValue]
    first_day: date
    last_day: date
    revision: int
    charter_version: int
    recorded_on: date


class LevelNoise(_Frozen):
    """Noise of one level: σ of a Gaussian, or b of a Laplace distribution, in every cell of the level."""

    name: Name
    nano_rho: int
    scale: float
    sampler: Sampler


class Noise(_Frozen):
    """What was added to what.

    Attributes
    ----------
    period_squared, day_squared
        Δ² by period and by day in the norm of the mechanism.
    levels
        Each with its part of the loss, the scale of its noise and the sampler that drew it.
    keyset, zoning
        Digests of the public list of cells and of the zoning.
    """

    mechanism: Mechanism
    bounds: Declaration
    period_squared: int
    day_squared: int
    levels: tuple[LevelNoise, ...]
    keyset: Digest
    cells: int | None
    zoning: Digest
    weights: Digest | None


class Card(_Frozen):
    """The statement of one release."""

    card: Literal["quorate.release-card.v1"] = "quorate.release-card.v1"
    release: Release
    losses: tuple[Loss, ...]
    noise: Noise
    post_processing: tuple[str, ...] = POST_PROCESSING
    algorithm: Digest | None
    software: str
    registry: Record


def card(entry: Entry, setting: Setting, delta: float = DELTA) -> Card:
    """Return the card of a release.

    Parameters
    ----------
    entry
        Of the ledger.
    setting
        What the entry does not say.
    delta
        At which ε is shown.
    """
    losses = _losses(entry, delta)
    return Card(
        release=_release(entry, setting),
        losses=losses,
        noise=_noise(entry, setting),
        algorithm=setting.algorithm,
        software=setting.software,
        registry=record(entry, setting, losses),
    )


def _release(entry: Entry, setting: Setting) -> Release:
    terms = entry.terms
    return Release(
        release_id=entry.release_id,
        ledger_sequence=entry.sequence,
        ledger_head=head_after(entry.to_bytes()),
        result_sha256=entry.result_sha256,
        network=setting.network,
        operator=setting.operator,
        product=terms.product,
        statistic=terms.statistic,
        parameters=terms.parameters,
        first_day=terms.first_day,
        last_day=terms.last_day,
        revision=terms.revision,
        charter_version=terms.charter_version,
        recorded_on=entry.recorded_on,
    )


def _losses(entry: Entry, delta: float) -> tuple[Loss, ...]:
    """Return the loss of the whole period, and that of a day if the period is longer."""
    charge = entry.charge
    days = (charge.last_day - charge.first_day).days + 1
    by_day = _loss("subscriber-day", 1, charge.by_day, delta)
    return (by_day,) if days == 1 else (_loss("subscriber-period", days, charge.by_period, delta), by_day)


def _loss(unit: Literal["subscriber-day", "subscriber-period"], days: int, nano: int, delta: float) -> Loss:
    return Loss(
        unit=unit, days=days, nano_rho=nano, rho=nano / NANO, epsilon=epsilon(nano, delta), delta=delta
    )


def _noise(entry: Entry, setting: Setting) -> Noise:
    terms = entry.terms
    by_period, by_day = terms.bounds.distances_squared(terms.mechanism)
    return Noise(
        mechanism=terms.mechanism,
        bounds=terms.bounds,
        period_squared=by_period,
        day_squared=by_day,
        levels=tuple(
            LevelNoise(
                name=level.name, nano_rho=level.by_period, scale=level.scale_milli / MILLI, sampler=sampler
            )
            for level, sampler in zip(terms.levels, entry.samplers, strict=True)
        ),
        keyset=terms.keyset,
        cells=setting.cells,
        zoning=terms.zoning,
        weights=terms.weights,
    )
