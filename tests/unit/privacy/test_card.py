"""The release card says what the ledger entry says, in the registry's words."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from node.cards import print_card
from node.cli import commands
from node.config import Home
from node.enrolment import load
from privacy.card import Card, card
from privacy.errors import LedgerProblem, UsageProblem
from privacy.ledger import Entry, Ledger, Terms
from privacy.ledger.entry import GENESIS, head_after
from privacy.registry_record import Setting
from privacy.terms import LevelTerms
from privacy.units import epsilon
from quorate.contract.order import terms_of
from tests.support_node import NAME, NETWORK, enrolled, network_at
from tests.unit.privacy.builders import UNIT, presence, request_for, residents

FEBRUARY = date(2026, 2, 1), date(2026, 2, 28)
SETTING = Setting(
    network="testnet",
    operator="alpha",
    title="Residents by zone",
    region="Small",
    cells=4,
    algorithm="c" * 64,
    software="quorate 0.1.0",
)
#: Required fields and enumerated values of the registry's schema (see privacy.deployments).
REQUIRED = {
    "": {"url_slug", "deployment"},
    "deployment": {"basic", "administrative"},
    "deployment.basic": {
        "name",
        "data_curators",
        "description",
        "intended_use",
        "data_product_type",
        "data_product_region",
        "publication_date",
    },
    "deployment.administrative": {"status", "registry_authors", "tier"},
}
TIER_3 = {
    "deployment.dp_variant": {"variant_name", "data_domain", "unprotected_quantities"},
    "deployment.privacy_loss": {
        "privacy_unit",
        "privacy_unit_details",
        "privacy_parameters",
        "privacy_parameters_details",
    },
    "deployment.deployment_model": {
        "model_name",
        "model_name_details",
        "trust_assumptions",
        "release_type",
        "release_type_details",
        "data_source_type",
        "access_type",
    },
    "deployment.implementation": {
        "preprocessing_and_hyperparameter_tuning",
        "mechanisms",
        "composition",
        "post_processing",
        "justification",
        "utility",
    },
}


def entry_of(terms: Terms, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "sequence": 1,
        "previous": GENESIS,
        "release_id": terms.release_id(),
        "terms": terms,
        "charge": terms.charge(),
        "samplers": ("table",) * len(terms.levels),
        "result_sha256": "d" * 64,
        "result_length": 12,
        "commitment": "e" * 64,
        "recorded_on": date(2026, 3, 3),
    }
    return Entry(**(fields | changes))


ENTRY = entry_of(residents(*FEBRUARY))
#: The same month at two levels: 1/√(2·.004) = 11.1803 and 1/√(2·.006) = 9.1287.
LAPLACE = residents(
    *FEBRUARY,
    mechanism="discrete-laplace",
    levels=(
        LevelTerms(name="district", share_permille=400, by_period=4_000_000, scale_milli=11_190),
        LevelTerms(name="zone", share_permille=600, by_period=6_000_000, scale_milli=9_140),
    ),
)


def at(path: str, made: Card) -> dict[str, Any]:
    found = made.registry.model_dump(mode="json")
    for name in filter(None, path.split(".")):
        found = found[name]
    return found


# --- exact facts ------------------------------------------------------------------------------------------


def test_a_card_names_its_release_and_its_place_in_the_chain() -> None:
    release = card(ENTRY, SETTING).release
    assert (release.release_id, release.ledger_sequence) == (ENTRY.terms.release_id(), 1)
    assert release.ledger_head == head_after(ENTRY.to_bytes())
    assert (release.first_day, release.last_day, release.revision) == (*FEBRUARY, 0)
    assert (release.network, release.operator, release.result_sha256) == ("testnet", "alpha", "d" * 64)


def test_a_month_has_the_loss_of_the_period_and_that_of_a_day() -> None:
    period, day = card(ENTRY, SETTING, delta=1e-9).losses
    assert (period.unit, period.days, period.nano_rho, period.rho) == ("subscriber-period", 28, UNIT, 0.01)
    assert (day.unit, day.days, day.nano_rho, day.rho) == ("subscriber-day", 1, 2 * UNIT, 0.02)
    assert (period.epsilon, day.epsilon) == (epsilon(UNIT, 1e-9), epsilon(2 * UNIT, 1e-9))
    assert {loss.delta for loss in (period, day)} == {1e-9}
    assert "add or remove one subscriber of one operator" in period.neighbours


def test_a_day_has_one_loss() -> None:
    made = card(entry_of(presence(FEBRUARY[0])), SETTING)
    assert [(loss.unit, loss.nano_rho, loss.delta) for loss in made.losses] == [
        ("subscriber-day", UNIT, 1e-6)
    ]
    assert made.registry.deployment.privacy_loss.privacy_unit == "Subscriber-day"


def test_the_noise_is_that_of_the_terms() -> None:
    noise, terms = card(ENTRY, SETTING).noise, ENTRY.terms
    (level,) = noise.levels
    assert (noise.mechanism, level.name, level.nano_rho) == ("discrete-gaussian", "zone", UNIT)
    assert (level.scale, level.sampler) == (34.65, "table")
    assert (noise.bounds, noise.period_squared, noise.day_squared) == (terms.bounds, 1, 2)
    assert (noise.keyset, noise.zoning, noise.cells) == ("b" * 64, "a" * 64, 4)


def test_several_levels_have_their_own_loss_scale_and_sampler() -> None:
    noise = card(entry_of(LAPLACE, samplers=("opendp", "table")), SETTING).noise
    assert [level.model_dump() for level in noise.levels] == [
        {"name": "district", "nano_rho": 4_000_000, "scale": 11.19, "sampler": "opendp"},
        {"name": "zone", "nano_rho": 6_000_000, "scale": 9.14, "sampler": "table"},
    ]
    # In the norm of Laplace noise: one day can move a home, which changes two cells by one.
    assert (noise.mechanism, noise.period_squared, noise.day_squared) == ("discrete-laplace", 1, 4)
    period, day = card(entry_of(LAPLACE), SETTING).losses
    assert (period.nano_rho, day.nano_rho) == (UNIT, 4 * UNIT)


def test_a_person_reads_the_noise_of_every_level() -> None:
    printed = StringIO()
    made = card(entry_of(LAPLACE, samplers=("opendp", "table")), SETTING)
    print_card(made, Console(file=printed, width=200))
    for part in (
        "noise of level district",
        "discrete-laplace, scale 11.19, sampler opendp, ρ = 0.004",
        "discrete-laplace, scale 9.14, sampler table, ρ = 0.006",
        "Δ₁²",
        "1 by period, 4 by day",
    ):
        assert part in printed.getvalue()


def test_a_card_is_json_that_reads_back() -> None:
    made = card(ENTRY, SETTING)
    text = made.model_dump_json()
    assert Card.model_validate_json(text) == made
    assert json.loads(text)["card"] == "quorate.release-card.v1"


def test_a_card_tells_nothing_that_is_not_in_the_entry_or_the_setting() -> None:
    changed = entry_of(ENTRY.terms, commitment="f" * 64)
    made, other = (card(entry, SETTING).model_dump_json() for entry in (ENTRY, changed))
    assert "e" * 64 not in made
    assert made.replace(head_after(ENTRY.to_bytes()), "") == other.replace(head_after(changed.to_bytes()), "")


# --- the registry's vocabulary ----------------------------------------------------------------------------


def test_the_record_has_what_the_registry_requires_and_the_fields_of_its_third_tier() -> None:
    made = card(ENTRY, SETTING)
    for path, names in REQUIRED.items():
        assert names <= set(at(path, made)), path
    for path, names in TIER_3.items():
        assert names == set(at(path, made)), path
        assert all(at(path, made).values())


def test_the_record_uses_the_registrys_enumerated_values() -> None:
    deployment = card(ENTRY, SETTING).registry.deployment
    assert deployment.dp_variant.variant_name == "Zero-concentrated DP"
    assert deployment.basic.data_product_type == "Summary statistics"
    assert [curator.data_curator_type for curator in deployment.basic.data_curators] == ["Industry"]
    model = deployment.deployment_model
    assert (model.model_name, model.release_type) == ("Central", "Many releases")
    assert (model.data_source_type, model.access_type) == ("Dynamic", "Non-interactive")
    assert (deployment.administrative.status, deployment.administrative.tier) == ("Draft", 3)


def test_the_record_says_in_words_what_the_card_says_in_numbers() -> None:
    deployment = card(ENTRY, SETTING).registry.deployment
    parameters = deployment.privacy_loss.privacy_parameters
    assert (parameters.rho, parameters.delta) == (0.01, 1e-6)
    assert parameters.epsilon == epsilon(UNIT, 1e-6)
    assert "ρ = 0.02" in deployment.privacy_loss.privacy_parameters_details
    assert deployment.privacy_loss.privacy_unit == "Subscriber, 28 local days"
    assert "σ = 34.65" in deployment.implementation.mechanisms
    assert "Δ₂² = 1 by period and 2 by day" in deployment.implementation.mechanisms
    assert "inversion sampler" in deployment.implementation.mechanisms
    # 34.65/0.25 = 138.6 and 34.65/0.1 = 346.5.
    assert "25 % from 139 on" in deployment.implementation.utility
    assert "10 % from 347 on" in deployment.implementation.utility
    assert "2026-02-01 to 2026-02-28" in deployment.dp_variant.data_domain
    assert deployment.basic.publication_date == date(2026, 3, 3)


def test_the_slug_is_one_of_an_address() -> None:
    dotted = card(entry_of(residents(*FEBRUARY, product="homes_v1.2", revision=3)), SETTING).registry.url_slug
    assert dotted == "testnet-alpha-homes-v1-2-2026-02-01-2026-02-28-r3"
    assert re.fullmatch(r"[a-z0-9-]+", dotted)


def test_the_other_sampler_has_its_own_words() -> None:
    made = card(entry_of(ENTRY.terms, samplers=("opendp",)), SETTING).registry.deployment.implementation
    assert "OpenDP's own exact sampler" in made.mechanisms


def test_the_record_says_of_every_level_what_its_noise_is() -> None:
    made = card(entry_of(LAPLACE, samplers=("opendp", "table")), SETTING).registry.deployment.implementation
    assert made.mechanisms.startswith(
        "discrete-laplace, independent in every cell; Δ₁² = 1 by period and 4 by day."
    )
    assert "Level district: ρ = 0.004, b = 11.19, drawn by OpenDP's own exact sampler." in made.mechanisms
    assert "Level zone: ρ = 0.006, b = 9.14, drawn by an exact inversion sampler" in made.mechanisms
    assert "zones are estimated from all of them by least squares" in made.post_processing
    # A standard deviation of √(2·11.19² − 1/6) = 15.82 at the level with most noise: 63.3 and 158.2.
    assert "25 % from 64 on" in made.utility
    assert "10 % from 159 on" in made.utility


# --- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An enrolled node with two releases, the second under an older charter and zoning."""
    made = enrolled(network_at(tmp_path / "hub"), tmp_path / "node")
    own = load(made)
    with closing(Ledger(made.ledger, own.ledger_identity, own.budgets)) as ledger:
        days = date(2026, 10, 19), date(2026, 10, 25)
        ledger.commit(request_for(terms_of(own.charter, own.zoning, "residents", days, 0)), date(2026, 11, 2))
        ledger.commit(request_for(residents(*FEBRUARY, 5_000_000), "older"), date(2026, 11, 2))
    return made


