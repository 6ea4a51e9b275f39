"""The hub's database: one way to its tables on every engine, several hubs at once, and addresses that are none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import URL, create_engine, make_url

from hub.config import Home
from hub.database import Database, sqlite_at, url_of
from hub.errors import Conflict
from hub.life import COMMITTED, ESTIMATED, LATE
from hub.models import Base
from hub.store import Store, store_of
from hub.uploads import Given
from privacy.errors import ExitCode, ResourceProblem, UsageProblem
from tests.support_hub import (
    DAY,
    OPERATORS,
    Kept,
    accept,
    answer,
    given_by,
    node_of,
    put_under,
    small_agreement,
    token_for,
)
from tests.unit.hub.test_releases import open_day
from tests.unit.hub.test_store import EAST, contribution, orders, release

HUBS = 4


# --- tables -----------------------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_of_the_models(kept: Kept) -> None:
    Database(kept.database).close()
    engine = create_engine(kept.database)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert found == []


def test_opening_again_changes_nothing(kept: Kept) -> None:
    for _ in range(2):
        Database(kept.database).close()
    assert kept.execute("SELECT version_num FROM alembic_version") == [("0006",)]


def test_a_database_of_a_later_version_is_refused_and_left_as_it_is(kept: Kept) -> None:
    Database(kept.database).close()
    kept.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UsageProblem, match="was made by another version of the hub") as caught:
        Database(kept.database)
    assert caught.value.todo == "install that version, or a later one"
    assert kept.execute("SELECT version_num FROM alembic_version") == [("9999",)]


def test_who_only_looks_changes_no_tables(kept: Kept) -> None:
    with pytest.raises(UsageProblem, match="has the tables of another version of the hub") as caught:
        Database(kept.database, migrate=False)
    assert caught.value.todo.startswith("start this version's hub once")
    Database(kept.database).close()
    Database(kept.database, migrate=False).close()
    kept.execute("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(UsageProblem, match="has the tables of another version of the hub"):
        Database(kept.database, migrate=False)
    assert kept.execute("SELECT version_num FROM alembic_version") == [("0000",)]


def test_tables_that_are_not_the_hubs_are_a_clear_error(kept: Kept) -> None:
    kept.execute("CREATE TABLE task (something INTEGER)")
    with pytest.raises(UsageProblem, match="cannot be used as the hub's database"):
        Database(kept.database)
    assert kept.execute("SELECT * FROM task") == []


def test_hubs_that_start_at_once_make_the_tables_once(kept: Kept) -> None:
    def start(_hub: int) -> None:
        Database(kept.database).close()

    with ThreadPoolExecutor(HUBS) as pool:
        list(pool.map(start, range(HUBS)))
    assert kept.execute("SELECT version_num FROM alembic_version") == [("0006",)]


# --- addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["", "hub.db", "mysql://x/y", "postgresql://x/y", "sqlite+aiosqlite:///x"]
)
def test_what_is_no_address_of_a_database_is_refused(address: str) -> None:
    with pytest.raises(UsageProblem, match="neither sqlite:///path nor postgresql") as caught:
        url_of(address)
    assert caught.value.exit_code == ExitCode.CONFIGURATION


def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    path = tmp_path / "a ?b=c%20#d" / "hub.db"
    path.parent.mkdir()
    Database(sqlite_at(path)).close()
    assert path.is_file()


def test_a_server_that_is_not_there_can_be_tried_again_and_no_password_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ResourceProblem, match="cannot be reached") as caught:
        Database(f"postgresql+psycopg://hub:se-cret@localhost/hub?host={tmp_path}")
    assert "se-cret" not in caught.value.explain()


def test_the_settings_of_a_hub_say_where_it_keeps_things(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store_of(home).close()
    assert home.database.is_file()
    other = sqlite_at(tmp_path / "other.db").render_as_string()
    home.config.write_text(f'database = "{other}"\nobjects = "{tmp_path}/files"\n')
    with closing(store_of(home)) as store:
        store.open_release(release("r"), orders())
        accept(store, "east", contribution())
    assert (tmp_path / "other.db").is_file()
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["sha256"]
    with closing(store_of(home, sqlite_at(tmp_path / "third.db").render_as_string())) as store:
        assert store.releases() == []


# --- several hubs -----------------------------------------------------------------------------------------


def together(kept: Kept, work: Callable[[int, Store], object]) -> list[object]:
    """Let several hubs with connections of their own do something at the same time; return what each got."""
    barrier = Barrier(HUBS)

    def one(number: int, store: Store) -> object:
        barrier.wait()
        try:
            return work(number, store)
        except Conflict as error:
            return error

    with ExitStack() as stack, ThreadPoolExecutor(HUBS) as pool:
        stores = [stack.enter_context(closing(kept.store())) for _ in range(HUBS)]
        return list(pool.map(one, range(HUBS), stores))


def test_hubs_that_open_one_release_open_it_once(kept: Kept) -> None:
    found = together(
        kept,
        lambda number, store: store.open_release(
            release("r"), orders(f"{number}" * 64, f"{number + 4}" * 64)
        ),
    )
    assert sorted(map(bool, found)) == [False] * (HUBS - 1) + [True]
    assert kept.execute("SELECT count(*) FROM task") == [(2,)]


def test_hubs_that_get_one_contribution_accept_it_once_with_one_receipt(kept: Kept, store: Store) -> None:
    store.open_release(release("r"), orders())

    token = token_for(store, "east", EAST)

    def deliver(number: int, hub: Store) -> bytes:
        put_under(hub, "east", EAST, token, 0, b"the data")
        given = contribution()
        given.row.receipt = b"receipt of hub %d" % number
        return hub.accept(node_of("east"), token, given)

    found = together(kept, deliver)
    assert len(set(found)) == 1, "everybody tells the receipt that holds"
    assert kept.execute("SELECT count(*) FROM contribution") == [(1,)]


def test_of_two_different_contributions_one_is_a_conflict(kept: Kept, store: Store) -> None:
    store.open_release(release("r"), orders())
    token = token_for(store, "east", EAST)
    found = together(
        kept,
        lambda number, hub: hub.accept(
            node_of("east"), token, contribution(data=b"result %d" % (number % 2))
        ),
    )
    conflicts = sum(isinstance(one, Conflict) for one in found)
    assert 1 <= conflicts <= HUBS - 1
    assert kept.execute("SELECT count(*) FROM contribution") == [(1,)]


def test_an_answer_is_in_the_estimates_or_late_whoever_ends_the_release(kept: Kept, store: Store) -> None:
    own = small_agreement()
    for revision in range(5):
        name = open_day(store, DAY, revision)
        for operator in OPERATORS[:2]:
            answer(own, store, operator)

        given = given_by(own, store, OPERATORS[2])

        def act(number: int, hub: Store, name: str = name, given: Given = given) -> object:
            if number == 0:
                return accept(hub, OPERATORS[2], given)
            return hub.end(name, ESTIMATED, b"estimates of two", 2)

        found = together(kept, act)
        state = {operator: state for operator, state, _ in store.view(name).tasks}[OPERATORS[2]]
        if any(found[1:]):
            assert found[1:].count(True) == 1, "a release ends once"
            assert state == LATE
        else:
            assert state == COMMITTED


def test_the_address_of_the_server_is_one_of_psycopg(server: URL) -> None:
    assert url_of(server) == make_url(server)
