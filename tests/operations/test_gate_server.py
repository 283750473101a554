"""The gate's server: its processes, port and Unix socket, and what it says when it cannot."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from config import sockets
from dev.conditions import REPOSITORY
from tests.patience import LONGEST_SECONDS
from tests.running_site import environment, free_port

pytestmark = pytest.mark.slow


def command(tmp_path: Path, port: int, **more: str) -> subprocess.Popen[str]:
    """A gate beside the tests' own servers."""
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL")}
    return subprocess.Popen(
        [sys.executable, "-m", "config.gate_server"],
        cwd=REPOSITORY,
        env=environment(
            tmp_path, free_port(), GATE_PORT=str(port), LOG_LEVEL="WARNING", **servers, **more
        ),
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(tmp_path: Path, port: int, **more: str) -> Iterator[subprocess.Popen[str]]:
    gate = command(tmp_path, port, **more)
    try:
        yield gate
    finally:
        gate.send_signal(signal.SIGTERM)
        gate.communicate(timeout=LONGEST_SECONDS)


def until_it_answers(client: httpx.Client, gate: subprocess.Popen[str]) -> httpx.Response:
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        try:
            return client.get("/healthz")
        except httpx.HTTPError:
            assert gate.poll() is None, gate.stderr and gate.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_answers_at_its_port_and_at_its_socket(tmp_path: Path, workers: str) -> None:
    port, path = free_port(), tmp_path / "gate.sock"
    # What an earlier one left is replaced.
    sockets.at_path(path).close()
    with (
        running(tmp_path, port, GATE_SOCKET=str(path), GATE_WORKERS=workers) as gate,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as by_port,
        httpx.Client(
            base_url="http://gate", transport=httpx.HTTPTransport(uds=str(path))
        ) as by_socket,
    ):
        for client in (by_port, by_socket):
            answer = until_it_answers(client, gate)
            assert answer.json() == {"status": "ok"}
            assert answer.headers["x-request-id"]
            # Nothing was prepared in this database.
            assert "database" in client.get("/readyz").json()["problems"]
            assert client.get("/pricing").json()["code"] == "not_found"
            assert client.post("/healthz").status_code == 405
        assert by_socket.get("/api/v1/quota").status_code == 401


def test_a_place_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gate = command(tmp_path, port)
        _, said = gate.communicate(timeout=LONGEST_SECONDS)
    assert gate.returncode == 1
    assert f"Nobody can listen at 127.0.0.1, port {port}: " in said
    assert "Traceback" not in said


def test_a_socket_that_somebody_listens_at_is_not_taken_from_them(tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    with sockets.at_path(path) as first:
        first.listen()
        with pytest.raises(sockets.CannotListen, match=str(path)):
            sockets.at_path(path)
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gate.sock"
    path.write_text("mine")
    with pytest.raises(sockets.CannotListen):
        sockets.at_path(path)
    assert path.read_text() == "mine"
