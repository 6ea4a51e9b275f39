"""Why a row of an operator's events is not used: one number and name for each reason, the same on every engine.

A row has the first reason that applies. The row rules come first, in the order of their numbers; they look at the
row alone. The rules over the ordered rows of one subscriber (node.sources.sequence) look at rows that all row rules
accepted.
"""

from __future__ import annotations

from enum import IntEnum

from privacy.errors import PrivacyProblem


class Reason(IntEnum):
    """What is wrong with a row; 0 is nothing."""

    ACCEPTED = 0
    UNREADABLE_LINE = 1
    NULL_SUBSCRIBER = 2
    BAD_SUBSCRIBER = 3
    NULL_TIME = 4
    UNPARSABLE_TIME = 5
    AMBIGUOUS_TIME = 6
    OUTSIDE_DAY = 7
    UNKNOWN_KIND = 8
    EXCLUDED_KIND = 9
    UNKNOWN_ORIGIN = 10
    EXCLUDED_ORIGIN = 11
    MACHINE = 12
    NULL_CELL = 13
    UNKNOWN_CELL = 14
    EXPIRED_CELL = 15
    CELL_WITHOUT_ZONE = 16
    BORDER_ROAMING = 17
    DUPLICATE = 20
    GHOST = 21
    IMPOSSIBLE_SPEED = 22

    @property
    def label(self) -> str:
        """Name in files and messages."""
        return self.name.lower()


#: What a reason says to the operator's engineer.
WORDS: dict[Reason, str] = {
    Reason.UNREADABLE_LINE: "the line has too few or too many fields, a quote that is not closed, or bytes of "
    "another encoding",
    Reason.NULL_SUBSCRIBER: "no subscriber",
    Reason.BAD_SUBSCRIBER: "the subscriber is not a whole number from 0 to 2^63 - 1, as a pseudonym must be",
    Reason.NULL_TIME: "no time",
    Reason.UNPARSABLE_TIME: "the time has none of the declared forms",
    Reason.AMBIGUOUS_TIME: "the clock showed this time twice that night, or never",
    Reason.OUTSIDE_DAY: "the time is not in this local day",
    Reason.UNKNOWN_KIND: "the code of the kind is not declared",
    Reason.EXCLUDED_KIND: "events of this kind do not count",
    Reason.UNKNOWN_ORIGIN: "the home network is missing or does not begin with a country code (MCC)",
    Reason.EXCLUDED_ORIGIN: "subscribers of other networks do not count",
    Reason.MACHINE: "the device or the subscription is a machine's",
    Reason.NULL_CELL: "no cell",
    Reason.UNKNOWN_CELL: "the cell is not in the register",
    Reason.EXPIRED_CELL: "the cell is in the register, but not valid on this day",
    Reason.CELL_WITHOUT_ZONE: "the cell lies outside every zone",
    Reason.BORDER_ROAMING: "a subscriber of the country across the border, at a cell that reaches across it",
    Reason.DUPLICATE: "the same subscriber, time and cell as another row",
    Reason.GHOST: "one event of another cell between two of the same cell within a short time",
    Reason.IMPOSSIBLE_SPEED: "too far from the event before and from the event after for the time between",
}
#: Rows that are in order but not asked for: they count neither as rejected nor as accepted at the gate.
OUT_OF_SCOPE = frozenset({Reason.EXCLUDED_KIND, Reason.EXCLUDED_ORIGIN, Reason.MACHINE})
#: Rows that the rules over the ordered rows of one subscriber reject, after all row rules accepted them.
OF_SEQUENCE = frozenset({Reason.DUPLICATE, Reason.GHOST, Reason.IMPOSSIBLE_SPEED})
#: Rows that the row rules reject though they have a subscriber and a time in the local day, and are in scope.
OF_THE_DAY = frozenset(
    reason for reason in Reason if reason > Reason.OUTSIDE_DAY and reason not in OUT_OF_SCOPE | OF_SEQUENCE
)
_BY_NUMBER = {int(reason): reason for reason in Reason}


def reason_of(number: int) -> Reason:
    """Return the reason of a number (PrivacyProblem if no version of this code gives it)."""
    if number not in _BY_NUMBER:
        raise PrivacyProblem(
            f"{number} is no reason of this version", means="the rows were judged by other code"
        )
    return _BY_NUMBER[number]
