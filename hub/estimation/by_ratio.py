"""Releases that one ratio to the register calibrates: presence by hour, anchors, residents of its date."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hub.estimation.calibrate import calibrate
from hub.estimation.combine import Combined
from hub.estimation.estimated import Estimated, columns_of, flags_of, levels_of
from hub.estimation.owners import owners_of
from hub.estimation.published import Figures, held_against, normal_interval, share_of
from hub.estimation.question import Question
from privacy.statistics import PRESENCE_BY_HOUR

Values = NDArray[np.float64]


def by_ratio(question: Question) -> Estimated:
    """Return estimates of persons by area and hour (`hub.estimation.calibrate`)."""
    own, combined, columns = question.own, question.combined(), columns_of(question)
    figures, assumed = [], own.charter.calibration
    owners = owners_of(question, combined)
    heard = np.stack([one.heard for one in question.each()])
    for level, areas, membership in levels_of(question):
        members = [np.flatnonzero(row).tolist() for row in membership]
        found = calibrate(
            combined,
            own.register,
            members,
            assumed,
            len(own.charter.operators),
            (owners.total, owners.sd),
            heard.sum(axis=0),
        )
        shape = found.estimate.shape
        figures.append(
            Figures(
                level=level,
                areas=areas,
                columns=columns,
                estimate=found.estimate,
                std_error=found.std_error,
                interval=normal_interval(found.estimate, found.std_error),
                size=_size(question, membership @ own.register.population, found.estimate),
                gamma=np.ones(shape),
                noise_share=share_of(found.noise, found.std_error**2),
                imputed=np.zeros(shape, dtype=bool),
                flag=flags_of(question, membership),
            )
        )
    return Estimated(
        figures,
        "one ratio of phone owners to counts for the country and hour",
        {
            "owner_dispersion": assumed.owner_dispersion_permille / 1000,
            "model_cv": assumed.model_cv_permille / 1000,
            "share_sd": assumed.share_sd_permille / 1000,
        },
        {
            "phone owners": round(owners.total),
            "their standard error": round(owners.sd),
            "phone owners by": owners.source,
            "part of the counted subscribers in no zone": _part_in_no_zone(combined),
        },
        [*owners.warnings, *_unheard(question.operators, heard)],
    )


def _size(question: Question, registered: Values, estimate: Values) -> Values:
    """Return the persons whom errors are held against: where nobody is registered people may be, but not live."""
    if question.terms.statistic == PRESENCE_BY_HOUR:
        return held_against(registered, estimate)
    return np.broadcast_to(registered[:, None], estimate.shape)


def _unheard(operators: Sequence[str], heard: NDArray[np.bool_]) -> list[str]:
    """Return a warning for each operator without a signal in some hours; `heard` has the shape (operators, hours)."""
    hours = heard.shape[1]
    where = "in the release" if hours == 1 else "in {} of {} hours"
    return [
        f"{operator} has no signal above its noise {where.format(int(lacking), hours)}: it is missing there, and the "
        "figures stand on the others"
        for operator, lacking in zip(operators, hours - heard.sum(axis=1), strict=True)
        if lacking
    ]


def _part_in_no_zone(combined: Combined) -> float:
    """Return the part of subscribers who are unobserved or unanchored, over all hours; noise may make it negative."""
    nowhere, everybody = float(combined.special.sum()), float(combined.zones.sum() + combined.special.sum())
    return round(nowhere / everybody, 3) if everybody > 0 else 0.0
