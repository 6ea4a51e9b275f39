"""How a command line ends: a documented exit code, an explained error, and never a traceback."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from privacy import errors
from privacy.errors import EXIT_CODE_MEANINGS, ExitCode, QuorateError
from quorate.contract import shell

KINDS = sorted(
    (kind for _name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, QuorateError)),
    key=lambda kind: kind.__name__,
)
CODES = {
    "QuorateError": 1,
    "UsageProblem": 3,
    "DataUnavailable": 4,
    "DataProblem": 5,
    "Unreachable": 6,
    "PeerProblem": 7,
    "Refused": 7,
    "SignatureProblem": 7,
    "PeriodKeyProblem": 7,
    "ResourceProblem": 8,
    "LedgerProblem": 9,
    "BytesLost": 9,
    "NonceConflict": 9,
    "PrivacyProblem": 10,
    "BudgetExhausted": 10,
}


def ends(body: Callable[[], object], monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    """Return the exit code of a command line with one command."""

    @click.group()
    def commands() -> None:
        """Do things."""

    @commands.command()
    @click.option("--times", type=int, default=1)
    def work(times: int) -> object:
        """Do a thing."""
        return body()

    monkeypatch.setattr("sys.argv", ["quorate-test", *words])
    with pytest.raises(SystemExit) as caught:
        shell.run(commands, "quorate-test")
    return caught.value.code


def raising(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize("result", [None, "text", [1], 0])
def test_a_command_that_is_done_ends_with_0(monkeypatch: pytest.MonkeyPatch, result: object) -> None:
    assert ends(lambda: result, monkeypatch, "work") == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_explained_error_is_printed_as_it_is_and_ends_with_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[QuorateError]
) -> None:
    error = kind("it broke", means="you wait", todo="mend it")
    assert ends(raising(error), monkeypatch, "work") == CODES[kind.__name__] == kind.exit_code
    printed = capsys.readouterr()
    assert printed.err == "error: it broke\n  this means: you wait\n  what to do: mend it\n"
    assert printed.out == ""


def test_every_kind_of_error_has_a_documented_code() -> None:
    assert {kind.__name__ for kind in KINDS} == set(CODES)
    assert {kind.exit_code for kind in KINDS} <= set(EXIT_CODE_MEANINGS)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["work", "--times", "x"], "'x' is not a valid integer"),
        (["work", "--tims", "1"], "No such option"),
        (["wrok"], "No such command"),
        (["work", "more"], "unexpected extra argument"),
        (["work", "--times"], "requires an argument"),
        ([], "Usage: quorate-test"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert ends(lambda: None, monkeypatch, *words) == ExitCode.USAGE
    assert says in capsys.readouterr().err


def test_help_ends_with_0(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(lambda: None, monkeypatch, "--help") == 0
    assert capsys.readouterr().out.startswith("Usage: quorate-test [OPTIONS] COMMAND")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), click.Abort(), EOFError()], ids=repr)
def test_a_command_that_is_stopped_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stop: BaseException
) -> None:
    assert ends(raising(stop), monkeypatch, "work") == 130
    assert capsys.readouterr().err.strip() == "stopped"


def test_a_reader_who_has_seen_enough_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(raising(BrokenPipeError(1, "gone")), monkeypatch, "work") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error", [ValueError("4711"), ZeroDivisionError("4711"), json.JSONDecodeError("4711", "4711", 0)]
)
def test_a_defect_ends_with_1_and_tells_its_place_but_no_traceback_and_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    assert ends(raising(error), monkeypatch, "work") == ExitCode.INTERNAL
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: a defect of Quorate: {type(error).__name__} at {Path(__file__).name}:")
    assert "4711" not in printed
    assert "Traceback" not in printed
    assert "report it" in printed


def test_a_command_may_choose_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends(lambda: ExitCode.NOT_QUORATE, monkeypatch, "work") == 11
    assert ends(lambda: click.get_current_context().exit(5), monkeypatch, "work") == 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain: 1 < 2", "plain: 1 < 2"),
        ("é € 中", "é € 中"),
        ("one\ntwo\r\n", "one\\ntwo\\r\\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u2028b\u202ec", "a\\u2028b\\u202ec"),
    ],
)
def test_a_message_of_the_other_side_stays_on_its_line(text: str, line: str) -> None:
    assert shell.printable(text) == line
    record = logging.LogRecord("quorate", logging.INFO, "x.py", 1, "refused: %s", (text,), None)
    assert shell.OneLine("%(levelname)s %(message)s").format(record) == f"INFO refused: {line}"
