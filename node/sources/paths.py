"""Names of files that depend on the day, and the files that they stand for."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from privacy.errors import DataUnavailable

#: What a form of the day may have.
_FORM = re.compile(r"([^%]|%-?[YymdjbBaAGVUWu]|%%)*")
#: {day}, {day+1}, {day:%Y%m%d}, {day-1:%d.%m.%Y}
DAY = re.compile(r"\{day([+-][1-9])?(?::([^{}]+))?\}")


def unknown_form(text: str) -> str:
    """Return the first form of a `{day}` that is none, for example `%Q`; or nothing."""
    return next((found[2] for found in DAY.finditer(text) if found[2] and not _FORM.fullmatch(found[2])), "")


def with_day(text: str, day: date) -> str:
    """Return a text with its `{day}` replaced by a day, ISO unless another form is said."""

    def replaced(found: re.Match[str]) -> str:
        moved = day + timedelta(days=int(found[1] or 0))
        return moved.strftime(found[2]) if found[2] else moved.isoformat()

    return DAY.sub(replaced, text)


def files_of(patterns: Sequence[str], root: Path, day: date | None = None) -> list[Path]:
    """Return the files that patterns stand for, in order of their names for each pattern.

    Parameters
    ----------
    patterns
        Paths, or patterns with `*`, `?` and `[…]`; a file of exactly that name is taken as it is.
    root
        What relative paths start at.
    day
        Replaces `{day}`.

    Raises
    ------
    DataUnavailable
        If a pattern stands for no file.
    """
    found: list[Path] = []
    for pattern in patterns:
        text = with_day(pattern, day) if day else pattern
        matches = _matches(root, text)
        if not matches:
            raise DataUnavailable(
                f"the data file {root / text} is not there",
                means="the day cannot be built, so no statistic can be made of it",
                todo="deliver the file, correct [source] in node.toml, or declare the day in unavailable_days "
                "of policy.toml",
            )
        found += [path for path in matches if path not in found]
    return found


def _matches(root: Path, text: str) -> list[Path]:
    literal = root / text
    if literal.is_file():
        return [literal]
    pattern = text if Path(text).is_absolute() else f"{glob.escape(str(root))}/{text}"
    return sorted(path for path in map(Path, glob.glob(pattern)) if path.is_file())  # noqa: PTH207 - absolute ones
