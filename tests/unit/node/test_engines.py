"""How engines are opened: in UTC, and with a clear word when a package, a server or Java is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from node.engines import postgres, spark
from privacy.errors import DataUnavailable, ExitCode, UsageProblem


def opened(engine: Callable[[], AbstractContextManager[Any]]) -> None:
    with engine():
        pytest.fail("the engine must not open")


@pytest.mark.parametrize(
    ("package", "extra", "engine"),
    [
        ("psycopg", "postgres", lambda: opened(lambda: postgres.connect("host=/nowhere"))),
        ("pyspark.sql", "spark", lambda: spark.local_session(1, "1g", Path("nowhere"))),
        ("pyspark.sql", "spark", lambda: spark.remote_session("sc://localhost:1")),
    ],
)
def test_an_engine_that_is_not_installed_names_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str, engine: Callable[[], object]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageProblem) as caught:
        engine()
    assert f"the package {package} is not installed" in caught.value.what
    assert caught.value.todo == f'install the extra: pip install "quorate[{extra}]"'


def test_a_server_that_does_not_answer_is_a_problem_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable) as caught:
        opened(lambda: postgres.connect(f"host={tmp_path} password=secret dbname=events"))
    assert caught.value.exit_code == ExitCode.DATA_MISSING
    assert "secret" not in caught.value.explain()


WITHOUT_JAVA = """
from pathlib import Path
from node.engines import spark
from privacy.errors import ResourceProblem
try:
    spark.local_session(1, "1g", Path("scratch"))
except ResourceProblem as problem:
    print(problem.explain())
"""


def test_spark_without_java_says_that_java_is_missing(tmp_path: Path) -> None:
    """In a process of its own: where Spark runs already, a second session needs no Java."""
    nothing = {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_JAVA], env=nothing, cwd=tmp_path, capture_output=True, text=True
    )
    assert "error: Spark does not start" in found.stdout
    assert "without Java 17 or 21" in found.stdout
