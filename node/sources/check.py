"""Looks at a sample of an operator's tables and explains every problem, with row, column and value.

What it finds is for the operator's own terminal: values are in it, and it goes to no log and no other process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb
from ibis.backends.duckdb import Backend

from node.sources.cleaning import Cleaner, problem_of
from node.sources.daycells import cells_of
from node.sources.door import judged
from node.sources.inputs import expressions
from node.sources.mapping import Source
from node.sources.raw import alias
from node.sources.reading import no_rows
from node.sources.reasons import OUT_OF_SCOPE, WORDS, Reason, reason_of
from node.sources.register import Version, read_register
from node.sources.sampling import Failed, Sample, samples
from node.sources.sequence import sequenced
from node.tables import REASON
from privacy.errors import DataProblem, ExitCode, QuorateError

#: Columns that a reason is about.
_ABOUT: dict[Reason, tuple[str, ...]] = {
    **dict.fromkeys((Reason.NULL_SUBSCRIBER, Reason.BAD_SUBSCRIBER), ("subscriber",)),
    **dict.fromkeys(
        (Reason.NULL_TIME, Reason.UNPARSABLE_TIME, Reason.AMBIGUOUS_TIME, Reason.OUTSIDE_DAY), ("time",)
    ),
    **dict.fromkeys((Reason.UNKNOWN_KIND, Reason.EXCLUDED_KIND), ("kind",)),
    **dict.fromkeys((Reason.UNKNOWN_ORIGIN, Reason.EXCLUDED_ORIGIN), ("home",)),
    Reason.MACHINE: ("device", "home"),
    **dict.fromkeys(
        (Reason.NULL_CELL, Reason.UNKNOWN_CELL, Reason.EXPIRED_CELL, Reason.CELL_WITHOUT_ZONE), ("cell",)
    ),
    Reason.BORDER_ROAMING: ("home", "cell"),
    **dict.fromkeys(
        (Reason.DUPLICATE, Reason.GHOST, Reason.IMPOSSIBLE_SPEED), ("subscriber", "time", "cell")
    ),
}
_LONGEST = 80


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Attributes
    ----------
    place
        File, table or setting.
    row
        Line of a text file, or row of another table, from 1; None if it is about the whole.
    column
        Name of the expression.
    what
        What is wrong.
    value
        Value of the column, as the engine has it.
    todo
        What to do.
    exit_code
        What the command returns because of it; 0 for what the gate lets pass.
    """

    place: str
    what: str
    row: int | None = None
    column: str = ""
    value: str = ""
    todo: str = ""
    exit_code: int = 0


@dataclass
class Report:
    """What a check has found: problems, and rows of the sample by reason.

    Attributes
    ----------
    examples
        Rows that are shown for each reason in each file.
    files
        How many files or tables were looked at; each is judged by itself.
    """

    examples: int = 3
    files: int = 0
    problems: list[Problem] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)

    @property
    def exit_code(self) -> int:
        """Of the first problem that has one."""
        return next((problem.exit_code for problem in self.problems if problem.exit_code), int(ExitCode.OK))

    def note(self, place: str, action: Callable[[], Any]) -> Any:
        """Return what an action returns, and None if it is a problem, which is noted."""
        try:
            return action()
        except QuorateError as error:
            # Notes are for this terminal alone: they may quote data.
            what = "; ".join(
                text for text in (error.what, error.means, *getattr(error, "__notes__", ())) if text
            )
            self.problems.append(Problem(place, what, todo=error.todo, exit_code=int(error.exit_code)))
            return None


def check(  # noqa: PLR0917 - what is checked, and how much of it
    db: Backend, cleaner: Cleaner, codes: list[str], day: date, rows: int, examples: int = 3
) -> Report:
    """Check the register and the first rows of a day.

    Parameters
    ----------
    db
        The embedded database.
    cleaner
        Of the node.
    codes
        Codes of the zoning.
    day
        The local day.
    rows
        Size of the sample.
    examples
        Rows that are shown for each reason in each file.
    """
    report = Report(examples)
    versions = report.note("[source.cells]", lambda: _register(db, cleaner, codes, report)) or []
    report.note("[source.events]", lambda: _events(db, cleaner, versions, day, rows, report))
    _gate(cleaner, report, day)
    return report


def _register(db: Backend, cleaner: Cleaner, codes: list[str], report: Report) -> list[Version]:
    found, unreadable = cleaner.read_cells(db)
    cells = cleaner.source.cells
    place = ", ".join(cells.path) or cells.table
    unusable = int(ExitCode.DATA_UNUSABLE)
    if unreadable:
        what = f"{unreadable} line(s) are no rows of the cell register"
        report.problems.append(Problem(place, what, todo="correct the file", exit_code=unusable))
    versions, flaws = read_register(found, cells, codes, cleaner.place.root)
    report.problems += [
        Problem(place, flaw.what, flaw.row, flaw.column, todo="correct the register", exit_code=unusable)
        for flaw in flaws
    ]
    if not versions:
        raise DataProblem("no row of the cell register can be used", todo="correct the register")
    return versions