def quorate_node(home: Home, *words: str) -> Result:
    result = CliRunner().invoke(commands, [*words, "--dir", str(home.root)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_prints_the_card_of_an_entry(home: Home) -> None:
    made = Card.model_validate_json(quorate_node(home, "ledger", "card", "1", "--json").stdout)
    own = load(home)
    product = own.charter.product("residents")
    assert (made.release.network, made.release.operator) == (NETWORK, NAME)
    assert (made.noise.cells, made.algorithm) == (4, product.algorithm)
    assert made.registry.deployment.basic.name == "Residents, 2026-10-19 to 2026-10-25"
    assert re.fullmatch(r"quorate \d+\.\d+\.\d+", made.software)


def test_what_the_present_charter_does_not_know_is_left_open(home: Home) -> None:
    made = Card.model_validate_json(quorate_node(home, "ledger", "card", "2", "--json").stdout)
    assert (made.noise.cells, made.algorithm) == (None, None)
    assert made.registry.deployment.basic.name.startswith("residents, 2026-02-01")


def test_the_command_prints_the_card_for_a_person_while_the_ledger_is_in_use(home: Home) -> None:
    own = load(home)
    with closing(Ledger(home.ledger, own.ledger_identity, own.budgets)):
        text = quorate_node(home, "ledger", "card", "1").output
    for part in (
        "ρ = 0.005, ε = 0.430",
        "ρ = 0.01",
        "discrete-gaussian, scale 10.01",
        "1 by period, 2 by day",
    ):
        assert part in text


def test_an_entry_that_is_not_there_is_refused(home: Home) -> None:
    with pytest.raises(UsageProblem, match="no entry 3"):
        quorate_node(home, "ledger", "card", "3")
    assert quorate_node(home, "ledger", "card", "0").exit_code == 2


@pytest.mark.parametrize(("column", "value"), [("by_period", "5000001"), ("sequence", '"x"')])
def test_an_entry_that_does_not_hold_has_no_card(home: Home, column: str, value: str) -> None:
    with closing(sqlite3.connect(home.ledger)) as db:
        (raw,) = db.execute("SELECT entry FROM entry WHERE sequence = 1").fetchone()
        forged = re.sub(rf'"{column}":\d+', f'"{column}":{value}', raw.decode(), count=1)
        db.execute("UPDATE entry SET entry = ? WHERE sequence = 1", (forged.encode(),))
        db.commit()
    with pytest.raises(LedgerProblem, match="entry 1 of the ledger does not hold"):
        quorate_node(home, "ledger", "card", "1")


def test_a_ledger_that_is_not_one_or_not_there_is_refused(home: Home) -> None:
    home.ledger.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerProblem):
        quorate_node(home, "ledger", "card", "1")
    for path in home.root.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(UsageProblem, match="no ledger"):
        quorate_node(home, "ledger", "card", "1")
