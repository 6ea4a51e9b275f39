"""A record in the vocabulary of the OpenDP deployments registry.

Names of sections, fields and enumerated values are those of the registry's own schema, file
`schemas/deployments-schema.yaml` of github.com/opendp/deployments-registry-data at commit 057e5d8 (2026). It
builds on work by E. Ghazi, P. Nanayakkara and S. Vadhan. Only fields that a release of Quorate has an answer
for are here; `number_of_privacy_units` is left out, because the number of subscribers is not public. The
registry's fields are free text for people; the exact numbers are in `privacy.card` beside the record.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Curator(_Frozen):
    """Who publishes the data product."""

    data_curator_name: str
    data_curator_type: Literal["Government", "Industry", "Nonprofit"]


class Basic(_Frozen):
    """Tier 1: what it is."""

    name: str
    data_curators: tuple[Curator, ...] = Field(min_length=1)
    description: str
    intended_use: str
    data_product_type: Literal["Summary statistics", "Dataset"]
    data_product_region: str
    data_product_sector: Literal["Technology", "Healthcare", "Education", "Government", "Energy", "Finance"]
    publication_date: date


class Variant(_Frozen):
    """How privacy loss is measured, over which data."""

    variant_name: Literal["Pure DP", "Approximate DP", "Zero-concentrated DP", "Renyi DP", "Custom"]
    data_domain: str
    unprotected_quantities: str


class Parameters(_Frozen):
    """Losses as numbers."""

    rho: float
    epsilon: float
    delta: float


class PrivacyLoss(_Frozen):
    """What is protected, and how strongly."""

    privacy_unit: str
    privacy_unit_details: str
    privacy_parameters: Parameters
    privacy_parameters_details: str


class DeploymentModel(_Frozen):
    """Who trusts whom with what, and how often something is released."""

    model_name: Literal["Local", "Central", "Shuffle", "Federated", "Varies"]
    model_name_details: str
    trust_assumptions: str
    release_type: Literal["One release", "Many releases"]
    release_type_details: str
    data_source_type: Literal["Static", "Dynamic"]
    access_type: Literal["Interactive", "Non-interactive"]


class Implementation(_Frozen):
    """How it was done."""

    preprocessing_and_hyperparameter_tuning: str
    mechanisms: str
    composition: str
    post_processing: str
    justification: str
    utility: str


class Administrative(_Frozen):
    """Who wrote the record, and what the registry's board has said about it."""

    status: Literal["Draft"] = "Draft"
    registry_authors: tuple[str, ...] = Field(min_length=1)
    tier: Literal[1, 2, 3] = 3


class Deployment(_Frozen):
    """The sections of a record."""

    basic: Basic
    dp_variant: Variant
    privacy_loss: PrivacyLoss
    deployment_model: DeploymentModel
    implementation: Implementation
    administrative: Administrative


class Record(_Frozen):
    """What a file of the registry contains."""

    url_slug: str = Field(pattern=r"^[a-z0-9-]+$")
    deployment: Deployment
