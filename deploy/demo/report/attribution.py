"""Reads who the data of a country are from: ATTRIBUTION.md of its directory, the plain part of Markdown.

Headings, paragraphs, lists and tables become blocks of text. Marks inside a line are taken off and addresses
are kept as text, so that the page points nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_ADDRESS = re.compile(r"<((?:https?://|mailto:)[^>\s]+)>")
_MARK = re.compile(r"\*\*|`")
_RULE = re.compile(r"^\|?[\s:|-]+\|?$")


@dataclass(frozen=True)
class Block:
    """A piece of text.

    Attributes
    ----------
    kind
        heading, paragraph, list or table.
    rows
        Of texts: one row for a heading or a paragraph, one per item, or those of the table, header first.
    """

    kind: str
    rows: tuple[tuple[str, ...], ...]


def read_attribution(directory: Path) -> tuple[Block, ...]:
    """Return the blocks of ATTRIBUTION.md in a country directory; nothing if there is none."""
    path = directory / "ATTRIBUTION.md"
    if not path.is_file():
        return ()
    return tuple(blocks(path.read_text(encoding="utf-8", errors="replace")))


def blocks(text: str) -> Iterator[Block]:
    """Split a text into blocks."""
    lines = [line.strip() for line in text.splitlines()]
    # A heading ends with its line, whatever follows.
    parts = re.split(r"\n\s*\n", re.sub(r"(?m)^(#+ .*)$", r"\n\1\n", "\n".join(lines)))
    for part in parts:
        found = [line for line in part.split("\n") if line]
        if found:
            yield from _blocks_of(found)


def _blocks_of(lines: list[str]) -> Iterator[Block]:
    """Return the blocks of lines that no empty line parts."""
    for kind, group in groupby(_kinds(lines), key=lambda pair: pair[0]):
        content = [line for _, line in group]
        if kind == "table":
            cells = (line.strip("|").split("|") for line in content if not _RULE.match(line))
            yield Block(kind, tuple(tuple(_plain(cell) for cell in row) for row in cells))
        elif kind == "list":
            items = re.split(r"(?m)^[-*+] ", "\n".join(content))[1:]
            yield Block(kind, tuple((_plain(item),) for item in items))
        else:
            yield Block(kind, ((_plain(" ".join(content).lstrip("# ")),),))


def _kinds(lines: list[str]) -> Iterator[tuple[str, str]]:
    kind = "paragraph"
    for line in lines:
        if line.startswith("|"):
            kind = "table"
        elif line[:2] in {"- ", "* ", "+ "}:
            kind = "list"
        elif re.match(r"#+ ", line):
            kind = "heading"
        elif kind != "list":
            # A line after an item that starts no block of its own goes on with the item.
            kind = "paragraph"
        yield kind, line


def _plain(text: str) -> str:
    linked = _ADDRESS.sub(r"\1", _LINK.sub(r"\1", text))
    return " ".join(_MARK.sub("", linked).split())
