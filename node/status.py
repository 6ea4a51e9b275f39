"""What an operator's people on duty ask about their node; nothing here changes it, and it may be running."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from node.building import stored
from node.config import Home
from node.daemon import offered_days
from node.enrolment import Agreement, load
from node.ledgers import require_there
from node.progress import progress_in, runs
from privacy.calculus import DAY
from privacy.ledger import rows
from privacy.ledger.files import open_readable
from quorate.contract.identity import load_certificate


def status_of(home: Home) -> dict[str, Any]:
    """Return a node's enrolment, days, ledger, budgets and what its daemon does.

    Raises
    ------
    UsageProblem
        If the node is not enrolled.
    LedgerProblem
        If the ledger cannot be read, or is gone while its witness has entries.
    """
    own = load(home)
    require_there(home, own)
    days = offered_days(own)
    return {
        "software_version": version("quorate"),
        "network": own.charter.network,
        "operator": own.operator,
        "charter_version": own.charter.version,
        "charter": own.charter_digest,
        "certificate_until": load_certificate(home.certificate).not_valid_after_utc.isoformat(),
        "days": {"offered": len(days), "built": sum(_built(home.quality, day.isoformat()) for day in days)},
        "ledger": _ledger(home.ledger),
        "budget_left": _left(home.ledger, own),
        "daemon": _daemon(home.progress),
    }


def _built(quality: Path, day: str) -> bool:
    record = stored(quality / f"{day}.json")
    return record is not None and bool(record["built"])


def _ledger(path: Path) -> dict[str, Any] | None:
    """Return entries and head; None if nothing was released yet."""
    if not path.exists():
        return None
    with open_readable(path) as db:
        entries, head = rows.head_of(db)
    return {"entries": entries, "head": head}


def _left(path: Path, own: Agreement) -> dict[str, dict[str, Any]]:
    """Return, for the day and the 31 days that have least left: from which day, and how much in nano-ρ."""
    found: dict[str, dict[str, Any]] = {}
    for length, cap in own.budgets.caps():
        first, spent = _fullest(path, length)
        name = "day" if length == DAY else f"{length} days"
        found[name] = {"from": first, "left_nano_rho": cap - spent, "of_nano_rho": cap}
    return found


def _fullest(path: Path, length: int) -> tuple[str | None, int]:
    if not path.exists():
        return None, 0
    query = "SELECT first_day, nano FROM spent WHERE length = ? ORDER BY nano DESC, first_day LIMIT 1"
    with open_readable(path) as db:
        row = db.execute(query, (length,)).fetchone()
    return (str(row[0]), int(row[1])) if row else (None, 0)


def _daemon(path: Path) -> dict[str, Any]:
    found = progress_in(path)
    if found is None:
        return {"runs": False, "doing": "never started", "since": None, "last_contact": None, "task": None}
    running = runs(found)
    return {
        "runs": running,
        "doing": found.doing if running or found.doing == "stopped" else "ended without being asked",
        "since": found.at,
        "last_contact": found.contact or None,
        "task": found.task or None,
    }


def lines_of(found: dict[str, Any]) -> list[str]:
    """Return a status for a person."""
    ledger, days, daemon = found["ledger"], found["days"], found["daemon"]
    lines = [
        f"{found['operator']} of {found['network']}, version {found['charter_version']} of the charter",
        f"software     {found['software_version']}",
        f"certificate  until {found['certificate_until']}",
        f"days         {days['built']} of {days['offered']} are built",
        f"ledger       {ledger['entries']} entries, head {ledger['head']}"
        if ledger
        else "ledger       none yet",
    ]
    lines += [
        f"budget       {room['left_nano_rho']} of {room['of_nano_rho']} nano-rho left in the fullest {name}"
        + (f", from {room['from']}" if room["from"] else "")
        for name, room in found["budget_left"].items()
    ]
    lines.append(f"daemon       {daemon['doing']}" + (f" since {daemon['since']}" if daemon["since"] else ""))
    lines.append(f"hub          last answered at {daemon['last_contact'] or 'no time'}")
    return [*lines, f"task         {daemon['task']}"] if daemon["task"] else lines
