"""A node gets the period key before it needs it, holds the first that fits, and refuses every other one."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from node.cli import commands
from node.config import Home
from node.daemon import open_ledger
from node.enrolment import Agreement, enrol, load
from node.period_keys import PeriodKeys
from node.pinned_keys import every_pinned, key_of, scope_of
from node.release.policy import Refusal
from node.release.releasing import Releasing
from node.statistics.registry import algorithms
from node.uplink import Uplink
from privacy.errors import (
    DataUnavailable,
    PeriodKeyProblem,
    ResourceProblem,
    Unreachable,
    UsageProblem,
)
from privacy.statistics import UNION_SKETCH
from privacy.terms import Terms
from quorate.contract.order import terms_of
from quorate.contract.period_key import PeriodKey, package_of
from quorate.v1 import federation_pb2 as pb
from tests.keys import HUB, exchange_for, exchange_pem_for, key_for
from tests.support_node import (
    FIRST_DAY,
    GIVEN,
    NAME,
    NATIONAL,
    NETWORK,
    OTHER,
    POLICY_TOML,
    Network,
    config_text,
    enrolled,
    network_at,
    order_of,
    products_of,
)
from tests.support_sketch import UNION, statement_of, union_product

DAYS = FIRST_DAY, FIRST_DAY + timedelta(days=1)
LATER = DAYS[1] + timedelta(days=5), DAYS[1] + timedelta(days=6)
MINE, THEIRS = b"m" * 32, b"t" * 32
POLICY = POLICY_TOML.replace('"presence"]', f'"presence", "{UNION}"]')


@pytest.fixture(scope="module")
def union_network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network whose charter has a union sketch."""
    products = (*products_of(algorithms()), union_product(algorithm="a" * 64))
    return network_at(tmp_path_factory.mktemp("network") / "hub", products=products)


@pytest.fixture
def home(union_network: Network, tmp_path: Path) -> Home:
    config = config_text().replace(GIVEN, NATIONAL)
    return enrolled(union_network, tmp_path / "node", config=config, policy=POLICY)


@dataclass
class Relay:
    """A hub that keeps the first package of each product and period; `does` may put another answer in its place."""

    kept: dict[tuple[str, tuple[date, date]], pb.Envelope] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    does: Callable[[pb.Envelope | None], pb.Envelope | None] = lambda answer: answer

    def period_key(self, product: str, days: tuple[date, date]) -> pb.Envelope | None:
        self.calls.append("get")
        return self.does(self.kept.get((product, days)))

    def put_period_key(self, package: pb.Envelope) -> pb.Envelope:
        self.calls.append("put")
        said = PeriodKey.from_bytes(package.payload, "it")
        first = self.kept.setdefault((said.product, (said.first_day, said.last_day)), package)
        return self.does(first) or pb.Envelope()


def keys_at(home: Home, relay: Relay) -> PeriodKeys:
    return PeriodKeys(home, load(home), cast("Uplink", relay), key_for(NAME))


def terms_in(home: Home, days: tuple[date, date] = DAYS, product: str = UNION, revision: int = 0) -> Terms:
    own = load(home)
    return terms_of(own.charter, own.zoning, product, days, revision)


def theirs(own: Agreement, days: tuple[date, date] = DAYS, key: bytes = THEIRS) -> PeriodKey:
    """Return a package that the other operator made."""
    scope = scope_of(own, terms_of(own.charter, own.zoning, UNION, days, 0))
    return package_of(key, scope, OTHER, own.charter.keys.exchange)


def brought(relay: Relay, package: PeriodKey) -> None:
    relay.kept[package.product, (package.first_day, package.last_day)] = statement_of(package)


def files(home: Home) -> dict[str, bytes]:
    if not home.period_keys.exists():
        return {}
    return {path.name: path.read_bytes() for path in home.period_keys.iterdir()}


# --- getting a key ----------------------------------------------------------------------------------------


def test_the_first_node_makes_the_key_and_seals_it_to_the_others(home: Home) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home))
    assert relay.calls == ["get", "put"]
    key = key_of(home, terms_in(home))
    assert len(key) == 32
    (statement,) = relay.kept.values()
    package = PeriodKey.from_wire(statement.payload, "it")
    assert package.maker == NAME
    assert package.key_for(OTHER, exchange_for(OTHER)) == key


def test_every_key_is_another_one(union_network: Network, tmp_path: Path) -> None:
    found = set()
    for number in range(3):
        home = enrolled(union_network, tmp_path / f"node {number}", policy=POLICY)
        for days in (DAYS, LATER):
            keys_at(home, Relay()).ensure(terms_in(home, days))
            found.add(key_of(home, terms_in(home, days)))
    assert len(found) == 6


