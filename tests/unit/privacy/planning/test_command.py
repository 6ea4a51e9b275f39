"""quorate-node plan."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from node.cli import commands
from node.config import Home
from node.enrolment import load
from node.planning import Planned, print_plan
from node.statistics.registry import algorithms
from privacy.calculus import charge
from privacy.errors import UsageProblem
from privacy.ledger import Ledger
from privacy.statistics import PRESENCE_BY_HOUR, UNION_SKETCH, WEIGHTED_PRESENCE, declare
from privacy.terms import Level
from quorate.contract.order import terms_of
from tests.support_node import enrolled, network_at, products_of
from tests.unit.privacy.builders import presence, request_for, spent_on
from tests.unit.privacy.planning.asked import (
    DAYS,
    DOCUMENT,
    GAUSSIAN,
    HOMES,
    HOURS,
    LAPLACE,
    RHO,
    planned,
    proposal,
)


def quorate_node(home: Home, *words: str) -> Result:
    result = CliRunner().invoke(commands, [*words, "--dir", str(home.root)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def ask(home: Home, product: str, first: date, *words: str) -> dict[str, Any]:
    told = quorate_node(home, "plan", product, "--from", str(first), "--json", *words).stdout
    return dict(json.loads(told))


def test_a_plan_for_a_program(home: Home) -> None:
    found = ask(home, "presence", DAYS[0])
    assert (found["outcome"], found["refused"], found["revision"]) == ("charged", None, 0)
    assert found["charge"]["by_day"] == 10_000_000
    day, month = found["rooms"]
    # The policy's cap of a day is below the charter's; residents have spent half of it.
    assert (day["first_day"], day["spent"], day["cap"], day["remains"]) == ("2026-10-19", 10**7, 2 * 10**7, 0)
    assert (month["length"], month["spent"]) == (31, 10_000_000)
    assert [level["operators"] for level in found["levels"][0]["accuracy"]] == [1, 2]


def test_what_is_in_the_ledger_comes_again_and_a_revision_is_charged_again(home: Home) -> None:
    again = ask(home, "residents", DAYS[0], "--to", str(DAYS[1]))
    revised = ask(home, "residents", DAYS[0], "--to", str(DAYS[1]), "--revision", "1")
    assert (again["outcome"], revised["outcome"]) == ("repeated", "charged")
    assert again["release_id"] != revised["release_id"]


def test_a_plan_names_the_day_that_cannot_bear_it(home: Home) -> None:
    own = load(home)
    with closing(Ledger(home.ledger, own.ledger_identity, own.budgets)) as ledger:
        terms = terms_of(own.charter, own.zoning, "presence", (DAYS[0], DAYS[0]), 0)
        ledger.commit(request_for(terms, "other"), date(2026, 11, 2))
    words = ("plan", "presence", "--from", str(DAYS[0]), "--revision", "1")
    text = quorate_node(home, *words).stdout
    assert "It would be refused: the privacy budget of day 2026-10-19 cannot bear this release" in text


def test_a_plan_for_a_person(home: Home) -> None:
    text = quorate_node(home, "plan", "residents", "--from", "2026-11-01", "--to", "2026-11-07").stdout
    for part in ("Residents (residents), 2026-11-01 to 2026-11-07", "the whole period", "0.005", "0.430"):
        assert part in text
    assert "σ = 10.01 in each cell" in text
    assert "smallest with 25 %" in text
    assert text.endswith("The budgets can bear it.\n")
    repeated = quorate_node(home, "plan", "residents", "--from", str(DAYS[0]), "--to", str(DAYS[1])).stdout
    assert "the same bytes would come again, at no charge" in repeated


def test_a_plan_of_several_levels_has_a_table_for_each(tmp_path: Path) -> None:
    levels = (Level(name="zone", share_permille=600), Level(name="district", share_permille=400))
    products = tuple(
        product.model_copy(update={"levels": levels, "mechanism": LAPLACE})
        for product in products_of(algorithms())
    )
    home = enrolled(network_at(tmp_path / "hub", products=products), tmp_path / "node")
    own = load(home)
    Ledger(home.ledger, own.ledger_identity, own.budgets).close()
    found = ask(home, "residents", DAYS[0], "--to", str(DAYS[1]))
    terms = terms_of(own.charter, own.zoning, "residents", DAYS, 0)
    assert found["release_id"] == terms.release_id()
    assert found["charge"] == terms.charge().model_dump(mode="json")
    assert (found["charge"]["by_period"], found["charge"]["by_day"]) == (RHO, 4 * RHO)
    for planned_level, level in zip(found["levels"], terms.levels, strict=True):
        shown = {name: planned_level[name] for name in level.model_dump()}
        assert (shown, planned_level["mechanism"]) == (level.model_dump(), LAPLACE)
    text = quorate_node(home, "plan", "residents", "--from", str(DAYS[0]), "--to", str(DAYS[1])).stdout
    # b = 12.91 and 15.82; the standard deviations are √2 times as much and less than a hundredth below.
    assert "Error by noise at level zone, σ = 18.2" in text
    assert "Error by noise at level district, σ = 22.3" in text


def with_product(tmp_path: Path, **product: Any) -> Home:
    """Return an enrolled node with a ledger, and one more product in the charter."""
    first = products_of(algorithms())[0]
    added = first.model_copy(
        update={"product_id": "more", "algorithm": algorithms()[product["statistic"]], **product}
    )
    products = (*products_of(algorithms()), added)
    home = enrolled(network_at(tmp_path / "hub", products=products), tmp_path / "node")
    own = load(home)
    Ledger(home.ledger, own.ledger_identity, own.budgets).close()
    return home


def test_a_plan_of_a_sketch_says_its_bins_and_the_noise_of_their_sum(tmp_path: Path) -> None:
    home = with_product(
        tmp_path,
        statistic=UNION_SKETCH,
        parameters={"bins": 1_000_000, "by_zone": False},
        levels=(Level(name="nation", share_permille=1000),),
    )
    found = ask(home, "more", DAYS[0], "--to", str(DAYS[1]))
    assert (found["bins"], found["outcome"]) == (1_000_000, "charged")
    # Δ² is 1 by period and by day, so that a day costs as much as the whole.
    assert found["charge"]["by_day"] == found["charge"]["by_period"] == RHO
    assert found["levels"][0]["name"] == "nation"
    text = quorate_node(home, "plan", "more", "--from", str(DAYS[0]), "--to", str(DAYS[1])).stdout
    assert "Error by noise at level nation, σ = 10.01 in each cell" in text
    # 10.01 · √10⁶.
    assert "A row has 1,000,000 bins" in text
    assert "1,000 times σ: 10,010 persons at level nation" in text


def test_a_plan_of_weighted_presence_needs_no_weights_and_finds_what_was_charged(tmp_path: Path) -> None:
    home = with_product(
        tmp_path,
        statistic=WEIGHTED_PRESENCE,
        parameters={"weight_maximum": 9, "night_hours": [0, 1], "silent_level": "district"},
        max_days=1,
    )
    found = ask(home, "more", DAYS[0])
    assert (found["outcome"], found["release_id"], found["bins"]) == ("charged", None, None)
    assert found["levels"][0]["period_squared"] == 24 * 9**2
    text = quorate_node(home, "plan", "more", "--from", str(DAYS[0])).stdout
    assert "A count is a sum of weights in their fixed point." in text
    own = load(home)
    terms = terms_of(own.charter, own.zoning, "more", (DAYS[0], DAYS[0]), 0, weights="ab" * 32)
    with closing(Ledger(home.ledger, own.ledger_identity, own.budgets)) as ledger:
        ledger.commit(request_for(terms, "weighted"), date(2026, 11, 2))
    again, revised = (ask(home, "more", DAYS[0], "--revision", revision) for revision in "01")
    assert (again["outcome"], again["release_id"]) == ("repeated", terms.release_id())
    assert (revised["outcome"], revised["release_id"]) == ("charged", None)
    assert ask(home, "more", DAYS[1])["outcome"] == "charged"


def test_a_plan_while_the_node_runs_changes_nothing(home: Home) -> None:
    own, before = load(home), home.ledger.read_bytes()
    with closing(Ledger(home.ledger, own.ledger_identity, own.budgets)):
        ask(home, "presence", DAYS[0])
    assert home.ledger.read_bytes() == before


@pytest.mark.parametrize(("name", "start"), [("a.svg", b"<svg"), ("a.png", b"\x89PNG"), ("a.html", b"<!")])
def test_a_picture_is_what_its_name_says(home: Home, tmp_path: Path, name: str, start: bytes) -> None:
    path = tmp_path / name
    quorate_node(home, "plan", "presence", "--from", str(DAYS[0]), "--picture", str(path))
    assert path.read_bytes().lstrip().startswith(start)
    assert b'src="http' not in path.read_bytes()


def test_pictures_that_cannot_be_drawn_say_why(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("plan", "presence", "--from", str(DAYS[0]), "--picture")
    with pytest.raises(UsageProblem, match="what kind of picture"):
        quorate_node(home, *words, str(tmp_path / "a.jpg"))
    with pytest.raises(UsageProblem, match="cannot be written"):
        quorate_node(home, *words, str(tmp_path / "nowhere" / "a.svg"))
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UsageProblem, match="vl-convert, which is not installed") as caught:
        quorate_node(home, *words, str(tmp_path / "a.svg"))
    assert caught.value.todo == "install it: pip install 'quorate[demo]'"


def test_the_example_of_the_documentation_is_what_the_command_prints() -> None:
    long_day, week = date(2026, 10, 25), (date(2026, 10, 19), date(2026, 10, 25))
    terms = presence(long_day, 20_000_000, bounds=declare(PRESENCE_BY_HOUR, {}, 25))
    asked = proposal(terms.bounds, (long_day, long_day), terms.by_period, product="presence")
    wednesday = charge(HOURS, GAUSSIAN, date(2026, 10, 21), date(2026, 10, 21), 20_000_000)
    before = spent_on(charge(HOMES, GAUSSIAN, *week, RHO), wednesday)
    found = Planned(
        title="Persons present by zone and hour",
        terms=terms.model_copy(update={"product": "presence"}),
        proposal=asked,
        plan=planned(asked, spent=before, operators=(1, 3)),
        recorded=False,
        lost=False,
        operators=3,
    )
    printed = StringIO()
    print_plan(found, Console(file=printed, width=80, markup=False, emoji=False, highlight=False))
    assert printed.getvalue() in DOCUMENT.read_text(encoding="utf-8")


def test_what_the_charter_does_not_have_is_refused(home: Home) -> None:
    for words, said in (
        (("nothing", "--from", "2026-10-19"), "no product called nothing"),
        (("presence", "--from", "2026-10-19", "--to", "2026-10-20"), "released for up to 1 day"),
    ):
        with pytest.raises(UsageProblem, match=said):
            quorate_node(home, "plan", *words)


def test_a_node_without_a_ledger_is_told_so(tmp_path: Path) -> None:
    home = enrolled(network_at(tmp_path / "hub"), tmp_path / "node")
    with pytest.raises(UsageProblem, match="no ledger"):
        ask(home, "presence", DAYS[0])
