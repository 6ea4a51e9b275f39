"""A kept statement that nests without end is none, and is no defect."""

from __future__ import annotations

import pytest

from privacy.errors import SignatureProblem
from quorate.contract.signing import from_json


@pytest.mark.parametrize("depth", [100, 1_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"payload":', "}")])
def test_json_that_nests_without_end_is_no_statement(opening: str, closing: str, depth: int) -> None:
    with pytest.raises(SignatureProblem, match="the head is not a signed statement"):
        from_json((opening * depth + "1" + closing * depth).encode(), "the head")
