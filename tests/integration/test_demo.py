"""The demo as a new user runs it, with a small made-up country."""

from __future__ import annotations

import csv
import json
import math
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from privacy.errors import ExitCode
from privacy.ledger import verify
from tests.harness import ROOT, wait_until
from tests.small_country import write_small_country, zone_code

COLUMNS = [
    "ref_area", "counterpart_area", "time_period", "estimate", "std_error", "lower_80", "upper_80", "lower_95",
    "upper_95", "gamma", "noise_share", "adjustment", "obs_status", "conf_status", "operators", "rho",
]  # fmt: skip


def demo(*options: object) -> list[str]:
    return [sys.executable, "-m", "deploy.demo", *map(str, options)]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    country = write_small_country(root / "country")
    options = ("--country", country, "--scale", 0.5, "--days", 2, "--start", "2026-10-24", "--operators", 4)
    done = subprocess.run(
        demo(*options, "--seed", 7, "--out", root / "out"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "report.html" in done.stdout
    return root / "out"


def test_estimates_and_truth_have_the_same_keys_in_the_same_order(out: Path) -> None:
    for product, cells in (("residents", 15), ("presence", 15 * 25)):
        estimates, truth = rows(out / "estimates" / f"{product}.csv"), rows(out / "truth" / f"{product}.csv")
        assert list(estimates[0]) == COLUMNS
        assert list(truth[0]) == ["ref_area", "time_period", "value"]
        keys = [(row["ref_area"], row["time_period"]) for row in estimates]
        assert keys == [(row["ref_area"], row["time_period"]) for row in truth]
        assert len(set(keys)) == cells


def test_the_long_sunday_has_hour_two_twice(out: Path) -> None:
    times = {row["time_period"] for row in rows(out / "estimates" / "presence.csv")}
    assert {"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"} <= times


def test_a_published_value_has_uncertainty_status_and_cost(out: Path) -> None:
    registered: Counter[str] = Counter()
    districts = {zone_code(index): f"D{index // 4 + 1}" for index in range(12)}
    for row in rows(out / "register.csv"):
        registered.update(
            {row["zone"]: int(row["population"]), districts[row["zone"]]: int(row["population"])}
        )
    for row in rows(out / "estimates" / "residents.csv"):
        assert (row["operators"], row["rho"], row["conf_status"]) == ("4", "10000000", "F")
        if row["obs_status"] == "Q":
            assert row["estimate"] == row["lower_95"] == row["upper_95"] == ""
            continue
        value, error = float(row["estimate"]), float(row["std_error"])
        assert float(row["lower_95"]) <= value <= float(row["upper_95"])
        base = min(value, registered[row["ref_area"]])
        # Errors are rounded to two digits for publication; a cell on the very edge may stand on either side.
        rounded = 0.5 * 10 ** (math.floor(math.log10(error)) - 1) + 0.02
        assert error - rounded <= 0.25 * base, "the worse of estimate and register decides"
        if abs(error - 0.1 * base) > rounded:
            assert row["obs_status"] == ("E" if error < 0.1 * base else "U")


def test_the_ledgers_say_what_was_charged(out: Path) -> None:
    ledgers = json.loads((out / "ledger.json").read_text())
    assert sorted(ledgers) == ["mno1", "mno2", "mno3", "mno4"]
    for operator, ledger in ledgers.items():
        assert {charge["product"]: charge["by_day"] for charge in ledger["charges"]} == {
            "residents": 10_000_000,
            "presence": 20_000_000,
        }
        assert ledger["days"] == {"2026-10-24": 10_000_000, "2026-10-25": 30_000_000}
        assert max(ledger["windows"].values()) == 30_000_000
        assert verify(out / "nodes" / operator / "ledger.db") == (2, ledger["chain_head"])


def test_the_report_is_one_file(out: Path) -> None:
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "<html" in html
    assert 'src="http' not in html


def test_no_process_is_left_behind(out: Path) -> None:
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(out) in " ".join(p.info["cmdline"] or ())]


@pytest.mark.full
def test_it_stops_cleanly_at_ctrl_c_and_runs_again(tmp_path: Path) -> None:
    country = write_small_country(tmp_path / "country")
    options = ("--country", country, "--scale", 0.1, "--days", 1, "--out", tmp_path / "out")
    first = subprocess.Popen(
        demo(*options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until((tmp_path / "out" / "logs" / "mno1.log").exists, "the nodes")
    first.send_signal(signal.SIGINT)
    _said, complained = first.communicate(timeout=60)
    assert first.returncode == ExitCode.INTERRUPTED
    assert "Traceback" not in complained
    assert not (tmp_path / "out" / "processes.json").exists()
    again = subprocess.run(demo(*options), cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert again.returncode == 0, again.stderr


@pytest.mark.full
def test_a_demo_that_was_killed_leaves_nothing_that_stops_the_next(tmp_path: Path) -> None:
    country = write_small_country(tmp_path / "country")
    options = ("--country", country, "--scale", 0.1, "--days", 1, "--out", tmp_path / "out")
    first = subprocess.Popen(demo(*options), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until((tmp_path / "out" / "logs" / "mno3.log").exists, "the nodes")
    first.kill()
    first.wait()
    left = json.loads((tmp_path / "out" / "processes.json").read_text())
    assert any(psutil.pid_exists(pid) for name, (pid, _created) in left.items() if name != "demo")
    again = subprocess.run(demo(*options), cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert again.returncode == 0, again.stderr
    assert not any(psutil.pid_exists(pid) for pid, _created in left.values())
