"""Which estimator makes figures of which statistic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hub.estimation.anchored import anchored
from hub.estimation.by_ratio import by_ratio
from hub.estimation.estimated import Estimated
from hub.estimation.growing import growing
from hub.estimation.question import Question
from privacy.statistics import ANCHORS_BY_DAY, PRESENCE_BY_HOUR, RESIDENTS, WEIGHTED_PRESENCE

Estimator = Callable[[Question], Estimated]
#: Statistics of which there are estimates, and how they are made.
ESTIMATORS: Mapping[str, Estimator] = MappingProxyType(
    {
        PRESENCE_BY_HOUR: by_ratio,
        RESIDENTS: growing,
        ANCHORS_BY_DAY: by_ratio,
        WEIGHTED_PRESENCE: anchored,
    }
)
