"""Pseudonyms: what they are, whose key, for how long; and ranges of numbers."""

from __future__ import annotations

import hashlib
import hmac
import logging
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from hypothesis import given
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from node.release.policy import Refusal, require_agreed
from node.sources.cleaning import Cleaner
from node.sources.pseudonyms import Mapper, national_key, one_period, period_of, subscriber_key
from node.sources.ranges import Ranges, listed
from node.sources.reading import Place
from node.sources.reasons import Reason
from node.sources.rules import Pseudonyms
from node.statistics.registry import algorithms
from privacy.errors import ExitCode, UsageProblem
from quorate.v1 import federation_pb2 as pb
from tests.support_node import BRUSSELS, agreement, config_text, instant, order_of
from tests.unit.node.sources.support import SECRET, reasons, source_of, through_the_door
from tests.unit.node.worlds import ORDINARY_DAY, WORLDS

NOON = instant(ORDINARY_DAY, 12 * 3600) // 1000


def by_hand(key: bytes, identifier: str, period: str = "2026-10", purpose: str = "subscriber") -> int:
    def key_for(what: str) -> bytes:
        return hmac.new(
            key, f"quorate.pseudonym.v2|{purpose}|{period}|{what}".encode(), hashlib.sha256
        ).digest()

    block = identifier.encode()
    if len(block) > 15:
        block = hashlib.blake2b(block, key=key_for("long"), digest_size=16).digest()
    else:
        block = int.to_bytes((int.from_bytes(block) * 2 + 1) * 2 ** (8 * (16 - len(block)) - 1), 16)
    found = Cipher(AES256(key_for("block")), modes.ECB()).encryptor().update(block)  # noqa: S305
    return int.from_bytes(found) >> 65


def test_a_pseudonym_is_63_bits_of_one_block_of_aes() -> None:
    texts = ["206010000000001", "2060100000000012", "", "7", "ü", "\0", "7\0", "x" * 15, "x" * 16, "x" * 1000]
    found = Mapper(SECRET, "subscriber", "2026-10")([7 if text == "7" else text for text in texts])
    assert found.dtype == np.int64
    assert found.tolist() == [by_hand(SECRET, text) for text in texts]
    assert len({*found.tolist()}) == len(texts)
    assert (found >= 0).all()
    assert Mapper(SECRET, "subscriber", "2026-10")([]).tolist() == []


def test_numbers_of_an_array_are_as_their_decimal_text() -> None:
    mapper = Mapper(SECRET, "subscriber", "2026-10")
    short = [0, 7, 10, 206010000000001, 10**15 - 1]
    for numbers in (short, [*short, 10**15], [*short, 2**63 - 1], [*short, -7], []):
        found = mapper(np.array(numbers, np.int64)).tolist()
        assert found == mapper(list(map(str, numbers))).tolist()
        assert found == [by_hand(SECRET, str(number)) for number in numbers]


def test_another_key_period_or_purpose_is_another_pseudonym() -> None:
    found = {
        int(Mapper(key, purpose, period)(["1"])[0])
        for key in (SECRET, SECRET[::-1])
        for purpose in ("subscriber", "national")
        for period in ("2026-10", "2026-11")
    }
    assert len(found) == 8
    assert by_hand(SECRET, "1", purpose="national") in found


@pytest.mark.parametrize("type_", [pa.string(), pa.int64(), pa.uint64()], ids=str)
def test_the_door_replaces_identifiers_whatever_their_type(
    db: Backend, tmp_path: Path, type_: pa.DataType
) -> None:
    ids = pa.array(["206010000000001", "7", "206010000000001", None]).cast(type_)
    table = pa.table({"subscriber_id": ids, "timestamp_ms": [NOON] * 4, "cell_id": [1] * 4})
    found = through_the_door(db, tmp_path, table, source_of(pseudonyms={}))
    assert reasons(found) == [0, 0, 0, Reason.NULL_SUBSCRIBER]
    assert [row["subscriber"] for row, _ in found] == [
        by_hand(SECRET, "206010000000001"),
        by_hand(SECRET, "7"),
        by_hand(SECRET, "206010000000001"),
        -1,
    ]


class Watched:
    """A connection that notes every statement."""

    def __init__(self, connection: Any) -> None:
        self._connection, self.statements = connection, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *more: Any) -> Any:
        self.statements.append(f"{statement} {more}")
        return self._connection.execute(statement, *more)

    def sql(self, statement: str, *more: Any) -> Any:
        self.statements.append(f"{statement} {more}")
        return self._connection.sql(statement, *more)


