"""The hub's files: what is read, and every error by file, line and column."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hub.config import ESTIMABLE, Home, load_agreement, load_config, read_register
from hub.estimation.estimators import ESTIMATORS
from privacy.errors import UsageProblem
from privacy.statistics import ACTIVITY, PRESENCE_BY_HOUR, RESIDENTS, WEIGHTED_PRESENCE
from privacy.terms import Level
from quorate.contract.signing import public_key
from tests.keys import HUB, key_for, pem_for
from tests.support_hub import (
    PHONE_OWNERS,
    POPULATION,
    publication,
    small_charter,
    small_product,
    small_zoning,
)

CODES = ["A1", "A2", "B1", "C1", "C2"]
REGISTER = "zone,population,phone_owners\nA1,1000,800\nA2,600,500\nB1,1400,1100\nC1,800,600\nC2,200,100\n"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.signing_key.write_bytes(pem_for(HUB))
    home.charter.write_bytes(small_charter().to_bytes())
    home.zoning.write_bytes(small_zoning().to_bytes())
    home.register.write_text(REGISTER, encoding="utf-8")
    return home


def refusal(home: Home) -> str:
    with pytest.raises(UsageProblem) as caught:
        load_agreement(home)
    return caught.value.what


def register_refusal(home: Home, text: str | bytes) -> str:
    home.register.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageProblem) as caught:
        read_register(home.register, CODES)
    return caught.value.what.replace(str(home.register), "register.csv")


# --- the agreement ----------------------------------------------------------------------------------------


def test_charter_zoning_and_register_are_read_together(home: Home) -> None:
    own = load_agreement(home)
    assert own.charter == small_charter()
    assert own.charter_digest == small_charter().digest()
    assert own.zoning.codes == CODES
    assert own.register.population.tolist() == list(POPULATION)
    assert own.register.phone_owners.tolist() == list(PHONE_OWNERS)


@pytest.mark.parametrize("name", ["charter.json", "zoning.json", "register.csv"])
def test_a_missing_file_is_named(home: Home, name: str) -> None:
    (home.root / name).unlink()
    assert refusal(home) == f"{home.root / name} cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ["charter.json", "zoning.json", "register.csv"])
def test_a_directory_in_a_files_place_is_named(home: Home, name: str) -> None:
    (home.root / name).unlink()
    (home.root / name).mkdir()
    assert refusal(home) == f"{home.root / name} cannot be read: Is a directory"


@pytest.mark.parametrize(("name", "document"), [("charter.json", "charter"), ("zoning.json", "zoning")])
@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]"])
def test_a_document_that_is_none_is_named(home: Home, name: str, document: str, data: bytes) -> None:
    (home.root / name).write_bytes(data)
    assert refusal(home).startswith(f"{home.root / name} is not a valid {document}: ")


def test_a_field_of_the_charter_that_is_wrong_is_named(home: Home) -> None:
    charter = json.loads(home.charter.read_bytes())
    charter["products"][1]["rho"] = 0
    home.charter.write_text(json.dumps(charter), encoding="utf-8")
    assert refusal(home) == (
        f"{home.charter} is not a valid charter: 'products.1.rho': Input should be greater than 0"
    )


def charter_refusal(home: Home, change: Callable[[dict[str, Any]], object], number: str = "") -> str:
    """Change the charter's document, or put any text in the place of the number 54321, and read it."""
    charter = json.loads(home.charter.read_bytes())
    change(charter)
    text = json.dumps(charter)
    assert ("54321" in text) == bool(number)
    home.charter.write_text(text.replace("54321", number), encoding="utf-8")
    return refusal(home).removeprefix(f"{home.charter} is not a valid charter: ")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda c: c["products"][0].update(max_days=7),
            "'products.0': Value error, presence-by-hour reads one day, so max_days must be 1",
        ),
        (
            lambda c: c["products"][0].update(statistic="footfall"),
            "'products.0': Value error, there is no statistic called footfall",
        ),
        (
            lambda c: c["products"][1].update(statistic=PRESENCE_BY_HOUR),
            "'products.1': Value error, presence-by-hour reads one day, so max_days must be 1",
        ),
        (
            lambda c: c["products"][1].update(levels=levels(("zone", 500), ("zone", 500))),
            "'products.1': Value error, a level is named twice",
        ),
        (
            lambda c: c["products"][1].update(levels=levels(("zone", 999))),
            "'products.1': Value error, the shares of the levels do not add up to 1000",
        ),
        (
            lambda c: c["products"][1].update(levels=levels(("zone", 600), ("district", 401))),
            "'products.1': Value error, the shares of the levels do not add up to 1000",
        ),
        (
            lambda c: c["products"][1].update(levels=levels(("zone", 600), ("district", 399))),
            "'products.1': Value error, the shares of the levels do not add up to 1000",
        ),
    ],
    ids=[
        "presence of a week",
        "unknown statistic",
        "presence of a month",
        "a level twice",
        "one level of 999",
        "1001",
        "999",
    ],
)
def test_a_product_that_cannot_be_released_is_refused_when_the_charter_is_read(
    home: Home, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    assert charter_refusal(home, change) == says


def levels(*shares: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "share_permille": share} for name, share in shares]


_NUMBERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a parameter": lambda c: c["products"][1]["parameters"].update(min_nights=54321),
    "a parameter's part": lambda c: c["products"][1]["parameters"].update(hours=[0, {"last": 54321}]),
    "version": lambda c: c.update(version=54321),
    "min_operators": lambda c: c["publication"].update(min_operators=54321),
    "rho": lambda c: c["products"][0].update(rho=54321),
}


@pytest.mark.parametrize("number", ["9007199254740993", str(2**60), str(-(2**60)), "9" * 400, "NaN", "1e400"])
@pytest.mark.parametrize("field", _NUMBERS)
def test_a_number_that_has_no_canonical_form_is_refused_when_the_charter_is_read(
    home: Home, field: str, number: str
) -> None:
    assert charter_refusal(home, _NUMBERS[field], number).startswith("'")


@pytest.mark.parametrize("number", [2**53 - 1, -(2**53) + 1])
def test_the_largest_numbers_with_a_canonical_form_are_read(home: Home, number: int) -> None:
    charter = json.loads(home.charter.read_bytes())
    charter["products"][1]["parameters"]["min_nights"] = number
    home.charter.write_text(json.dumps(charter), encoding="utf-8")
    found = load_agreement(home)
    assert found.charter.product("residents").parameters == {"min_nights": number}
    assert found.charter_digest == found.charter.digest()


def test_a_statistic_without_an_estimator_is_refused_before_anybody_pays_for_it(home: Home) -> None:
    charter = json.loads(home.charter.read_bytes())
    charter["products"][0].update(statistic=ACTIVITY, parameters={"edges": [0, 5]})
    home.charter.write_text(json.dumps(charter), encoding="utf-8")
    with pytest.raises(UsageProblem) as caught:
        load_agreement(home)
    assert caught.value.what == "product presence is activity, of which this hub cannot make estimates"
    assert caught.value.means == "its releases would cost the operators budget, and nobody would get a figure"
    assert caught.value.todo == f"leave it out of the charter; this version estimates {', '.join(ESTIMABLE)}"


def test_what_is_called_estimable_is_what_has_an_estimator() -> None:
    assert set(ESTIMABLE) == set(ESTIMATORS)


def test_a_weighted_product_without_anchors_is_refused_before_anybody_waits_for_it(home: Home) -> None:
    charter = json.loads(home.charter.read_bytes())
    charter["products"][0].update(
        statistic=WEIGHTED_PRESENCE, parameters={"night_hours": [0], "weight_maximum": 5000}
    )
    home.charter.write_text(json.dumps(charter), encoding="utf-8")
    assert refusal(home).startswith("product presence is weighted, and the charter has 0 products")


@pytest.mark.parametrize(
    "change",
    [
        {"version": "2"},
        {"name": "Other"},
        {"zones": small_zoning().zones[:-1]},
    ],
    ids=["version", "name", "zones"],
)
def test_a_zoning_that_is_not_the_charters_is_refused(home: Home, change: dict[str, Any]) -> None:
    home.zoning.write_bytes(small_zoning(**change).to_bytes())
    with pytest.raises(UsageProblem, match=r"zoning\.json is not the zoning of the charter") as caught:
        load_agreement(home)
    assert caught.value.todo == "put the charter's zoning into the hub's directory"


def test_a_zoning_that_says_the_same_in_other_bytes_is_the_charters(home: Home) -> None:
    pretty = json.dumps(json.loads(home.zoning.read_bytes()), indent=4)
    home.zoning.write_text(pretty, encoding="utf-8")
    assert load_agreement(home).zoning == small_zoning()


def test_a_signing_key_that_the_charter_does_not_name_is_refused(home: Home) -> None:
    home.signing_key.write_bytes(pem_for("somebody else"))
    with pytest.raises(UsageProblem, match=r"signing\.key is not the key that the charter names") as caught:
        load_agreement(home)
    assert public_key(key_for("somebody else")) in caught.value.todo
    home.signing_key.unlink()
    assert "signing.key cannot be read" in refusal(home)


