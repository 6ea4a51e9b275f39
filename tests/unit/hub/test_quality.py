"""The quality report of a release: who took part, what was assumed, how good the estimates are, what was revised."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hub.client.office import quality_of
from hub.client.quality import as_text
from hub.estimation.table import estimate
from privacy.errors import UsageProblem
from tests.support_hub import (
    DAY,
    MAY,
    calibration,
    exact_vector,
    noised_vector,
    publication,
    question,
    small_agreement,
    terms_in,
)

OWN = small_agreement()
SURE = small_agreement(calibration=calibration(0, 0, 0))


def residents(operators: int = 3) -> pa.Table:
    terms = terms_in(OWN, "residents", *MAY)
    return estimate(question(OWN, terms, [noised_vector(OWN, terms) for _ in range(operators)]))


def test_the_report_says_who_took_part_and_who_did_not() -> None:
    report = quality_of(residents(2))
    assert report["operators"] == {"answered": ["east", "north"], "missing": ["west"]}
    assert (report["product"], report["statistic"], report["revision"]) == ("residents", "residents", 0)
    assert (report["first_day"], report["last_day"]) == ("2026-05-01", "2026-05-31")


def test_the_report_has_noise_cost_and_every_declared_assumption() -> None:
    report = quality_of(residents())
    assert report["noise"] == [{"level": "zone", "mechanism": "discrete-gaussian", "scale": 10.01}]
    assert report["rho"] == {"period": 5_000_000, "day": 10_000_000}
    assert report["assumptions"] == {"owner_dispersion": 0.25, "model_cv": 0.02, "share_sd": 0.25}
    assert report["charter"] == OWN.charter_digest


def test_the_levels_are_held_against_the_register() -> None:
    terms = terms_in(SURE, "residents", *MAY)
    zone, district = quality_of(estimate(question(SURE, terms, [exact_vector(SURE, terms)] * 3)))["levels"]
    for level in (zone, district):
        assert level["mean absolute difference from the register"] == 0
        assert level["sum over the register"] == 1
    assert (zone["level"], zone["cells"], zone["imputed"], zone["without any figure"]) == ("zone", 5, 0, 0)
    assert (district["level"], district["cells"]) == ("district", 3)


def test_an_hour_without_signal_is_counted_as_cells_without_an_estimate() -> None:
    terms = terms_in(OWN, "presence", DAY)
    vector = exact_vector(OWN, terms).reshape(6, 24)
    vector[:, 7] = 0
    zone = quality_of(estimate(question(OWN, terms, [vector.ravel()] * 3)))["levels"][0]
    assert zone["without any figure"] == 5
    assert zone["cells by status"]["Q"] >= 5
    assert sum(zone["cells by status"].values()) == 5 * 24


def table_of(values: list[float | None], areas: str = "ABCD") -> pa.Table:
    areas_, nothing = list(areas[: len(values)]), [None] * len(values)
    return pa.table(
        {
            "ref_area": areas_,
            "counterpart_area": pa.array(nothing, pa.string()),
            "time_period": ["now"] * len(values),
            "estimate": pa.array(values, pa.float64()),
        }
    )


def test_a_revision_says_how_far_it_is_from_what_it_corrects() -> None:
    from hub.estimation.quality import revised

    before = table_of([100.0, 200.0, None, 50.0]).replace_schema_metadata({"release": "r0"})
    assert revised(before, table_of([110.0, 200.0, 7.0, None])) == {
        "release": "r0",
        "cells in both": 2,
        "mean absolute difference": 0.05,
        "largest difference": 0.1,
    }
    assert revised(None, table_of([1.0])) is None


def test_cells_are_found_by_name_when_a_charter_has_changed_what_is_published() -> None:
    from hub.estimation.quality import revised

    told = revised(table_of([100.0, 10.0]), table_of([10.0, 100.0, 5.0], "BAC"))
    assert told is not None
    assert (told["cells in both"], told["largest difference"]) == (2, 0.0)


def test_no_number_of_a_single_operator_is_in_the_report() -> None:
    terms = terms_in(OWN, "residents", *MAY)
    vectors = [exact_vector(OWN, terms, scale) for scale in (400, 350, 250)]
    text = json.dumps(quality_of(estimate(question(OWN, terms, vectors))))
    totals = {str(int(vector[:-1].sum())) for vector in vectors}
    assert not [total for total in totals if total in text]


def test_a_table_without_a_report_is_told_so() -> None:
    with pytest.raises(UsageProblem, match="no quality report"):
        quality_of(pa.table({"a": np.zeros(1)}))


def test_a_person_reads_warnings_first_and_then_indented_lines() -> None:
    report: dict[str, Any] = {
        "product": "p",
        "operators": {"answered": ["a", "b"], "missing": []},
        "noise": [{"level": "zone", "scale": 10.01}],
        "revision of": None,
        "warnings": ["kappa is too small"],
    }
    assert as_text(report).splitlines() == [
        "warning: kappa is too small",
        "product: p",
        "operators:",
        "  answered: a, b",
        "  missing: none",
        "noise:",
        "  - level: zone",
        "    scale: 10.01",
        "revision of: –",
    ]


def test_every_report_can_be_read_by_a_person() -> None:
    own = small_agreement(publication=publication(levels=("province", "zone")))
    terms = terms_in(own, "presence", DAY)
    text = as_text(quality_of(estimate(question(own, terms, [noised_vector(own, terms)] * 3))))
    assert "  - level: province" in text
    assert "rejected rows and truncation" in text