def test_a_node_takes_the_key_that_another_has_made(home: Home) -> None:
    relay = Relay()
    brought(relay, theirs(load(home)))
    keys_at(home, relay).ensure(terms_in(home))
    assert relay.calls == ["get"]
    assert key_of(home, terms_in(home)) == THEIRS


def test_a_node_that_comes_second_with_its_own_takes_the_first(home: Home) -> None:
    """Nobody had made a key when it asked, and somebody had when its own arrived."""
    relay, package = Relay(), theirs(load(home))

    def too_late(answer: pb.Envelope | None) -> pb.Envelope | None:
        if relay.calls[-1] == "get":
            brought(relay, package)
            return None
        return answer

    relay.does = too_late
    keys_at(home, relay).ensure(terms_in(home))
    assert relay.calls == ["get", "put"]
    assert key_of(home, terms_in(home)) == THEIRS


def test_revisions_share_a_key_and_periods_do_not(home: Home) -> None:
    relay = Relay()
    brought(relay, theirs(load(home)))
    keys = keys_at(home, relay)
    keys.ensure(terms_in(home))
    keys.ensure(terms_in(home, revision=4))
    keys.ensure(terms_in(home, LATER))
    assert key_of(home, terms_in(home, revision=9)) == THEIRS != key_of(home, terms_in(home, LATER))
    assert len(files(home)) == 2


def test_other_statistics_need_no_key_and_ask_for_none(home: Home) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home, (DAYS[0], DAYS[0]), "presence"))
    assert (relay.calls, files(home)) == ([], {})
    assert terms_in(home).statistic == UNION_SKETCH


def test_without_a_key_the_worker_is_told_that_it_is_not_here(home: Home) -> None:
    with pytest.raises(DataUnavailable, match="the period key of union from 2026-10-12 to 2026-10-13 is not"):
        key_of(home, terms_in(home))


# --- holding it -------------------------------------------------------------------------------------------


def test_what_is_pinned_is_for_the_nodes_user_alone_and_is_not_the_key_itself(home: Home) -> None:
    relay = Relay()
    brought(relay, theirs(load(home)))
    keys_at(home, relay).ensure(terms_in(home))
    assert stat.S_IMODE(home.period_keys.stat().st_mode) == 0o700
    (path,) = home.period_keys.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name == f"union_2026-10-12_2026-10-13_{load(home).charter_digest}.json"
    (package,) = every_pinned(home)
    assert THEIRS not in path.read_bytes()
    assert THEIRS not in package.to_bytes()


def test_a_pinned_key_is_used_again_after_the_hub_was_asked(home: Home) -> None:
    relay = Relay()
    brought(relay, theirs(load(home)))
    for _ in range(3):
        keys_at(home, relay).ensure(terms_in(home))
    assert relay.calls == ["get"] * 3
    assert key_of(home, terms_in(home)) == THEIRS


def test_another_package_later_is_refused_and_the_first_stays(home: Home) -> None:
    relay, own = Relay(), load(home)
    brought(relay, theirs(own))
    keys_at(home, relay).ensure(terms_in(home))
    before = files(home)
    brought(relay, theirs(own, key=MINE))
    with pytest.raises(PeriodKeyProblem, match="gives another period key of union") as caught:
        keys_at(home, relay).ensure(terms_in(home))
    assert "over another channel" in caught.value.todo
    assert files(home) == before
    assert key_of(home, terms_in(home)) == THEIRS


def test_the_same_key_in_another_package_is_another_package(home: Home) -> None:
    """What operators compare is the digest of the package, so there is one."""
    relay, own = Relay(), load(home)
    brought(relay, theirs(own))
    keys_at(home, relay).ensure(terms_in(home))
    brought(relay, theirs(own))
    with pytest.raises(PeriodKeyProblem, match="gives another period key"):
        keys_at(home, relay).ensure(terms_in(home))


def test_a_maker_whose_key_the_hub_has_given_up_for_another_refuses_it(home: Home) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home))
    key = key_of(home, terms_in(home))
    brought(relay, theirs(load(home)))
    with pytest.raises(PeriodKeyProblem, match="made by beta, than the one made by alpha"):
        keys_at(home, relay).ensure(terms_in(home))
    assert key_of(home, terms_in(home)) == key


def test_a_hub_that_went_back_to_a_backup_gets_the_package_again_from_its_maker(home: Home) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home))
    kept = dict(relay.kept)
    relay.kept.clear()
    keys_at(home, relay).ensure(terms_in(home))
    assert relay.kept == kept


