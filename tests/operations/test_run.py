"""scripts/run as its user sees it: the real supervisor, on loopback, in a folder of its own."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from config.conditions import read_port
from config.embedded import EmbeddedPostgres, EmbeddedValkey
from config.processes import CannotStart, identity

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("postgres", "valkey", "web", "worker", "beat")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(data_dir: Path, port: int) -> dict[str, str]:
    """Ours, without what the tests themselves have set for their own servers."""
    foreign = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "HOST", "SITE_URL", "DEBUG"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {
        **kept,
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "ENVIRONMENT": "development",
        # One folder for all starts of this file: collecting takes seconds.
        "STATIC_ROOT": str(data_dir.parent.parent / "static"),
    }


def run_until_it_ends(data_dir: Path, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "config.supervisor"],
        cwd=REPOSITORY,
        env=environment(data_dir, port),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


class Running:
    """A supervisor that was started and can be listened to, asked and ended."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self._printed = data_dir.parent / f"printed-{self.port}"
        with self._printed.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.supervisor"],
                cwd=REPOSITORY,
                env=environment(data_dir, self.port),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def printed(self) -> str:
        return self._printed.read_text()

    def until(self, text: str, *, patience: float = 30.0) -> None:
        deadline = time.monotonic() + patience
        while text not in self.printed:
            assert self.process.poll() is None, f"It ended:\n{self.printed}"
            assert time.monotonic() < deadline, f"No {text!r} in:\n{self.printed}"
            time.sleep(0.05)

    def status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        try:
            return connection.getresponse().status
        finally:
            connection.close()

    def child(self, name: str) -> int:
        return int((self.data_dir / "run" / f"{name}.pid").read_text().split()[0])

    def processes(self) -> dict[int, str]:
        """Everything below the supervisor, by number and identity."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])
        below: set[int] = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in below} - below:
            below |= more
        return {pid: identity(pid) for pid in below - {self.process.pid}}

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def still_running(processes: dict[int, str], *, patience: float = 0.0) -> list[int]:
    """Which of these processes have not ended after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        left = [pid for pid, known in processes.items() if known and identity(pid) == known]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def admin_email(printed: str) -> str:
    found = re.search(r"^ +e-mail +(\S+@\S+)$", printed, re.MULTILINE)
    assert found, printed
    return found[1]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run") / "data"


@pytest.fixture(scope="module")
def first_start(data_dir: Path) -> Iterator[Running]:
    first = Running(data_dir)
    try:
        first.until("Ctrl-C stops everything.")
        yield first
    finally:
        if first.process.poll() is None:
            first.end()


@pytest.fixture(scope="module")
def first_printed(first_start: Running) -> str:
    return first_start.printed


@pytest.mark.slow
def test_the_first_start_answers_and_names_the_admin_and_a_password(first_start: Running) -> None:
    assert f"http://127.0.0.1:{first_start.port}/" in first_start.printed
    assert admin_email(first_start.printed)
    assert re.search(r"^ +password +\S+ ", first_start.printed, re.MULTILINE)
    assert first_start.status("/readyz") == 200
    assert first_start.status("/") == 200
    for name in NAMES:
        assert identity(first_start.child(name)), name


@pytest.mark.slow
def test_the_password_stands_in_no_log(first_start: Running) -> None:
    found = re.search(r"^ +password +(\S+) ", first_start.printed, re.MULTILINE)
    assert found
    for log in (first_start.data_dir / "logs").iterdir():
        assert found[1] not in log.read_text(errors="replace"), log.name


@pytest.mark.slow
def test_manage_py_works_beside_it(first_start: Running) -> None:
    services = first_start.data_dir / "services.json"
    assert services.stat().st_mode & 0o777 == 0o600
    urls = json.loads(services.read_text())
    with psycopg.connect(urls["database_url"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(urls["redis_url"]) as valkey:
        assert valkey.ping()


@pytest.mark.slow
def test_a_second_supervisor_in_the_same_folder_is_refused(first_start: Running) -> None:
    second = run_until_it_ends(first_start.data_dir, free_port())

    assert second.returncode == 1
    assert f"already runs from DATA_DIR {first_start.data_dir}" in second.stdout
    assert f"(process {first_start.process.pid})" in second.stdout
    assert first_start.status("/readyz") == 200


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again(first_start: Running) -> None:
    before = first_start.child("worker")
    os.kill(before, signal.SIGKILL)

    first_start.until("Starting worker again")

    deadline = time.monotonic() + 10
    while first_start.child("worker") == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert identity(first_start.child("worker"))


@pytest.mark.slow
def test_sigterm_leaves_no_process_and_the_next_start_keeps_the_data(
    first_start: Running, first_printed: str
) -> None:
    processes = first_start.processes()
    assert len(processes) >= len(NAMES)

    assert first_start.end(signal.SIGTERM) == 0

    assert still_running(processes) == []
    assert not (first_start.data_dir / "services.json").exists()

    second = Running(first_start.data_dir)
    try:
        second.until("Ctrl-C stops everything.")
        assert admin_email(second.printed) == admin_email(first_printed)
        assert "password" not in second.printed
    finally:
        assert second.end(signal.SIGINT) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a killed parent")
def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(tmp_path: Path) -> None:
    killed = Running(tmp_path / "data")
    killed.until("Ctrl-C stops everything.")
    processes = killed.processes()

    killed.kill()

    assert still_running(processes, patience=15) == []

    following = Running(tmp_path / "data")
    try:
        following.until("Ctrl-C stops everything.")
        assert admin_email(following.printed) == admin_email(killed.printed)
    finally:
        assert following.end() == 0


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_until_it_ends(tmp_path / "data", port)

    assert ended.returncode == 1
    assert f"Port {port} is taken. Stop what uses it, or choose another:" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data" / "postgres").exists()


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1", "8000x"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(CannotStart, match="PORT must be a number from 1 to 65535"):
        read_port(port)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = run_until_it_ends(tmp_path / "file" / "data", 8000)

    assert ended.returncode == 1
    assert "cannot be written to" in ended.stdout


def test_a_long_folder_name_with_spaces_is_good_enough(tmp_path: Path) -> None:
    data_dir = tmp_path / f"a folder {'x' * 120}"

    with EmbeddedPostgres(data_dir, durable=False) as postgres, EmbeddedValkey(data_dir) as valkey:
        with psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("sansxel",)
        with redis.Redis.from_url(valkey.url) as client:
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def pins(file: str) -> set[str]:
    return set(re.findall(r"^[a-z0-9].*==\S+", (REPOSITORY / file).read_text(), re.MULTILINE))


def test_one_environment_serves_production_scripts_run_and_the_tests() -> None:
    production, embedded, development = map(
        pins, ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt")
    )

    assert production
    assert production < embedded < development


@pytest.mark.parametrize("file", sorted(path.name for path in REPOSITORY.glob("requirements*.txt")))
def test_requirements_name_no_place_to_fetch_from(file: str) -> None:
    text = (REPOSITORY / file).read_text()

    assert not re.search(r"://|--(extra-)?index-url|--find-links| /|@ ", text)