def test_a_published_level_that_the_zoning_lacks_is_named(home: Home) -> None:
    charter = small_charter(publication=publication(levels=("zone", "region", "district")))
    home.charter.write_bytes(charter.to_bytes())
    assert refusal(home) == "the charter names the level region, which the zoning does not have"


def test_a_measured_level_that_the_zoning_lacks_is_named(home: Home) -> None:
    both = (Level(name="zone", share_permille=600), Level(name="nation", share_permille=400))
    product = small_product("residents", RESIDENTS, 5_000_000, 31, levels=both)
    home.charter.write_bytes(small_charter(products=(product,)).to_bytes())
    assert refusal(home) == "the charter names the level nation, which the zoning does not have"


def test_products_may_be_measured_at_every_level_of_the_zoning(home: Home) -> None:
    shares = {"province": 100, "district": 300, "zone": 600}
    levels = tuple(Level(name=name, share_permille=share) for name, share in shares.items())
    product = small_product("residents", RESIDENTS, 5_000_000, 31, levels=levels)
    home.charter.write_bytes(small_charter(products=(product,)).to_bytes())
    assert load_agreement(home).charter.products[0].levels == levels


def test_a_product_that_is_not_measured_at_the_zones_is_refused(home: Home) -> None:
    district = levels(("district", 1000))
    assert charter_refusal(home, lambda c: c["products"][1].update(levels=district)) == (
        "'products.1': Value error, the finest level, zone, is not among the levels that are measured"
    )


# --- the register -----------------------------------------------------------------------------------------


def test_lines_and_columns_may_come_in_any_order_with_more_columns_and_fractions(home: Home) -> None:
    rows = [line.split(",") for line in REGISTER.splitlines()]
    turned = [[*reversed(row), "more"] for row in [rows[0], *reversed(rows[1:])]]
    turned[1][1] = "200.5"
    home.register.write_text("\r\n".join(",".join(row) for row in turned) + "\r\n", encoding="utf-8")
    found = read_register(home.register, CODES)
    assert found.population.tolist() == [1000, 600, 1400, 800, 200.5]
    assert found.phone_owners.tolist() == [800, 500, 1100, 600, 100]
    assert found.population.dtype == np.float64


def test_quoted_codes_and_a_zone_without_people_are_read(home: Home) -> None:
    home.register.write_text(REGISTER.replace("C2,200,100", '"C2",0,0'), encoding="utf-8")
    assert read_register(home.register, CODES).population[4] == 0


def test_a_byte_order_mark_is_no_part_of_the_first_column(home: Home) -> None:
    home.register.write_text(REGISTER, encoding="utf-8-sig")
    assert home.register.read_bytes().startswith(b"\xef\xbb\xbfzone")
    assert read_register(home.register, CODES).population.tolist() == list(POPULATION)


def test_in_a_zone_everybody_may_own_a_phone_but_not_more_than_everybody(home: Home) -> None:
    home.register.write_text(REGISTER.replace("B1,1400,1100", "B1,1400,1400"), encoding="utf-8")
    assert read_register(home.register, CODES).phone_owners[2] == 1400
    for line in ("B1,1400,1400.5", "B1,0,1"):
        text = REGISTER.replace("B1,1400,1100", line)
        assert register_refusal(home, text) == "register.csv: zone B1 has more phone owners than persons"


def test_of_several_zones_with_too_many_phone_owners_the_first_by_code_is_named(home: Home) -> None:
    text = "zone,phone_owners,population\nC2,9,1\nC1,1,1\nB1,1,1\nA2,2,1\nA1,1,1\n"
    assert register_refusal(home, text) == "register.csv: zone A2 has more phone owners than persons"


@pytest.mark.parametrize(
    "bad", ["-1", "nan", "inf", "-inf", "many", "", "1 000", "1,5", "1_0", "1_000", "0x10", "1e400"]
)
@pytest.mark.parametrize(("column", "position"), [("population", 1), ("phone_owners", 2)])
def test_a_number_that_is_no_number_of_persons_is_named_by_line_and_column(
    home: Home, bad: str, column: str, position: int
) -> None:
    lines = [line.split(",") for line in REGISTER.splitlines()]
    lines[3][position] = f'"{bad}"'
    text = "\n".join(",".join(line) for line in lines)
    assert register_refusal(home, text) == (
        f"register.csv, line 4, column {column}: {bad!r} is not a number of persons"
    )


