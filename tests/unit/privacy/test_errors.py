"""Errors explain themselves, and every one leaves with a documented exit code."""

from __future__ import annotations

from collections.abc import Iterator

from privacy import errors
from privacy.errors import EXIT_CODE_MEANINGS, ExitCode, QuorateError


def every_error(root: type[QuorateError] = QuorateError) -> Iterator[type[QuorateError]]:
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_an_error_says_what_happened_what_it_means_and_what_to_do() -> None:
    error = errors.DataUnavailable("the file is not there", means="nothing was sent", todo="put it there")
    assert error.explain().splitlines() == [
        "error: the file is not there",
        "  this means: nothing was sent",
        "  what to do: put it there",
    ]
    assert str(error) == "the file is not there"


def test_an_error_without_more_to_say_is_one_line() -> None:
    assert errors.UsageProblem("no").explain() == "error: no"


def test_every_error_leaves_with_a_code_that_is_documented() -> None:
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)
    assert {error.exit_code for error in every_error()} <= set(EXIT_CODE_MEANINGS)


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    tree = (errors.__doc__ or "").split("\n\n", 1)[1]
    drawn = {line.lstrip("│├└─ ").split()[0] for line in tree.splitlines() if line}
    assert drawn == {error.__name__ for error in every_error() if error.__module__ == errors.__name__}


def test_a_budget_a_ledger_and_a_peer_leave_with_different_codes() -> None:
    codes = [
        errors.BudgetExhausted.exit_code,
        errors.LedgerProblem.exit_code,
        errors.Unreachable.exit_code,
        errors.Refused.exit_code,
        errors.ResourceProblem.exit_code,
        errors.UsageProblem.exit_code,
        errors.DataUnavailable.exit_code,
        errors.DataProblem.exit_code,
    ]
    assert codes == [10, 9, 6, 7, 8, 3, 4, 5]
