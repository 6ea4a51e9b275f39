"""The table of docs/exit-codes.md says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from privacy.errors import EXIT_CODE_MEANINGS, ExitCode

DOCUMENT = Path(__file__).parents[2] / "docs" / "exit-codes.md"
ROW = re.compile(r"^\| *(\d+) *\| *([A-Z_]+) *\| *(.+?) *\|$", re.MULTILINE)


def rows() -> list[tuple[int, str, str]]:
    found = ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    return [(int(code), name, meaning) for code, name, meaning in found]


def test_the_documented_exit_codes_are_those_of_the_code_in_order() -> None:
    assert rows() == [(code.value, code.name, meaning) for code, meaning in EXIT_CODE_MEANINGS.items()]


def test_every_exit_code_has_a_meaning() -> None:
    assert list(EXIT_CODE_MEANINGS) == list(ExitCode)


def test_the_table_has_no_row_that_was_not_read() -> None:
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert len(lines) == len(rows()) + 2  # the header and the line below it
