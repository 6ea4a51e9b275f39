"""The mapping: short for a simple case, and every error names the setting."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from node.config import NodeConfig, parse_toml
from node.sources.inputs import expressions
from node.sources.mapping import Source
from node.sources.paths import files_of, with_day
from privacy.errors import DataUnavailable, ExitCode, UsageProblem

DAY = date(2026, 10, 20)
SMALLEST = """\
[source]
events = "{day}.parquet"
cells = "cells.parquet"
first_day = 2026-10-19
last_day = 2026-10-25
"""


def source(text: str = "") -> Source:
    return parse_toml((SMALLEST + text).encode(), NodeConfig, Path("node.toml")).source


def refused(text: str) -> UsageProblem:
    with pytest.raises(UsageProblem) as caught:
        parse_toml(text.encode(), NodeConfig, Path("node.toml"))
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert caught.value.todo
    return caught.value


def test_a_simple_mapping_is_two_paths_and_two_days() -> None:
    found = source()
    assert (found.events.kind, found.events.path, found.cells.path) == (
        "parquet",
        ("{day}.parquet",),
        ("cells.parquet",),
    )
    assert dict(expressions(found.columns)) == {
        "subscriber": "subscriber_id",
        "time": "timestamp_ms",
        "cell.0": "cell_id",
    }
    assert (found.time.format, found.time.zone, found.time.ambiguous) == (("epoch_ms",), None, "reject")
    assert (found.pseudonyms.given, found.pseudonyms.period) == (False, "month")
    assert (found.gate.max_rejected_permille, found.quarantine) == (200, False)
    assert (found.sequence.ghost_seconds, found.sequence.max_speed) == (0, 0)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[source.columns]\nsubscriber = \"read_text('x')\"", "columns.subscriber"),
        ('[source.columns]\ncell = ["lac", "(SELECT 1)"]', "columns.cell.1"),
        ('[source.columns]\ncell = ["lac", "ci"]', "cells.columns.cell"),
        ('[source.columns]\nsubscriber = "cell_id"', "columns: one column is named for two things"),
        ('[source.columns]\nimsi = "x"', "source.columns.imsi"),
        ('[source.columns]\nkind = "x"', "columns.kind"),
        ('[source.kinds]\ndata = ["1"]', "columns.kind"),
        ('[source.kinds]\ndata = ["1"]\ncall = ["1"]', "source.kinds"),
        ('[source.roamers]\nown = ["206"]', "roamers"),
        ('[source.roamers]\nown = ["20a"]', "source.roamers.own.0"),
        ('[source.roamers]\nown = ["10-2"]', "source.roamers.own.0"),
        ('[source.machines]\ndevices = ["35"]', "machines.devices"),
        ('[source.machines]\nsubscriptions_file = "x"', "machines.subscriptions"),
        ('[source.time]\nformat = "epoch_ns"', "format: 'epoch_ns'"),
        ('[source.time]\nformat = "%d/%m/%Y %H:%M"', "give zone"),
        ('[source.time]\nformat = "%H:%M"\nzone = "UTC"', "does not say the day"),
        ('[source.time]\nformat = "%Y-%m-%d %Q"\nzone = "UTC"', "directive"),
        ('[source.time]\nformat = ["timestamp", "iso"]', "timestamp stands alone"),
        ('[source.time]\nzone = "Europe/Bruxelles"', "source.time.zone"),
        ('[source.pseudonyms]\nkey_file = "a"\nkey_command = ["b"]', "source.pseudonyms"),
        ('[source.pseudonyms]\nperiod = "week"', "source.pseudonyms.period"),
        ("[source.pseudonyms]\ngiven = true\nkey_file = 'a'", "source.pseudonyms"),
        ("[source.sequence]\nmax_speed = 100", "sequence.max_speed"),
        ("[source.gate]\nmax_rejected_permille = 1001", "source.gate.max_rejected_permille"),
    ],
)
def test_a_wrong_setting_is_named(text: str, key: str) -> None:
    assert key in refused(SMALLEST + text).what


TABLES = """\
[source]
first_day = 2026-10-19
last_day = 2026-10-25
cells = "cells.parquet"
[source.events]
"""


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('path = "events.parquet"', "source.events"),
        ("", "source.events"),
        ('path = "{day}"\nkind = "xml"', "source.events.kind"),
        ('path = "{day}"\ntable = "t"', "source.events"),
        ('path = "{day}"\nwhere = "a; b"', "events.where"),
        ('path = "{day}"\ncsv = {delimiter = ";"}', "source.events"),
        ('path = "{day}"\nkind = "csv"\ncsv = {delimiter = ";;"}', "source.events.csv.delimiter"),
        ('path = "{day}"\nkind = "csv"\ncsv = {encoding = "latin-99"}', "source.events.csv"),
        ('path = "{day}"\nkind = "csv"\ncsv = {header = false}', "source.events.csv"),
        ('path = "{day}"\nversion = "max(x)"', "source.events"),
        ('kind = "postgres"\ntable = "t"', "connection_file"),
        ('kind = "postgres"\ntable = "t; drop"\nconnection_env = "X"', "table"),
        ('kind = "postgres"\ntable = "t"\nconnection_env = "X"\nversion = "pg_sleep(1)"', "events.version"),
        ('kind = "spark"\ntable = "t"\nremote = "http://x"', "source.events.remote"),
        ('kind = "spark"', "source.events"),
    ],
)
def test_a_wrong_place_is_named(text: str, key: str) -> None:
    assert key in refused(TABLES + text).what


def test_the_register_has_polygons_or_zones() -> None:
    base = SMALLEST.replace('cells = "cells.parquet"\n', "") + '[source.cells]\npath = "c.parquet"\n'
    assert "polygons" in refused(base + 'polygons = "z.geojson"').what
    assert "lon" in refused(base + 'columns = {lon = "x"}').what
    assert "sector" in refused(base + 'point = "sector"').what
    assert "{day}" in refused(base.replace("c.parquet", "{day}.parquet")).what


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{day}", "2026-10-20"),
        ("{day:%Y%m%d}.csv", "20261020.csv"),
        ("{day-1}/{day+1:%d.%m.%y}", "2026-10-19/21.10.26"),
        ("d >= DATE '{day}' AND d < DATE '{day+1}'", "d >= DATE '2026-10-20' AND d < DATE '2026-10-21'"),
        ("{days}", "{days}"),
    ],
)
def test_a_day_is_written_as_the_mapping_says(text: str, expected: str) -> None:
    assert with_day(text, DAY) == expected


def test_patterns_stand_for_files_in_order_and_a_name_stands_for_itself(tmp_path: Path) -> None:
    root = tmp_path / "odd [name]"
    root.mkdir()
    for name in ("2026-10-20.b.csv", "2026-10-20.a.csv", "2026-10-19.a.csv", "x[1].csv", "x1.csv"):
        (root / name).touch()
    (root / "2026-10-20.c.csv").mkdir()

    def names(*patterns: str) -> list[str]:
        return [path.name for path in files_of(patterns, root, DAY)]

    assert names("{day}.*.csv") == ["2026-10-20.a.csv", "2026-10-20.b.csv"]
    assert names("{day}.a.csv", "{day-1}.a.csv") == ["2026-10-20.a.csv", "2026-10-19.a.csv"]
    assert names("{day}.a.csv", "{day}.*.csv") == ["2026-10-20.a.csv", "2026-10-20.b.csv"]
    assert names("x[1].csv") == ["x[1].csv"]
    assert names(str(root / "x1.csv")) == ["x1.csv"]
    with pytest.raises(DataUnavailable, match=r"2026-10-20\.z\.csv is not there") as caught:
        names("{day}.a.csv", "{day}.z.csv")
    assert caught.value.exit_code == ExitCode.DATA_MISSING


@pytest.mark.parametrize("field", ["first_day", "last_day"])
def test_days_are_in_order(field: str) -> None:
    fields: dict[str, Any] = {"events": "{day}", "cells": "c", "first_day": DAY, "last_day": DAY}
    fields[field] = date(2026, 11, 1) if field == "first_day" else date(2026, 9, 1)
    with pytest.raises(ValueError, match="last_day is before first_day"):
        Source.model_validate(fields)
