"""What a daemon says of itself in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from node.progress import ProgressFile, progress_in, runs
from tests.support_node import problem


def test_what_was_said_last_is_read_and_the_last_contact_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    assert progress_in(path) is None
    said = ProgressFile(path)
    said.note("building")
    first = progress_in(path)
    assert first is not None
    assert (first.doing, first.pid, first.contact, first.task) == ("building", os.getpid(), "", "")
    said.contact()
    with said.answering("presence 2026-10-25 to 2026-10-25"):
        said.contact()
        last = progress_in(path)
        with said.answering("residents 2026-10-24 to 2026-10-25"):
            both = progress_in(path)
    after = progress_in(path)
    assert last is not None
    assert (last.doing, last.task) == ("answering", "presence 2026-10-25 to 2026-10-25")
    assert last.contact
    assert both is not None
    assert both.task == "presence 2026-10-25 to 2026-10-25; residents 2026-10-24 to 2026-10-25"
    assert after is not None
    assert (after.doing, after.task, after.contact) == ("waiting", "", last.contact)
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]


def test_a_daemon_runs_if_its_process_is_there_and_it_did_not_say_that_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    ProgressFile(path).note("waiting")
    found = progress_in(path)
    assert found is not None
    assert runs(found)
    assert not runs(replace(found, doing="stopped"))
    with subprocess.Popen([sys.executable, "-c", ""]) as other:
        other.wait()
    assert not runs(replace(found, pid=other.pid))


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"doing": "waiting"}', '{"other": 1}'])
def test_a_file_that_is_something_else_is_said_to_be(tmp_path: Path, text: str) -> None:
    path = tmp_path / "status.json"
    path.write_text(text)
    assert "is not what a node writes" in problem(lambda: progress_in(path)).what


def test_a_file_that_cannot_be_written_is_told_and_does_not_end_the_node(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ProgressFile(tmp_path / "nowhere" / "status.json").note("waiting")
    (line,) = caplog.records
    assert "cannot be written" in line.getMessage()
