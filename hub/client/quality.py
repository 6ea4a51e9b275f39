"""The quality report of a release, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from quorate.contract.shell import printable

_INDENT = "  "


def as_text(report: Mapping[str, Any]) -> str:
    """Return a report as indented lines, warnings first."""
    warnings = [f"warning: {text}" for text in report.get("warnings", ())]
    rest = {name: value for name, value in report.items() if name != "warnings"}
    return "\n".join(map(printable, [*warnings, *_lines(rest, 0)]))


def _lines(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    for name, found in value.items():
        head = f"{_INDENT * depth}{name}:"
        if isinstance(found, Mapping):
            yield head
            yield from _lines(found, depth + 1)
        elif isinstance(found, list) and any(isinstance(part, Mapping) for part in found):
            yield head
            for part in found:
                first, *others = _lines(part, depth + 2)
                yield f"{_INDENT * (depth + 1)}- {first.lstrip()}"
                yield from others
        else:
            yield f"{head} {_value(found)}"


def _value(found: object) -> str:
    if found is None:
        return "–"
    if isinstance(found, list):
        return ", ".join(map(_value, found)) or "none"
    return str(found)