def _events(  # noqa: PLR0917 - what is checked, and where it is noted
    db: Backend, cleaner: Cleaner, versions: list[Version], day: date, rows: int, report: Report
) -> None:
    for sample in _sampled(db, cleaner, day, rows):
        report.files += 1
        if isinstance(sample, Failed):
            report.problems.append(
                Problem(
                    sample.place,
                    "the expression fails on this row",
                    sample.row,
                    sample.column,
                    sample.says,
                    "use TRY_CAST or TRY(…) in [source]",
                    int(ExitCode.DATA_UNUSABLE),
                )
            )
            continue
        report.problems += [Problem(sample.place, warning) for warning in sample.warnings]
        report.rows[Reason.UNREADABLE_LINE.label] += len(sample.unreadable)
        report.problems += [
            Problem(sample.place, f"{WORDS[Reason.UNREADABLE_LINE]} ({says})", line)
            for line, says in sorted(sample.unreadable.items())[: report.examples]
        ]
        if sample.swallowed:
            report.rows[Reason.UNREADABLE_LINE.label] += sample.swallowed
            report.problems.append(
                Problem(
                    sample.place,
                    f"{sample.swallowed} line(s) are in no row: they are behind a quote that is never closed, "
                    "or fields have line breaks",
                    todo='say quote = "" if fields are never quoted, line_breaks = true if they may have line breaks',
                )
            )
        if versions:
            _judge(db, cleaner, versions, day, sample, report)


def _sampled(db: Backend, cleaner: Cleaner, day: date, rows: int) -> Iterator[Sample | Failed]:
    try:
        yield from samples(db.con, cleaner.source, cleaner.place, day, rows)
    except duckdb.Error as error:
        raise problem_of(error, f"the sample of {day}") from None


def _judge(  # noqa: PLR0917 - what is judged, and where it is noted
    db: Backend, cleaner: Cleaner, versions: list[Version], day: date, sample: Sample, report: Report
) -> None:
    source = cleaner.source
    rows = judged(
        db, source, cleaner.day(day), sample.raw, cells_of(versions, day), cleaner.lookups(day), numbered=True
    )
    checked = sequenced(rows, source.sequence).select("q_row", REASON)
    db.create_table("checked_rows", checked, temp=True, overwrite=True)
    for reason, count in db.con.execute(
        "SELECT reason, count(*) FROM checked_rows GROUP BY reason"
    ).fetchall():
        report.rows[reason_of(reason).label] += count
    examples = db.con.execute(
        "SELECT reason, q_row FROM (SELECT *, row_number() OVER (PARTITION BY reason ORDER BY q_row) AS nth "
        "FROM checked_rows WHERE reason > 0) WHERE nth <= ? ORDER BY reason, q_row",
        [report.examples],
    ).fetchall()
    for number, row in examples:
        reason = reason_of(number)
        for column, value in _values(db, source, sample, row, reason):
            report.problems.append(
                Problem(sample.place, f"{WORDS[reason]} ({reason.label})", sample.line(row), column, value)
            )


def _values(db: Backend, source: Source, sample: Sample, row: int, reason: Reason) -> list[tuple[str, str]]:
    """Return the columns that a reason is about, with their values in a row."""
    names = [name for name, _text in expressions(source.columns) if name.partition(".")[0] in _ABOUT[reason]]
    columns = ", ".join(alias(name) for name in names)
    found = db.con.execute(
        f"SELECT {columns} FROM {sample.raw.relation} WHERE q_row = {row}"  # noqa: S608 - names of ours
    ).fetchall()
    values = ["nothing" if value is None else repr(value)[:_LONGEST] for value in found[0]]
    return [(", ".join(names), ", ".join(values))]


def _gate(cleaner: Cleaner, report: Report, day: date) -> None:
    out_of_scope = sum(report.rows[reason.label] for reason in OUT_OF_SCOPE)
    relevant = sum(report.rows.values()) - out_of_scope
    rejected = relevant - report.rows[Reason.ACCEPTED.label]
    if report.files and not sum(report.rows.values()) and not report.exit_code:
        found = no_rows(day)
        report.problems.append(
            Problem("[source.events]", found.what, todo=found.todo, exit_code=int(found.exit_code))
        )
        return
    most = cleaner.source.gate.max_rejected_permille
    if rejected * 1000 > most * relevant or (report.rows and not relevant):
        report.problems.append(
            Problem(
                "[source.gate]",
                f"more than {most / 10:g} % of the sample of {day} are rejected: the day would not be used",
                todo="correct the mapping or the delivery",
                exit_code=int(ExitCode.DATA_UNUSABLE),
            )
        )