def test_whoever_is_not_the_maker_goes_on_with_the_pinned_one_when_the_hub_has_none(home: Home) -> None:
    relay = Relay()
    brought(relay, theirs(load(home)))
    keys_at(home, relay).ensure(terms_in(home))
    relay.kept.clear()
    keys_at(home, relay).ensure(terms_in(home))
    assert key_of(home, terms_in(home)) == THEIRS
    assert relay.kept == {}, "it makes no second one"


def test_a_node_that_lost_its_directory_gets_the_key_back_with_its_exchange_key(home: Home) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home))
    key = key_of(home, terms_in(home))
    for path in home.period_keys.iterdir():
        path.unlink()
    home.period_keys.rmdir()
    keys_at(home, relay).ensure(terms_in(home))
    assert key_of(home, terms_in(home)) == key
    assert relay.calls == ["get", "put", "get"]


def test_two_orders_at_once_pin_one_key(home: Home) -> None:
    relay = Relay()
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda revision: keys_at(home, relay).ensure(terms_in(home, revision=revision)), range(8)
            )
        )
    assert len(files(home)) == 1


def test_a_disk_that_is_full_pins_nothing_and_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = Relay()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("node.private.os.fsync", full)
        with pytest.raises(ResourceProblem, match="cannot be written: No space left"):
            keys_at(home, relay).ensure(terms_in(home))
    assert files(home) == {}
    keys_at(home, relay).ensure(terms_in(home))
    assert relay.calls == ["get", "put", "get"], "its own package counts at the hub"
    assert len(key_of(home, terms_in(home))) == 32


# --- what does not fit ------------------------------------------------------------------------------------


def other_scope(package: PeriodKey, own: Agreement, **changes: object) -> PeriodKey:
    scope = package.scope.model_copy(update=changes)
    return package_of(THEIRS, scope, OTHER, own.charter.keys.exchange)


HOSTILE: dict[str, Callable[[PeriodKey, Agreement], pb.Envelope]] = {
    "nothing": lambda _package, _own: pb.Envelope(),
    "signed by the hub": lambda package, _own: statement_of(package, HUB),
    "signed by the receiver": lambda package, _own: statement_of(package, NAME),
    "cut": lambda package, _own: pb.Envelope(
        payload_type=statement_of(package).payload_type,
        payload=package.to_bytes()[:-1],
        signatures=statement_of(package).signatures,
    ),
    "of another period": lambda _package, own: statement_of(theirs(own, LATER)),
    "of another charter": lambda package, own: statement_of(other_scope(package, own, charter="0" * 64)),
    "of another network": lambda package, own: statement_of(other_scope(package, own, network="other")),
    "of another product": lambda package, own: statement_of(other_scope(package, own, product="union2")),
    "of a stranger": lambda package, own: statement_of(
        package_of(THEIRS, package.scope, "gamma", own.charter.keys.exchange | {"gamma": "5" * 64})
    ),
    "with the box of another": lambda package, _own: statement_of(
        package.model_copy(update={"wrapped": dict.fromkeys(package.wrapped, package.wrapped[OTHER])})
    ),
    "with another commitment": lambda package, _own: statement_of(
        package.model_copy(update={"commitment": "0" * 64})
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("pinned", [False, True], ids=["first", "later"])
def test_a_package_that_does_not_fit_is_refused_and_not_pinned(home: Home, case: str, pinned: bool) -> None:
    relay, own = Relay(), load(home)
    if pinned:
        brought(relay, theirs(own))
        keys_at(home, relay).ensure(terms_in(home))
    before = files(home)
    relay.does = lambda _answer: HOSTILE[case](theirs(own), own)
    with pytest.raises(PeriodKeyProblem):
        keys_at(home, relay).ensure(terms_in(home))
    assert files(home) == before


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[" * 5000])
def test_a_pinned_file_that_was_changed_is_not_used_and_not_replaced(home: Home, damage: bytes) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home))
    (path,) = home.period_keys.iterdir()
    path.write_bytes(damage)
    for use in (
        lambda: keys_at(home, relay).ensure(terms_in(home)),
        lambda: key_of(home, terms_in(home)),
        lambda: every_pinned(home),
    ):
        with pytest.raises(PeriodKeyProblem, match="is not a package with a period key"):
            use()
    assert path.read_bytes() == damage


def test_a_pinned_package_of_another_period_is_not_used(home: Home) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home, LATER))
    (path,) = home.period_keys.iterdir()
    path.rename(path.with_name(path.name.replace(f"{LATER[0]}_{LATER[1]}", f"{DAYS[0]}_{DAYS[1]}")))
    with pytest.raises(PeriodKeyProblem, match="has another first_day"):
        key_of(home, terms_in(home))


