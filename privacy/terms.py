"""The terms of a release, completely: what is released for which days, at what loss, with what noise."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from privacy.calculus import Charge, LocalDay, charge
from privacy.canonical import Encoder, encoder_for
from privacy.sensitivity import Declaration, Mechanism
from privacy.units import NanoRho

#: Largest scale of noise, in thousandths: far more than a count of people, and exact in every document.
LARGEST_SCALE_MILLI = 2**40

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]


class Level(BaseModel):
    """One level of the zoning that a product measures, and its share of the loss in thousandths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    share_permille: int = Field(strict=True, ge=1, le=1000)


class LevelTerms(Level):
    """A level with its part of the loss and its noise.

    Attributes
    ----------
    by_period
        Part of the loss of the whole period in nano-ρ, rounded down; the parts are never more than the whole.
    scale_milli
        Of the noise in every cell of the level, in thousandths: σ of a Gaussian, b of a Laplace distribution.
    """

    by_period: NanoRho
    scale_milli: int = Field(strict=True, ge=1, le=LARGEST_SCALE_MILLI)


class Terms(BaseModel):
    """What is released, completely: two orders with equal terms ask for the same release.

    Attributes
    ----------
    product, statistic, parameters
        The product of the charter, its statistic and the fixed parameters.
    zoning, keyset
        Digests of the zoning and of the public list of cells.
    levels
        Levels of the zoning that are measured, each with noise of its own; the order is that of the vector.
    first_day, last_day
        Local days read, both included.
    bounds
        Declared contribution bounds, which hold at every level.
    mechanism, by_period
        Noise, and the loss of the whole period over all levels in nano-ρ.
    charter_version, revision
        Version of the agreement, and 0 for the first measurement; each higher one is charged in full.
    weights
        Digest of the weights, for weighted statistics.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: Name
    statistic: Name
    parameters: dict[str, JsonValue]
    zoning: Digest
    keyset: Digest
    levels: tuple[LevelTerms, ...] = Field(min_length=1)
    first_day: LocalDay
    last_day: LocalDay
    bounds: Declaration
    mechanism: Mechanism
    by_period: NanoRho
    charter_version: int = Field(strict=True, ge=1, le=2**31)
    revision: int = Field(default=0, strict=True, ge=0, lt=2**31)
    weights: Digest | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Terms:
        if len({level.name for level in self.levels}) != len(self.levels):
            raise ValueError("a level is named twice")
        if sum(level.by_period for level in self.levels) > self.by_period:
            raise ValueError("the levels cost more than the release")
        return self

    @model_validator(mode="after")
    def _written(self) -> Terms:
        # What has no canonical form has no release id: this must be known before anything is computed.
        try:
            self.encoder()(self.parameters)
        except (ValueError, RecursionError) as error:
            raise ValueError("the parameters have no canonical form (RFC 8785)") from error
        return self

    def encoder(self) -> Encoder:
        """Return a quick encoder of these terms, and of documents that hold them, to canonical JSON."""
        return encoder_for(self.parameters)

    def release_id(self) -> str:
        """Return the hash of the terms in their canonical form (RFC 8785).

        Neither a nonce, nor a validity, nor anything of the data enters it, so that a repeated order is
        recognised whatever the data are by then.
        """
        return hashlib.sha256(
            b"quorate.release.v1" + self.encoder()(self.model_dump(mode="json"))
        ).hexdigest()

    def charge(self) -> Charge:
        """Return what the release costs: the period, and each of its days."""
        return charge(self.bounds, self.mechanism, self.first_day, self.last_day, self.by_period)
