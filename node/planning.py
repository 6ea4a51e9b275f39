"""What a release would cost this operator, from the enrolled charter and the totals of its ledger."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from node.config import Home
from node.enrolment import load
from node.ledgers import require_there
from privacy.accuracy import Measured, error_against_rho, losses_around
from privacy.calculus import DAY, MONTH
from privacy.errors import UsageProblem
from privacy.ledger.summary import summary
from privacy.noise import MILLI, deviation_milli, noise_of
from privacy.planner import LevelPlan, Plan, Proposal, plan
from privacy.planner_chart import Spec, chart, panel
from privacy.statistics import WEIGHTED_PRESENCE
from privacy.terms import Level, Terms
from privacy.units import NANO
from quorate.contract.columns import sketch_bins
from quorate.contract.order import terms_of

VEGA_LITE = "6.4"
#: Digest of no weights: before an order comes, nobody knows which it will bring.
_ANY_WEIGHTS = "0" * 64
SUFFIXES = (".svg", ".png", ".html")


@dataclass(frozen=True)
class Planned:
    """A release that was planned.

    Attributes
    ----------
    title
        Of the product.
    terms
        On which it would be released.
    proposal, plan
        What the planner was asked, and its answer.
    recorded
        Whether the ledger has it already: then it comes again, and costs nothing.
    lost
        Whether its bytes are gone with a restored backup: then it is refused.
    operators
        In the charter.
    release_id
        Of the release; None if it is not known before the weights of the order are.
    bins
        Of each row of a sketch; 0 of other statistics.
    note
        What the numbers are, where they are not counts of subscribers; may be empty.
    """

    title: str
    terms: Terms
    proposal: Proposal
    plan: Plan
    recorded: bool
    lost: bool
    operators: int
    release_id: str | None = None
    bins: int = 0
    note: str = ""

    @property
    def outcome(self) -> str:
        """What the ledger would do: `repeated` at no charge, `lost` (refused), `refused` or `charged`."""
        if self.lost:
            return "lost"
        if self.recorded:
            return "repeated"
        return "refused" if self.plan.refused else "charged"

    def as_json(self) -> str:
        """Return everything for a program."""
        about = {
            "title": self.title,
            "revision": self.terms.revision,
            "release_id": self.release_id,
            "outcome": self.outcome,
            "bins": self.bins or None,
        }
        return json.dumps(about | self.plan.model_dump(mode="json"), indent=1)


def planned(home: Home, product: str, days: tuple[date, date], revision: int) -> Planned:
    """Plan a release; reads charter and ledger, and changes nothing.

    Raises
    ------
    UsageProblem
        If the node is not enrolled or has no ledger, or the charter does not allow the release.
    """
    own = load(home)
    require_there(home, own)
    weighted = own.charter.product(product).statistic == WEIGHTED_PRESENCE
    terms = terms_of(
        own.charter, own.zoning, product, days, revision, weights=_ANY_WEIGHTS if weighted else None
    )
    found = summary(home.ledger, own.budgets)
    # The ledger may give no budget any more to days that the charter covers.
    budgets = own.budgets.model_copy(update={"first_day": date.fromisoformat(found["first_day"])})
    proposal = _proposal(terms, own.charter.sigma_grid_milli)
    operators = len(own.charter.operators)
    known = [line for line in found["charges"] if _is_of(line, terms)]
    told = None if weighted else terms.release_id()
    bins = sketch_bins(terms.statistic, terms.parameters)
    answering = sorted({1, own.charter.publication.min_operators, operators})
    return Planned(
        title=own.charter.product(product).title,
        terms=terms,
        proposal=proposal,
        plan=plan(proposal, budgets, _spent(found), operators=answering),
        recorded=bool(known),
        lost=any(line["lost"] for line in known),
        operators=operators,
        release_id=known[0]["release_id"] if known else told,
        bins=bins,
        note=_note(terms, bins),
    )


def _is_of(line: Mapping[str, Any], terms: Terms) -> bool:
    """Whether a charge is that of the terms; of a weighted release, whatever its weights were."""
    if terms.weights != _ANY_WEIGHTS:
        return bool(line["release_id"] == terms.release_id())
    days = (terms.first_day.isoformat(), terms.last_day.isoformat())
    found = (line["product"], (line["first_day"], line["last_day"]), line["revision"])
    return found == (terms.product, days, terms.revision)


def _note(terms: Terms, bins: int) -> str:
    if terms.weights:
        return (
            "A count is a sum of weights in their fixed point. The weights come with the order, and do not change "
            "what it costs."
        )
    if bins:
        sigma = deviation_milli(noise_of(terms.mechanism, terms.levels[0].scale_milli)) / MILLI
        return (
            f"A row has {bins:,} bins, and a count is of the persons in one. The sum of a row's bins has noise of "
            f"{math.sqrt(bins):,.0f} times σ: {sigma * math.sqrt(bins):,.0f} persons at level {terms.levels[0].name}."
        )
    return ""


def _proposal(terms: Terms, grid_milli: int) -> Proposal:
    return Proposal(
        product=terms.product,
        first_day=terms.first_day,
        last_day=terms.last_day,
        by_period=terms.by_period,
        grid_milli=grid_milli,
        measured=tuple(
            Measured(
                level=Level(name=level.name, share_permille=level.share_permille),
                bounds=terms.bounds,
                mechanism=terms.mechanism,
            )
            for level in terms.levels
        ),
    )


def _spent(found: Mapping[str, Any]) -> dict[tuple[int, date], int]:
    return {
        (length, date.fromisoformat(first)): nano
        for length, name in ((DAY, "days"), (MONTH, "windows"))
        for first, nano in found[name].items()
    }


def print_plan(found: Planned, console: Console) -> None:
    """Print a plan as tables, and what the ledger would do."""
    terms = found.terms
    console.print(f"{found.title} ({terms.product}), {terms.first_day} to {terms.last_day}", style="bold")
    console.print(_losses(found.plan))
    for level in found.plan.levels:
        sigma = f"{level.sigma_milli / MILLI:g}"
        console.print(f"\nError by noise at level {level.name}, σ = {sigma} in each cell of each operator")
        console.print(_errors(level))
    if found.note:
        console.print(f"\n{found.note}", soft_wrap=True)
    if not found.recorded:
        console.print("\nBudgets where least remains, in ρ")
        console.print(_rooms(found.plan))
    console.print(_verdict(found), soft_wrap=True)


def _verdict(found: Planned) -> str:
    return {
        "repeated": "The ledger has this release: the same bytes would come again, at no charge.",
        "lost": "It was charged, but its bytes were lost with a restored backup: it would be refused. The hub may "
        "have them; otherwise a higher --revision is measured and charged again.",
        "refused": f"It would be refused: {found.plan.refused}.",
        "charged": "The budgets can bear it.",
    }[found.outcome]


def _losses(found: Plan) -> Table:
    table = Table("privacy loss of", "ρ", f"ε at δ = {found.delta:g}")
    for name, nano, epsilon in (
        ("the whole period", found.charge.by_period, found.epsilon_by_period),
        ("one day of it", found.charge.by_day, found.epsilon_by_day),
    ):
        table.add_row(name, f"{nano / NANO:g}", f"{epsilon:.3f}")
    return table


def _errors(level: LevelPlan) -> Table:
    """Return the coefficient of variation by size of count and number of operators."""
    table = Table("count")
    for accuracy in level.accuracy:
        table.add_column(_operators(accuracy.operators), justify="right")
    for size in level.accuracy[0].cv:
        table.add_row(f"{size:,}", *(f"{accuracy.cv[size]:.2%}" for accuracy in level.accuracy))
    table.add_section()
    for limit in level.accuracy[0].smallest:
        smallest = (f"{accuracy.smallest[limit]:,}" for accuracy in level.accuracy)
        table.add_row(f"smallest with {limit / 10:g} %", *smallest)
    return table


def _operators(number: int) -> str:
    return "1 operator" if number == 1 else f"{number} operators"


def _rooms(found: Plan) -> Table:
    table = Table("budget", "from", "spent", "cost", "cap", "remains")
    for room in found.rooms:
        numbers = (room.spent, room.cost, room.cap, room.remains)
        name = "day" if room.length == DAY else f"{room.length} days"
        table.add_row(name, str(room.first_day), *(f"{nano / NANO:g}" for nano in numbers))
    return table


def picture(found: Planned) -> Spec:
    """Return error against loss of all operators together, a panel for each level."""
    losses = losses_around(found.proposal.by_period)
    return chart(
        [
            panel(
                error_against_rho(part, found.proposal.grid_milli, losses, operators=found.operators),
                found.proposal.by_period,
                f"{found.title}: error against privacy loss",
                f"level {part.level.name}, {_operators(found.operators)} together",
            )
            for part in found.proposal.measured
        ]
    )


def write_picture(spec: Spec, path: Path) -> None:
    """Write a picture; the end of its name says as what. An HTML page contains all that it needs.

    Raises
    ------
    UsageProblem
        If the name has another ending, the file cannot be written, or vl-convert is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise UsageProblem(
            f"{path} does not say what kind of picture it is", todo=f"end its name with {', '.join(SUFFIXES)}"
        )
    try:
        path.write_bytes(_drawn(spec, path.suffix))
    except OSError as error:
        raise UsageProblem(
            f"{path} cannot be written: {error.strerror}", todo="choose another file"
        ) from error


def _drawn(spec: Spec, suffix: str) -> bytes:
    try:
        import vl_convert
    except ImportError as error:
        raise UsageProblem(
            "pictures are drawn by vl-convert, which is not installed",
            todo="install it: pip install 'quorate[demo]'",
        ) from error
    if suffix == ".png":
        return bytes(vl_convert.vegalite_to_png(spec, vl_version=VEGA_LITE, scale=2))
    if suffix == ".html":
        return str(vl_convert.vegalite_to_html(spec, vl_version=VEGA_LITE, bundle=True)).encode()
    return str(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)).encode()
