"""python -m tests.sketch_hub serve …: a hub that lets charters have union sketches, and estimates none."""

from __future__ import annotations

from unittest.mock import patch

from hub import config
from hub.cli import main
from privacy.statistics import UNION_SKETCH
from tests.support_sketch import sketches

if __name__ == "__main__":
    with sketches(), patch.object(config, "ESTIMABLE", (*config.ESTIMABLE, UNION_SKETCH)):
        main()
