"""python -m tests.sketch_hub serve …: a hub whose charter may have union sketches, of which it makes no estimates."""

from __future__ import annotations

from unittest.mock import patch

from hub import config
from hub.cli import main
from privacy.statistics import UNION_SKETCH

if __name__ == "__main__":
    with patch.object(config, "ESTIMABLE", (*config.ESTIMABLE, UNION_SKETCH)):
        main()
