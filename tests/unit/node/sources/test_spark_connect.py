"""A node that reads its events from a cluster: a Spark Connect server in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support_engines import require_java

_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_SECONDS = 90


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("localhost", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a server that was started as an administrator of a cluster does."""
    require_java()
    pyspark = pytest.importorskip("pyspark")
    home, port = Path(str(pyspark.__file__)).parent, free_port()
    settings = {
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
        "spark.local.dir": str(tmp_path),
    }
    command = [str(home / "bin" / "spark-submit"), "--master", "local[2]", "--class", _SERVER]
    command += [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    environment = os.environ | {"SPARK_HOME": str(home)}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "spark-internal"],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(port, server)
        yield f"sc://localhost:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, "the server has ended"
        with closing(socket.socket()) as found:
            if found.connect_ex(("localhost", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("the server does not answer")


@pytest.mark.full
def test_a_table_of_a_cluster_is_built_like_a_file(cluster: str, tmp_path: Path) -> None:
    child = [sys.executable, "-m", "tests.unit.node.sources.connect_child", cluster, str(tmp_path)]
    found = subprocess.run(child, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout == "equal\n"