def test_a_key_under_a_charter_before_this_one_is_not_used(union_network: Network, home: Home) -> None:
    relay = Relay()
    keys_at(home, relay).ensure(terms_in(home))
    (old,) = home.period_keys.iterdir()
    home.charter.write_bytes(union_network.charter.model_copy(update={"version": 4}).to_bytes())
    enrol(home, NAME, NETWORK, union_network.fingerprint)
    with pytest.raises(DataUnavailable):
        key_of(home, terms_in(home))
    old.rename(old.with_name(f"union_{DAYS[0]}_{DAYS[1]}_{load(home).charter_digest}.json"))
    with pytest.raises(PeriodKeyProblem, match="has another charter"):
        key_of(home, terms_in(home))


def test_a_node_whose_exchange_key_is_another_does_not_open_what_is_pinned(home: Home) -> None:
    keys_at(home, Relay()).ensure(terms_in(home))
    home.exchange_key.write_bytes(exchange_pem_for("somebody else"))
    with pytest.raises(PeriodKeyProblem, match="does not open"):
        key_of(home, terms_in(home))
    home.exchange_key.unlink()
    with pytest.raises(UsageProblem, match=r"exchange\.key cannot be read"):
        key_of(home, terms_in(home))


# --- an order ---------------------------------------------------------------------------------------------


def answer(home: Home, prepare: Callable[[Terms], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Answer an order for the union; return the phases. The worker must not be started."""
    phases, own = list[str](), load(home)
    monkeypatch.setattr("node.release.releasing.run", _not_started)
    with closing(open_ledger(home, own)) as ledger:
        releasing = Releasing(
            home.root, own, {UNION_SKETCH: "a" * 64}, ledger, lambda: date(2026, 12, 1), prepare
        )
        try:
            releasing.answer(order_of(own, UNION, DAYS), phases.append)
        finally:
            assert ledger.head[0] == 0, "nothing is charged"
    return phases


def _not_started(*_job: object) -> None:
    raise AssertionError("the worker was started")


def test_another_key_than_the_pinned_one_is_a_conflict_and_charges_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay, own = Relay(), load(home)
    brought(relay, theirs(own))
    keys_at(home, relay).ensure(terms_in(home))
    brought(relay, theirs(own, key=MINE))
    with pytest.raises(Refusal, match="gives another period key") as caught:
        answer(home, keys_at(home, relay).ensure, monkeypatch)
    assert caught.value.reason == pb.REFUSAL_REASON_CONFLICT


def test_a_hub_that_cannot_be_reached_for_the_key_leaves_the_order_open(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_terms: Terms) -> None:
        raise Unreachable("the hub does not answer")

    with pytest.raises(Unreachable) as caught:
        answer(home, silent, monkeypatch)
    assert not isinstance(caught.value, Refusal)


def test_the_key_is_there_before_the_worker_is_started(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = Relay()
    with pytest.raises(AssertionError, match="the worker was started"):
        answer(home, keys_at(home, relay).ensure, monkeypatch)
    assert len(key_of(home, terms_in(home))) == 32


# --- telling ----------------------------------------------------------------------------------------------


def listed(home: Home, *more: str) -> str:
    result = CliRunner().invoke(commands, ["period-keys", "--dir", str(home.root), *more])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_lists_packages_by_digest_and_never_a_key(home: Home) -> None:
    assert listed(home) == "no period key is held\n"
    relay, own = Relay(), load(home)
    brought(relay, theirs(own, LATER))
    brought(relay, theirs(own))
    for days in (LATER, DAYS):
        keys_at(home, relay).ensure(terms_in(home, days))
    found = json.loads(listed(home, "--json"))
    assert [(one["product"], one["first_day"], one["last_day"], one["maker"]) for one in found] == [
        (UNION, "2026-10-12", "2026-10-13", OTHER),
        (UNION, "2026-10-18", "2026-10-19", OTHER),
    ]
    digests = [PeriodKey.from_bytes(relay.kept[UNION, days].payload, "it").digest() for days in (DAYS, LATER)]
    assert [one["package"] for one in found] == digests
    assert {one["charter"] for one in found} == {own.charter_digest}
    for text in (listed(home), listed(home, "--json")):
        assert all(digest in text for digest in digests)
        assert THEIRS.hex() not in text


def test_an_equivocating_hub_shows_in_what_operators_tell_each_other(
    union_network: Network, tmp_path: Path
) -> None:
    homes = [enrolled(union_network, tmp_path / name, policy=POLICY) for name in ("one", "two")]
    own, digests = load(homes[0]), set()
    for home, key in zip(homes, (MINE, THEIRS), strict=True):
        relay = Relay()
        brought(relay, theirs(own, key=key))
        keys_at(home, relay).ensure(terms_in(home))
        (one,) = json.loads(listed(home, "--json"))
        digests.add(one["package"])
    assert len(digests) == 2
