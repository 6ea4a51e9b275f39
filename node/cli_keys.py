"""The command of the node's command line that lists period keys, so that operators can compare them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.cli_options import DIRECTORY, JSON, emit
from node.config import Home


@click.command("period-keys")
@DIRECTORY
@JSON
def period_keys(root: Path, as_json: bool) -> None:
    """List the period keys that this node holds, by the digest of their packages; never the keys.

    Tell product, period, charter and digest to the other operators over another channel, for example by telephone. If
    a digest differs, operators hold different keys: the union of that period is wrong, and nothing was revealed.
    """
    from node.enrolment import load
    from node.pinned_keys import every_pinned

    home = Home(root)
    load(home)
    found = [
        {
            "product": package.product,
            "first_day": str(package.first_day),
            "last_day": str(package.last_day),
            "charter": package.charter,
            "maker": package.maker,
            "package": package.digest(),
        }
        for package in every_pinned(home)
    ]
    emit(found, as_json, "\n".join(map(_line, found)) or "no period key is held")


def _line(one: dict[str, Any]) -> str:
    return (
        f"{one['product']} {one['first_day']} to {one['last_day']}, made by {one['maker']}: {one['package']} "
        f"(charter {one['charter'][:16]}…)"
    )