def test_identifiers_are_in_no_statement_and_no_log(
    db: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    who, device = "206019876543210", "350000051234567"
    table = pa.table(
        {"subscriber_id": [who], "timestamp_ms": [NOON], "cell_id": [1], "imsi": [who], "imei": [device]}
    )
    source = source_of(
        pseudonyms={},
        columns={"home": "imsi", "device": "imei"},
        roamers={"own": ["206"]},
        machines={"devices": ["35999999"]},
    )
    watched = Watched(db.con)
    monkeypatch.setattr(db, "con", watched)
    assert reasons(through_the_door(db, tmp_path, table, source)) == [0]
    assert len(watched.statements) > 5
    for text in (*watched.statements, caplog.text):
        assert who not in text
        assert device not in text


@pytest.mark.parametrize(("period", "name"), [("day", "2026-10-20"), ("month", "2026-10"), ("year", "2026")])
def test_a_period_is_a_piece_of_the_date(period: str, name: str) -> None:
    assert period_of(ORDINARY_DAY, period) == name


def test_no_statistic_can_read_days_of_two_periods() -> None:
    month, day = Pseudonyms(), Pseudonyms(period="day")
    assert one_period(month, date(2026, 10, 1), date(2026, 10, 31))
    assert not one_period(month, date(2026, 10, 31), date(2026, 11, 1))
    assert one_period(day, ORDINARY_DAY, ORDINARY_DAY)
    assert not one_period(day, ORDINARY_DAY, date(2026, 10, 21))
    assert one_period(Pseudonyms(given=True), date(2026, 10, 31), date(2026, 11, 1))


def test_an_order_for_days_of_two_periods_is_refused() -> None:
    days = (date(2026, 9, 30), date(2026, 10, 1))
    given = agreement(config=config_text(days))
    order = order_of(given, "residents", days)
    assert require_agreed(order, given, algorithms()).first_day == days[0]
    replaced = agreement(config=config_text(days).replace("given = true", "given = false"))
    with pytest.raises(Refusal, match="change their pseudonyms") as caught:
        require_agreed(order, replaced, algorithms())
    assert caught.value.reason == pb.REFUSAL_REASON_DATA_UNAVAILABLE


def key_file(root: Path, data: bytes, mode: int = 0o600) -> Pseudonyms:
    path = root / "pseudonyms.key"
    path.write_bytes(data)
    path.chmod(mode)
    return Pseudonyms(key_file="pseudonyms.key", national_key_file="pseudonyms.key")


@pytest.mark.parametrize(
    "data", [SECRET, SECRET.hex().encode(), SECRET.hex().encode() + b"\n", SECRET[:-1] + b"\n"]
)
def test_a_key_is_32_bytes_or_more_plain_or_in_hexadecimal(tmp_path: Path, data: bytes) -> None:
    found = subscriber_key(key_file(tmp_path, data), tmp_path, b"")
    assert found == (data if len(data) == 32 else SECRET)
    assert national_key(key_file(tmp_path, data), tmp_path) == found


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(UsageProblem, match="others may read the file") as caught:
        subscriber_key(key_file(tmp_path, SECRET, mode), tmp_path, b"")
    assert caught.value.exit_code == ExitCode.CONFIGURATION


def test_a_short_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        subscriber_key(key_file(tmp_path, b"not a long key"), tmp_path, b"")
    assert "not a long key" not in caught.value.explain()


def test_a_key_may_come_from_a_command(tmp_path: Path) -> None:
    code = f"print({SECRET.hex()!r})"
    rules = Pseudonyms(key_command=(sys.executable, "-c", code))
    assert subscriber_key(rules, tmp_path, b"") == SECRET
    failing = Pseudonyms(key_command=(sys.executable, "-c", "print('the key'); raise SystemExit(1)"))
    with pytest.raises(UsageProblem) as caught:
        subscriber_key(failing, tmp_path, b"")
    assert "the key" not in caught.value.explain().replace("the key command", "").replace("print the key", "")


def test_without_a_key_the_nodes_own_secret_is_the_key(tmp_path: Path) -> None:
    assert subscriber_key(Pseudonyms(), tmp_path, SECRET) == SECRET
    assert national_key(Pseudonyms(), tmp_path) is None


def test_a_changed_key_is_a_changed_origin_that_does_not_tell_the_key(tmp_path: Path) -> None:
    for name in ("cells.parquet", f"{ORDINARY_DAY}.parquet"):
        (tmp_path / name).write_bytes(b"x")

    def origin(secret: bytes) -> str:
        place = Place(tmp_path, tmp_path)
        return Cleaner(source_of(pseudonyms={}), place, BRUSSELS, secret).origin(ORDINARY_DAY)["pseudonyms"]

    assert origin(SECRET) != origin(SECRET[::-1])
    assert SECRET.hex() not in origin(SECRET)


@WORLDS
@given(
    ranges=st.lists(
        st.tuples(st.integers(0, 999), st.integers(0, 999)).map(sorted)
        | st.integers(0, 99).map(lambda n: [n]),
        max_size=6,
    ),
    numbers=st.lists(st.none() | st.text("0123456789x٣", max_size=6), max_size=20),
)
def test_ranges_are_those_of_plain_python(ranges: list[list[int]], numbers: list[str | None]) -> None:
    texts = [f"{pair[0]:03}-{pair[1]:03}" if len(pair) == 2 else f"{pair[0]:02}" for pair in ranges]
    found = Ranges.of(texts).have(pa.array(numbers, pa.string())).tolist()

    def inside(number: str | None, text: str) -> bool:
        first, _, last = text.partition("-")
        beginning = (number or "")[: len(first)]
        return (
            len(beginning) == len(first)
            and beginning.isascii()
            and first <= beginning <= (last or first)
            and beginning.isdigit()
        )

    assert found == [any(inside(number, text) for text in texts) for number in numbers]


def test_a_list_has_one_range_a_line_and_names_the_wrong_one(tmp_path: Path) -> None:
    path = tmp_path / "tac.txt"
    path.write_text("# meters\n35000000\n\n35000010-35000019  # trackers\n")
    assert listed(path) == ["35000000", "35000010-35000019"]
    path.write_text("35\nx\n")
    with pytest.raises(UsageProblem, match="line 2"):
        listed(path)
