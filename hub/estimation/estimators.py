"""Which estimator makes figures of which statistic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hub.estimation.anchored import anchored
from hub.estimation.by_ratio import by_ratio
from hub.estimation.estimated import Estimated
from hub.estimation.growing import growing
from hub.estimation.indicating import indicating
from hub.estimation.overlapping import overlapping
from hub.estimation.question import Question
from hub.estimation.travelling import commuted, flowed
from hub.estimation.visiting import visiting
from privacy.statistics import (
    ANCHORS_BY_DAY,
    COMMUTING,
    FLOWS,
    PRESENCE_BY_HOUR,
    QUALITY_INDICATORS,
    RESIDENTS,
    UNION_SKETCH,
    VISITORS,
    WEIGHTED_PRESENCE,
)

Estimator = Callable[[Question], Estimated]
#: Statistics of which there are estimates, and how they are made.
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        PRESENCE_BY_HOUR: by_ratio,
        RESIDENTS: growing,
        ANCHORS_BY_DAY: by_ratio,
        WEIGHTED_PRESENCE: anchored,
        COMMUTING: commuted,
        FLOWS: flowed,
        VISITORS: visiting,
        UNION_SKETCH: overlapping,
        QUALITY_INDICATORS: indicating,
    }
)
