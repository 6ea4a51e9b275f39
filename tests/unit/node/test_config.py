"""node.toml and policy.toml: what they say when nothing is said, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from node.config import Home, NodeConfig, Policy, parse_toml, read_toml
from privacy.errors import ExitCode, UsageProblem
from tests.support_node import POLICY_TOML, config_text

SMALLEST = """\
[source]
events = "{day}.parquet"
cells = "cells.parquet"
first_day = 2026-10-19
last_day = 2026-10-25
"""


def refused(text: str, model: type[BaseModel]) -> UsageProblem:
    with pytest.raises(UsageProblem) as caught:
        parse_toml(text.encode(), model, Path("a.toml"))
    assert caught.value.what.startswith("a.toml")
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert caught.value.todo
    return caught.value


def test_a_configuration_needs_to_say_where_the_data_are_and_nothing_else() -> None:
    found = parse_toml(SMALLEST.encode(), NodeConfig, Path("node.toml"))
    assert (found.hub, found.witness) == ("localhost:7443", "witness.jsonl")
    assert (found.source.events.path, found.source.cells.path) == (("{day}.parquet",), ("cells.parquet",))
    assert (found.source.time.format, found.source.gate.max_rejected_permille) == (("epoch_ms",), 200)
    assert (found.engine.memory_limit, found.engine.threads) == ("2GB", 2)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("{day}.parquet", "events.parquet", "source.events"),
        ("cells =", "cels =", "source.cells"),
        ("2026-10-19", "2026-10-32", "not TOML"),
        ("2026-10-19", '"soon"', "source.first_day"),
        ("[source]", "time = 1\n[source]", "time"),
        ("[source]", 'hub = "localhost"\n[source]', "hub"),
        ("[source]", 'hub = "local host:1"\n[source]', "hub"),
        ("cells =", 'time = {format = "epoch_ns"}\ncells =', "source.time"),
        ("cells =", "gate = {max_rejected_permille = 1001}\ncells =", "source.gate.max_rejected_permille"),
        ("[source]", '[engine]\nmemory_limit = "lots"\n[source]', "engine.memory_limit"),
        ("[source]", '[engine]\nmemory_limit = "0GB"\n[source]', "engine.memory_limit"),
        ("[source]", "[engine]\nthreads = 0\n[source]", "engine.threads"),
        ("[source]", "[source", "not TOML"),
    ],
)
def test_a_wrong_setting_is_named(old: str, new: str, field: str) -> None:
    assert field in refused(SMALLEST.replace(old, new), NodeConfig).what


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("20_000_000", "0", "day_cap"),
        ("20_000_000", "-1", "day_cap"),
        ("20_000_000", "2e7", "day_cap"),
        ("20_000_000", '"20000000"', "day_cap"),
        ("20_000_000", "true", "day_cap"),
        ("700_000_000", "1_000_000_000_001", "month_cap"),
        ("700_000_000", "nan", "month_cap"),
        ('"presence"', '"Presence"', "products.1"),
        ("month_cap =", "month =", "month_cap"),
        ("0.1", "0", "answer_tick_seconds"),
        ("0.1", "inf", "answer_tick_seconds"),
        ("0.1", "nan", "answer_tick_seconds"),
        ("2026-10-14", "2026-10-14T00:00:01", "unavailable_days.0"),
    ],
)
def test_a_wrong_word_of_the_policy_is_named(old: str, new: str, field: str) -> None:
    assert field in refused(POLICY_TOML.replace(old, new), Policy).what


def test_bytes_that_are_no_text_are_not_toml() -> None:
    with pytest.raises(UsageProblem, match=r"a\.toml is not TOML"):
        parse_toml(b"\xff\xfe", Policy, Path("a.toml"))


def test_a_file_is_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    with pytest.raises(UsageProblem, match=r"node\.toml cannot be read: No such file"):
        read_toml(path, NodeConfig)
    path.write_text(config_text(source='time = {format = "epoch_us"}'))
    assert read_toml(path, NodeConfig).source.time.format == ("epoch_us",)


def test_every_file_of_a_node_is_below_its_directory(tmp_path: Path) -> None:
    paths = {name: path for name, path in vars(Home(tmp_path)).items() if name != "root"}
    assert len(set(paths.values())) == len(paths)
    assert all(path.parent == tmp_path for path in paths.values())
