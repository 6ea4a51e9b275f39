"""Presence by hour in two rounds: every operator's weighted answer is a national estimate, and they are averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hub.estimation.delay import brought_forward
from hub.estimation.estimated import Estimated, alone, columns_of, levels_of
from hub.estimation.presence import Answer as Weighted
from hub.estimation.presence import Presence, Weights, averaged
from hub.estimation.published import Column, Figures, held_against, normal_interval, share_of
from hub.estimation.question import Answer, Question, counted
from hub.estimation.rounds import stood_for, weights_of
from privacy.errors import UsageProblem
from quorate.contract.columns import silent_level_of
from quorate.contract.rounds import first_round_of

Values = NDArray[np.float64]
#: Part of the phone owners that weights may be cut by, and how far operators may differ, without a warning.
_CUT, _APART = 0.02, 3.0


def anchored(question: Question) -> Estimated:
    """Return estimates of persons by area and hour: who moves by `hub.estimation.presence`, others at home.

    Raises
    ------
    UsageProblem
        If the answers to the first round are not there any more.
    """
    own, assumed = question.own, question.own.charter.calibration
    moving = stood_for(own)
    given, changed = _weights(question)
    answers = [_weighted(question, answer, given[answer.operator]) for answer in question.answers]
    regions = regions_of(question)
    relative, silent = assumed.model_cv_permille / 1000, assumed.silent_sd_permille / 1000
    delay, delay_sd = assumed.delay_minutes / 60, assumed.delay_sd_minutes / 60
    back, after = own.charter.presence.max_hold_back_minutes / 60, own.charter.presence.max_hold_minutes / 60
    # Without any of these, phones make an event whenever they move, and nothing is blunted.
    reach = after + back if delay or delay_sd or back else 0.0
    found = brought_forward(averaged(answers, regions, moving, relative), delay, delay_sd, reach)
    columns, others_sd = columns_of(question), assumed.others_moving_sd_permille / 1000
    return Estimated(
        [
            _figures(question, (level, areas, membership), found.of(membership), (silent, others_sd), columns)
            for level, areas, membership in levels_of(question)
        ],
        "anchored weighting: national estimates of the operators, averaged",
        {
            "model_cv of a single operator": relative,
            "silent_sd": silent,
            "persons without a phone who move": assumed.others_moving_permille / 1000,
            "persons without a phone who move, sd": others_sd,
            "delay in hours": round(delay, 3),
            "delay_sd in hours": round(delay_sd, 3),
        },
        {
            "disagreement by hour": [_rounded(value) for value in found.disagreement],
            "relative spread between operators by hour": [_rounded(value) for value in found.relative],
            "part of silent phones": _rounded(found.assigned.sum() / max(float(found.estimate.sum()), 1.0)),
        },
        [*changed, *_warnings(found, given)],
    )


def regions_of(question: Question) -> NDArray[np.int64]:
    """Return in which row of the silent each zone's subscribers are, int64 of shape (zones,)."""
    terms, zoning = question.terms, question.own.zoning
    level = silent_level_of(terms.statistic, terms.parameters)
    if level is None:
        return np.zeros(len(zoning.zones), dtype=np.int64)
    members = zoning.members(level)
    # Who is anchored in no area of the level is in the last row, with the unanchored.
    found = np.full(len(zoning.zones), len(members), dtype=np.int64)
    for place, zones in enumerate(members.values()):
        found[zones] = place
    return found


def _rounded(value: float) -> float | None:
    return round(float(value), 2) if np.isfinite(value) else None


def _weights(question: Question) -> tuple[dict[str, Weights], list[str]]:
    """Return the weights that every operator answered with, and what has changed since they were made."""
    own, terms = question.own, question.terms
    product = own.charter.product(terms.product)
    first = first_round_of(own.charter, product)
    before = question.earlier(first.product_id, question.days, terms.revision) if first else ()
    made = {answer.operator: weights_of(own, product, answer) for answer in before}
    lost = sorted(set(question.operators) - set(made))
    if lost:
        raise UsageProblem(
            f"the anchors of {lost[0]}, of which its weights were made, are not there",
            means="what its weighted answer stands for is not known",
            todo="restore the hub's files, or ask for another revision",
        )
    given, changed = {}, []
    for answer in question.answers:
        one = _parts(answer)
        sent = np.array((answer.order.weights or ())[:-1], dtype=np.float64) / one
        found = made[answer.operator]
        if not np.allclose(sent, found.value, atol=1 / one):
            changed.append(answer.operator)
        given[answer.operator] = replace(found, value=sent)
    return given, [
        f"the register was changed after the weights of {name} were sent: presence is of the one before"
        for name in changed
    ]


def _warnings(found: Presence, given: Mapping[str, Weights]) -> list[str]:
    """Say where the agreed largest weight cuts too much, and where operators contradict each other."""
    # Whose weights are cut, and by how much, would tell its share of the market.
    told = [
        "the agreed largest weight is too small for an operator: nobody stands for some of those who move"
        for _name, weights in given.items()
        if weights.standing < 1 - _CUT
    ][:1]
    apart = found.disagreement[np.isfinite(found.disagreement)]
    if apart.size and float(np.median(apart)) > _APART:
        told.append(
            f"operators differ by {float(np.median(apart)):.1f} times what noise and chance explain: their customers "
            "behave differently, or one of them has an error"
        )
    return told


def _parts(answer: Answer) -> int:
    """Return how many parts of a weight make a person."""
    one = answer.order.weight_one
    if one is None:
        raise UsageProblem(
            f"the order of {answer.operator} has no weights",
            means="what its weighted answer stands for is not known",
            todo="restore the hub's files, or ask for another revision",
        )
    return one


def _weighted(question: Question, answer: Answer, weights: Weights) -> Weighted:
    """Return an operator's answer in persons."""
    found, one = counted(question.own, answer), _parts(answer)
    return Weighted(
        present=found.zones / one,
        silent=found.specials / one,
        noise=float(np.mean(found.zone_variance)) / one**2,
        weights=weights,
    )


def _figures(
    question: Question,
    place: tuple[str, list[str], Values],
    found: Presence,
    assumed: tuple[float, float],
    columns: list[Column],
) -> Figures:
    (level, areas, membership), (silent, others_sd) = place, assumed
    register, moving = question.own.register, stood_for(question.own)
    estimate = found.estimate + (membership @ (register.population - moving))[:, None]
    # How much more would be elsewhere if more of those without a phone moved.
    without = float((register.population - register.phone_owners).sum() / max(moving.sum(), 1.0))
    more = without * (found.estimate - (membership @ moving)[:, None])
    variance = found.variance(silent) + (others_sd * more) ** 2
    shape, std_error = estimate.shape, np.sqrt(variance)
    return Figures(
        level=level,
        areas=areas,
        columns=columns,
        estimate=estimate,
        std_error=std_error,
        interval=normal_interval(estimate, std_error),
        size=held_against(membership @ register.population, estimate),
        gamma=np.ones(shape),
        noise_share=share_of(found.noise, variance),
        imputed=np.zeros(shape, dtype=bool),
        flag=alone(question, shape),
    )