def test_a_line_that_stops_early_is_named(home: Home) -> None:
    text = REGISTER.replace("B1,1400,1100", "B1,1400")
    assert register_refusal(home, text) == (
        "register.csv, line 4, column phone_owners: None is not a number of persons"
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("B1", "register.csv, line 4, column population: None is not a number of persons"),
        ("B1,", "register.csv, line 4, column population: '' is not a number of persons"),
        ("B1,,1100", "register.csv, line 4, column population: '' is not a number of persons"),
        ("B1,1400,", "register.csv, line 4, column phone_owners: '' is not a number of persons"),
        (",1400,1100", "register.csv does not have exactly one line for each zone of the zoning: see "),
    ],
)
def test_a_line_without_one_of_its_parts_is_named(home: Home, line: str, what: str) -> None:
    assert register_refusal(home, REGISTER.replace("B1,1400,1100", line)) == what


def test_a_line_that_stops_before_its_zone_is_refused(home: Home) -> None:
    text = "population,phone_owners,zone\n1000,800,A1\n600,500,A2\n1400,1100\n800,600,C1\n200,100,C2\n"
    with pytest.raises(UsageProblem, match="exactly one line for each zone of the zoning"):
        read_register_of(home, text)


def read_register_of(home: Home, text: str) -> object:
    home.register.write_text(text, encoding="utf-8")
    return read_register(home.register, CODES)


def test_of_several_bad_numbers_the_first_is_named(home: Home) -> None:
    text = REGISTER.replace("C1,800,600", "C1,x,y").replace("A2,600,500", "A2,600,z")
    assert register_refusal(home, text) == (
        "register.csv, line 3, column phone_owners: 'z' is not a number of persons"
    )


@pytest.mark.parametrize("column", ["zone", "population", "phone_owners"])
def test_a_missing_column_is_named(home: Home, column: str) -> None:
    text = REGISTER.replace(column, f"{column}_2024", 1)
    assert register_refusal(home, text) == f"register.csv lacks the column '{column}'"


_NOT_EVERY = "register.csv does not have exactly one line for each zone of the zoning: see "


@pytest.mark.parametrize(
    ("change", "zone"),
    [
        (lambda text: text.replace("B1,1400,1100\n", ""), "B1"),
        (lambda text: text + "D9,1,1\n", "D9"),
        (lambda text: text.replace("B1,", "B2,"), "B1"),
        (lambda text: text + "B1,1400,1100\n", "B1"),
        (lambda text: text.replace("B1,", "b1,"), "B1"),
        (lambda text: text.replace("C1,", "C2,"), "C1"),
        (lambda text: "zone,population,phone_owners\n", "A1"),
        (lambda text: "", "A1"),
    ],
    ids=["missing", "unknown", "renamed", "twice", "lower case", "instead", "only a header", "empty"],
)
def test_a_zone_that_is_missing_unknown_or_twice_is_named(
    home: Home, change: Callable[[str], str], zone: str
) -> None:
    assert register_refusal(home, change(REGISTER)) == _NOT_EVERY + zone


@pytest.mark.parametrize(
    "data",
    [b"zone,population,phone_owners\nA1,\xff,1\n", b'zone,population,phone_owners\nA1,"1000,800\n'],
    ids=["latin-1", "open quote"],
)
def test_a_register_that_is_no_csv_in_utf8_is_refused(home: Home, data: bytes) -> None:
    assert register_refusal(home, data) == "register.csv is not a CSV file in UTF-8"


# --- hub.toml ---------------------------------------------------------------------------------------------


def test_without_hub_toml_the_hub_listens_at_its_usual_port(home: Home) -> None:
    assert load_config(home).listen == "localhost:7443"


@pytest.mark.parametrize("listen", ["0.0.0.0:443", "hub.example.org:1", "localhost:0"])
def test_an_address_is_taken_from_hub_toml(home: Home, listen: str) -> None:
    home.config.write_text(f'listen = "{listen}"\n', encoding="utf-8")
    assert load_config(home).listen == listen


@pytest.mark.parametrize(
    "listen", ["localhost", ":7443", "localhost:", "localhost:https", "a b:1", "a:123456"]
)
def test_an_address_that_is_none_is_refused(home: Home, listen: str) -> None:
    home.config.write_text(f'listen = "{listen}"\n', encoding="utf-8")
    with pytest.raises(UsageProblem, match=r"hub\.toml: 'listen': "):
        load_config(home)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'port = "7443"\n', "'port': "),
        (b"listen = 7443\n", "'listen': "),
        (b"listen\n", "is not TOML"),
        (b"listen = '\xff'\n", "is not TOML"),
    ],
)
def test_a_setting_that_is_wrong_is_named(home: Home, data: bytes, what: str) -> None:
    home.config.write_bytes(data)
    with pytest.raises(UsageProblem, match=what) as caught:
        load_config(home)
    assert str(home.config) in caught.value.what
