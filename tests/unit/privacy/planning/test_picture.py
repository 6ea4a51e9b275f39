"""The picture of a plan."""

from __future__ import annotations

import json
import re

import pytest
import vl_convert

from privacy.accuracy import SIZES, error_against_rho, losses_around
from privacy.planner_chart import chart, panel
from tests.unit.privacy.planning.asked import GRID, HOMES, RHO, measured, planned


def test_error_falls_with_the_loss_and_meets_the_plan() -> None:
    points = error_against_rho(measured(HOMES), GRID, losses_around(RHO), operators=3)
    level = planned(operators=(3,)).levels[0]
    for size in SIZES:
        errors = [point.cv for point in points if point.size == size]
        assert errors == sorted(errors, reverse=True)
        assert [point.cv for point in points if (point.nano, point.size) == (RHO, size)] == [
            level.accuracy[0].cv[size]
        ]


def test_losses_too_small_for_the_share_of_a_level_are_left_out() -> None:
    points = error_against_rho(measured(HOMES, share=100), GRID, (1, 9, 10, 11), sizes=(10,))
    assert [point.nano for point in points] == [10, 11]


@pytest.mark.parametrize("nano", [1, 7, RHO, 10**12])
def test_losses_around_one_have_it_among_them_and_stay_losses(nano: int) -> None:
    losses = losses_around(nano)
    assert nano in losses
    assert losses == sorted(set(losses))
    assert losses[0] >= 1
    assert losses[-1] <= 10**12


def test_the_picture_marks_the_planned_loss_and_carries_its_data() -> None:
    points = error_against_rho(measured(HOMES), GRID, losses_around(RHO), sizes=(10, 1000))
    spec = chart([panel(points, RHO, "Residents", "level zone")] * 2)
    assert set(spec["vconcat"][0]["layer"][1]["data"]["values"][0]) == {"rho", "cv", "size"}
    assert '"url"' not in json.dumps(spec)
    image = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
    for text in ("planned: ρ = 0.005", "count of 1,000", "Residents", "level zone", "25%"):
        assert image.count(text) >= 2, text
    # A line per size and panel, which falls: a flat one would mean that its data were not read.
    lines = [
        re.findall(r"[ML]([\d.]+),([\d.]+)", path) for path in re.findall(r'<path[^>]* d="([^"]+)"', image)
    ]
    falling = [line for line in lines if len({height for _across, height in line}) > 5]
    assert len(falling) == 4
