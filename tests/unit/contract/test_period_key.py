"""The package of a period key: all operators find the same key in it, nobody else does, and every field counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from privacy.errors import PeriodKeyProblem, UsageProblem
from quorate.contract.charter import Charter
from quorate.contract.exchange import sealed
from quorate.contract.period_key import (
    KEY_BYTES,
    PERIOD_KEY_TYPE,
    PeriodKey,
    _info,
    largest_package,
    new_package,
    package_of,
    read_package,
    signed_package,
)
from quorate.contract.signing import countersigned, signed
from quorate.v1 import federation_pb2 as fed
from tests.keys import HUB, exchange_for, key_for
from tests.support_hub import OPERATORS, small_charter
from tests.support_sketch import (
    KEY,
    NEXT_WEEK,
    WEEK,
    fixed_package,
    package_by,
    scope_in,
    statement_of,
    union_agreement,
)


@pytest.fixture
def charter() -> Charter:
    return union_agreement().charter


def test_every_operator_finds_the_same_key_and_each_package_has_another_one(charter: Charter) -> None:
    scope = scope_in(charter)
    packages = [new_package(scope, "west", charter.keys.exchange) for _ in range(3)]
    keys = set()
    for package in packages:
        read = read_package(statement_of(package), charter, scope)
        found = {read.key_for(operator, exchange_for(operator)) for operator in OPERATORS}
        assert len(found) == 1, "also its maker gets it back"
        keys |= found
    assert len(keys) == len({package.commitment for package in packages}) == 3
    assert {len(key) for key in keys} == {KEY_BYTES}


def test_the_key_is_not_in_the_package(charter: Charter) -> None:
    data = package_by(charter, "east").to_bytes()
    for secret in (KEY, KEY[:8], KEY[-8:]):
        assert secret not in data
        assert secret.hex().encode() not in data


def test_a_box_that_was_sealed_by_hand_opens_to_its_key(charter: Charter) -> None:
    package = fixed_package(charter, "east")
    assert package == fixed_package(charter, "east")
    for operator in OPERATORS:
        assert package.key_for(operator, exchange_for(operator)) == KEY


def test_a_package_survives_its_bytes_and_stays_within_its_size(charter: Charter) -> None:
    package = package_by(charter, "east")
    assert PeriodKey.from_wire(package.to_bytes(), "it") == package
    assert package.scope == scope_in(charter)
    names = tuple(f"{number:02d}".ljust(64, "x") for number in range(30))
    large = small_charter(operators=names, network="n" * 64)
    scope = scope_in(large, product="p" * 64)
    assert len(package_by(large, names[0], scope).to_bytes()) <= largest_package(large)


def test_nobody_opens_the_box_of_another(charter: Charter) -> None:
    package = package_by(charter, "east")
    for operator in OPERATORS:
        for holder in {*OPERATORS, HUB} - {operator}:
            with pytest.raises(PeriodKeyProblem, match="does not open"):
                package.key_for(operator, exchange_for(holder))
    with pytest.raises(PeriodKeyProblem, match="is not sealed to south"):
        package.key_for("south", exchange_for("south"))


def test_a_box_of_another_package_does_not_open(charter: Charter) -> None:
    """What a box is for is bound in it: it cannot be moved to another maker, period, product or charter."""
    package = package_by(charter, "east")
    others = {
        "another maker": package_by(charter, "west"),
        "another period": package_by(charter, "east", scope_in(charter, NEXT_WEEK)),
        "another last day": package_by(
            charter, "east", scope_in(charter, (WEEK[0], WEEK[1] - timedelta(days=1)))
        ),
        "another product": package_by(charter, "east", scope_in(charter, product="union2")),
        "another charter": package_by(charter, "east", scope_in(charter, charter="0" * 64)),
        "another network": package_by(charter, "east", scope_in(charter, network="large")),
    }
    for what, other in others.items():
        moved = package.model_copy(update={"wrapped": other.wrapped})
        with pytest.raises(PeriodKeyProblem, match="does not open"):
            moved.key_for("west", exchange_for("west"))
        assert other.key_for("west", exchange_for("west")) == KEY, what
    swapped = package.model_copy(update={"wrapped": package.wrapped | {"west": package.wrapped["north"]}})
    with pytest.raises(PeriodKeyProblem, match="does not open"):
        swapped.key_for("west", exchange_for("west"))


def test_a_maker_who_seals_another_key_to_one_operator_is_found_out(charter: Charter) -> None:
    scope, public = scope_in(charter), charter.keys.exchange["west"]
    box = sealed(bytes(KEY_BYTES), public, _info(scope, "east", "west")).hex()
    package = package_by(charter, "east")
    dishonest = package.model_copy(update={"wrapped": package.wrapped | {"west": box}})
    assert read_package(statement_of(dishonest), charter, scope) == dishonest, "from outside it fits"
    assert dishonest.key_for("north", exchange_for("north")) == KEY
    with pytest.raises(PeriodKeyProblem, match="sealed another period key to west than it commits to"):
        dishonest.key_for("west", exchange_for("west"))


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p.update(network="large"), "has another network"),
        (lambda p: p.update(charter="0" * 64), "has another charter"),
        (lambda p: p.update(product="union2"), "has another product"),
        (lambda p: p.update(first_day="2026-05-03"), "has another first_day"),
        (lambda p: p.update(last_day="2026-05-11"), "has another last_day"),
        (lambda p: p.update(first_day="2026-05-11", last_day="2026-05-17"), "has another first_day"),
        (lambda p: p.update(maker="west"), "is not signed by west"),
        (lambda p: p.update(maker="south"), "is not a valid periodkey"),
        (lambda p: p["wrapped"].update(south=p["wrapped"]["east"]), "exactly the operators"),
        (lambda p: p["wrapped"].pop("west"), "exactly the operators"),
        (lambda p: p["wrapped"].pop("east"), "not sealed to its maker"),
        (lambda p: p.update(wrapped={}), "'wrapped'"),
        (lambda p: p["wrapped"].update(west=p["wrapped"]["west"][:-2]), "'wrapped.west'"),
        (lambda p: p["wrapped"].update(west=p["wrapped"]["west"] + "00"), "'wrapped.west'"),
        (lambda p: p["wrapped"].update(west=p["wrapped"]["west"].upper()), "'wrapped.west'"),
        (lambda p: p.update(commitment="0" * 63), "'commitment'"),
        (lambda p: p.pop("commitment"), "'commitment'"),
        (lambda p: p.update(first_day="yesterday"), "'first_day'"),
        (lambda p: p.update(first_day=1777852800), "not in canonical form"),
        (lambda p: p.update(more=1), "'more'"),
    ],
)
def test_a_package_whose_maker_signed_something_else_is_refused_by_name(
    charter: Charter, change: Change, says: str
) -> None:
    document = json.loads(package_by(charter, "east").to_bytes())
    change(document)
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(PeriodKeyProblem) as caught:
        read_package(signed(PERIOD_KEY_TYPE, data, key_for("east")), charter, scope_in(charter))
    assert says in caught.value.what


def test_a_maker_who_is_no_operator_of_the_charter_is_refused(charter: Charter) -> None:
    exchange = charter.keys.exchange | {"south": charter.keys.exchange["east"]}
    package = package_of(KEY, scope_in(charter), "south", exchange)
    with pytest.raises(PeriodKeyProblem, match="made by south, who is no operator of the charter"):
        read_package(statement_of(package), charter, scope_in(charter))


@pytest.mark.parametrize("signer", ["west", HUB, "somebody"])
def test_a_package_that_somebody_else_signed_is_refused(charter: Charter, signer: str) -> None:
    package = package_by(charter, "east")
    with pytest.raises(PeriodKeyProblem, match="is not signed by east with the key that the charter names"):
        read_package(statement_of(package, signer), charter, scope_in(charter))


def test_a_signature_is_not_carried_over_to_other_bytes(charter: Charter) -> None:
    good = statement_of(package_by(charter, "east"))
    other = package_by(charter, "east", key=bytes(KEY_BYTES)).to_bytes()
    for payload in (other, good.payload[:-1], good.payload + b" ", good.payload[1:], b"", b"{}"):
        moved = fed.Envelope(payload_type=good.payload_type, payload=payload, signatures=good.signatures)
        with pytest.raises(PeriodKeyProblem):
            read_package(moved, charter, scope_in(charter))
    retyped = fed.Envelope(payload_type="text/plain", payload=good.payload, signatures=good.signatures)
    with pytest.raises(PeriodKeyProblem, match="of another type"):
        read_package(retyped, charter, scope_in(charter))
    for strangers in ([], [*good.signatures, fed.Signature(keyid="x", sig=b"y")]):
        with pytest.raises(PeriodKeyProblem, match=r"is not signed by east|other signatures"):
            read_package(
                fed.Envelope(payload_type=good.payload_type, payload=good.payload, signatures=strangers),
                charter,
                scope_in(charter),
            )
    with pytest.raises(PeriodKeyProblem, match="has other signatures than its maker's"):
        signed_package(countersigned(good, key_for(HUB)), charter)


def test_a_package_under_another_charter_is_refused_though_the_operators_are_the_same(
    charter: Charter,
) -> None:
    later = charter.model_copy(update={"version": 2})
    statement = statement_of(package_by(charter, "east"))
    assert signed_package(statement, later).maker == "east"
    with pytest.raises(PeriodKeyProblem, match="has another charter"):
        read_package(statement, later, scope_in(later))


def test_a_package_larger_than_it_can_be_is_not_read(charter: Charter) -> None:
    payload = b" " * (largest_package(charter) + 1)
    with pytest.raises(PeriodKeyProblem, match="is larger than"):
        signed_package(signed(PERIOD_KEY_TYPE, payload, key_for("east")), charter)


def test_days_that_are_none_make_no_scope(charter: Charter) -> None:
    data = scope_in(charter).model_dump(mode="json") | {"first_day": "2026-02-30"}
    with pytest.raises(UsageProblem, match="first_day"):
        type(scope_in(charter)).from_bytes(json.dumps(data).encode(), "it")
    assert scope_in(charter).first_day == date(2026, 5, 4)
