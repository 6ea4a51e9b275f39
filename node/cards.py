"""The card of a release in this operator's ledger."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from rich.console import Console
from rich.table import Table

from node.config import Home
from node.enrolment import Agreement, load
from node.ledgers import require_there
from privacy.card import Card, card
from privacy.errors import LedgerProblem, UsageProblem
from privacy.ledger import rows
from privacy.ledger.entry import Entry
from privacy.ledger.files import open_readable
from privacy.ledger.forfeit import Forfeit, record_of
from privacy.registry_record import Setting
from privacy.units import NANO
from quorate.contract.order import keyset_for


def card_of(home: Home, sequence: int) -> Card:
    """Return the card of an entry; the ledger may be in use.

    Raises
    ------
    UsageProblem
        If the node is not enrolled, or there is no such entry.
    LedgerProblem
        If the ledger cannot be read, or the entry does not hold.
    """
    own = load(home)
    require_there(home, own)
    with open_readable(home.ledger) as db:
        row = db.execute("SELECT entry FROM entry WHERE sequence = ?", (sequence,)).fetchone()
        pruned = rows.begin_of(db)[0]
    if row is None:
        what = "has pruned" if sequence <= pruned else "has no"
        raise UsageProblem(
            f"the ledger {what} entry {sequence}", todo="quorate-node ledger show --json lists the entries"
        )
    entry = _entry(sequence, row[0])
    return card(entry, _setting(own, entry))


def _entry(sequence: int, raw: bytes) -> Entry:
    """Return an entry that does not contradict itself."""
    try:
        record = record_of(raw)
        problem = record.problem() if isinstance(record, Entry) else ""
    except ValueError:
        raise _broken(sequence, "it cannot be read") from None
    if isinstance(record, Forfeit):
        raise UsageProblem(
            f"entry {sequence} of the ledger is no release: it gave up the budgets of days before "
            f"{record.first_day}",
            todo="quorate-node ledger show --json lists the releases",
        )
    if problem:
        raise _broken(sequence, problem)
    return record


def _broken(sequence: int, problem: str) -> LedgerProblem:
    return LedgerProblem(
        f"entry {sequence} of the ledger does not hold: {problem}",
        means="a card of it would state what was not released",
        todo="run quorate-node ledger verify",
    )


def _setting(own: Agreement, entry: Entry) -> Setting:
    """Return what the present charter says of a release, as far as it is the charter of the release."""
    terms = entry.terms
    product = next((p for p in own.charter.products if p.product_id == terms.product), None)
    if terms.charter_version != own.charter.version:
        product = None
    keyset = keyset_for(own.charter, own.zoning, terms)
    return Setting(
        network=own.charter.network,
        operator=own.operator,
        title=product.title if product else terms.product,
        region=own.zoning.name,
        cells=keyset.size if keyset.digest() == terms.keyset else None,
        algorithm=product.algorithm if product else None,
        software=f"quorate {version('quorate')}",
    )


def print_card(found: Card, console: Console) -> None:
    """Print what a person asks first: unit, loss, noise and bounds."""
    console.print(found.registry.deployment.basic.name, style="bold")
    table = Table("what", show_header=False)
    table.add_column("this release", overflow="fold")
    for name, text in _lines(found):
        table.add_row(name, text)
    console.print(table)


def _lines(found: Card) -> Iterator[tuple[str, str]]:
    noise = found.noise
    yield "release", found.release.release_id
    yield "ledger", f"entry {found.release.ledger_sequence}, recorded on {found.release.recorded_on}"
    for loss in found.losses:
        days = "1 local day" if loss.days == 1 else f"{loss.days} local days"
        yield f"{loss.unit}, {days}", f"ρ = {loss.rho:g}, ε = {loss.epsilon:.3f} at δ = {loss.delta:g}"
    yield "neighbours", found.losses[0].neighbours
    for level in noise.levels:
        part = "" if len(noise.levels) == 1 else f", ρ = {level.nano_rho / NANO:g}"
        yield (
            f"noise of level {level.name}",
            f"{noise.mechanism}, scale {level.scale:g}, sampler {level.sampler}{part}",
        )
    norm = "Δ₂²" if noise.mechanism == "discrete-gaussian" else "Δ₁²"
    yield norm, f"{noise.period_squared} by period, {noise.day_squared} by day"
    yield "keyset", noise.keyset if noise.cells is None else f"{noise.keyset}, {noise.cells} cells"
    yield "afterwards", "\n".join(found.post_processing)
    yield "software", found.software
