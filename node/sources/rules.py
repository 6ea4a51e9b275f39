"""Rules of a mapping: forms of times, kinds of events, roamers, machines, pseudonyms, and the gate."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator, model_validator

from node.sources.inputs import Strict, Texts, several
from node.sources.ranges import NumberRange

Meaning = Literal["data", "call", "sms", "signalling"]
EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
#: Directives of a time pattern: those of strptime that DuckDB reads the same way.
_DIRECTIVE = re.compile(r"%(-?[dHIjmMSy]|[aAbBfpYz%])")


class Times(Strict):
    """How times are written.

    Attributes
    ----------
    format
        Forms that are tried in this order: `epoch_s`, `epoch_ms`, `epoch_us`, `iso`, or a pattern of strptime; or
        `timestamp` alone, for a column of a database's time type.
    zone
        Where the clock stands, for forms that do not say it themselves.
    ambiguous
        Which instant is meant by a time that the clock shows twice; a time that it never shows is always rejected.
    """

    format: Annotated[tuple[str, ...], BeforeValidator(several), Field(min_length=1)] = ("epoch_ms",)
    zone: str | None = None
    ambiguous: Literal["first", "second", "reject"] = "reject"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        try:
            if zone is not None:
                ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("it is not a time zone of the IANA database") from None
        return zone

    @model_validator(mode="after")
    def _forms(self) -> Times:
        for form in self.format:
            problem = _problem_of_form(form, self.zone)
            if problem:
                raise ValueError(f"format: {form!r} {problem}")
        if "timestamp" in self.format and len(self.format) > 1:
            raise ValueError("format: timestamp stands alone")
        return self


def _problem_of_form(form: str, zone: str | None) -> str:
    if form in {*EPOCHS, "iso", "timestamp"}:
        return ""
    if "%" not in form:
        return "is none of epoch_s, epoch_ms, epoch_us, iso, timestamp, and no pattern with %"
    if "%" in _DIRECTIVE.sub("", form):
        return "has a directive that is not supported"
    if not re.search(r"%-?[yY]", form) or not re.search(r"%-?[dj]", form):
        return "does not say the day"
    if "%z" not in form and zone is None:
        return "does not say where the clock stands: give zone"
    return ""


class Kinds(Strict):
    """Which codes mean what, and what counts."""

    data: Texts = ()
    call: Texts = ()
    sms: Texts = ()
    signalling: Texts = ()
    count: tuple[Meaning, ...] = ("data", "call", "sms", "signalling")

    @property
    def codes(self) -> dict[str, Meaning]:
        """What each code means."""
        meanings: tuple[Meaning, ...] = ("data", "call", "sms", "signalling")
        return {code: meaning for meaning in meanings for code in getattr(self, meaning)}

    @model_validator(mode="after")
    def _once(self) -> Kinds:
        if len(self.codes) != sum(map(len, (self.data, self.call, self.sms, self.signalling))):
            raise ValueError("a code has two meanings")
        return self


class Roamers(Strict):
    """Who is an own subscriber: beginnings of IMSIs, or ranges of them; everybody else roams in.

    Attributes
    ----------
    own
        For example `["20601", "206100000000000-206100999999999"]`.
    inbound
        Whether inbound roamers count; statistics of visitors need them.
    """

    own: tuple[NumberRange, ...] = Field(min_length=1)
    inbound: Literal["count", "exclude"] = "count"


class Machines(Strict):
    """Which devices (TAC) and subscriptions (IMSI) are machines: numbers, ranges, and files with one a line."""

    devices: tuple[NumberRange, ...] = ()
    devices_file: str = ""
    subscriptions: tuple[NumberRange, ...] = ()
    subscriptions_file: str = ""


class Pseudonyms(Strict):
    """How identifiers are replaced at the door.

    Attributes
    ----------
    given
        The subscriber column is a pseudonym already: a whole number from 0 to 2⁶³ − 1.
    key_file, key_command
        File of mode 0600 with the key, or command (program and arguments) that prints it; the node's own secret if
        neither is said. A key has 32 bytes or more, as they are or in hexadecimal.
    period
        How long a subscriber keeps a pseudonym. No statistic can read days of two periods.
    national_key_file, national_key_command
        A second key, for national identifiers; operators share it if persons are counted across them.
    """

    given: bool = False
    key_file: str = ""
    key_command: tuple[str, ...] = ()
    period: Literal["day", "month", "year"] = "month"
    national_key_file: str = ""
    national_key_command: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_key(self) -> Pseudonyms:
        if (self.key_file and self.key_command) or (self.national_key_file and self.national_key_command):
            raise ValueError("give a key file or a key command, not both")
        if self.given and (self.key_file or self.key_command):
            raise ValueError("given: pseudonyms that are given need no key")
        return self


class Gate(Strict):
    """When a day is not used, or warned of; 0 switches a rule off.

    Attributes
    ----------
    max_rejected_permille
        A day with a larger share of rejected rows is not used.
    max_gap_minutes
        A day with a longer time without any event is not used.
    min_active_cells_permille
        A day with events in a smaller share of the registered cells is not used.
    drift
        What happens when an indicator is outside the control limits of the last 28 days.
    """

    max_rejected_permille: int = Field(default=200, ge=0, le=1000)
    max_gap_minutes: int = Field(default=0, ge=0, le=1500)
    min_active_cells_permille: int = Field(default=0, ge=0, le=1000)
    drift: Literal["off", "warn", "block"] = "warn"
