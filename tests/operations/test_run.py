"""scripts/run as its user sees it: the real supervisor, on loopback, in a folder of its own."""

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

from dev.conditions import read_port
from dev.embedded import EmbeddedPostgres, EmbeddedValkey
from dev.processes import CannotStart, identity
from tests.patience import LONGEST_SECONDS, until
from tests.running_site import RunningSite, environment, free_port

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = (
    *("postgres", "valkey", "sandbox", "gate", "site", "worker", "worker-waiting", "beat"),
    "front",
)


def run_until_it_ends(data_dir: Path, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dev"],
        cwd=REPOSITORY,
        env=environment(data_dir, port),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def processes_below(site: RunningSite) -> dict[int, str]:
    """Everything below the supervisor, by number and identity."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
    below: set[int] = {site.process.pid}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return {pid: identity(pid) for pid in below - {site.process.pid}}


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


def password_of(printed: str) -> str:
    found = re.search(r"^ +password +(\S+) ", printed, re.MULTILINE)
    assert found, printed
    return found[1]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run") / "data"


@pytest.fixture(scope="module")
def first_start(data_dir: Path) -> Iterator[RunningSite]:
    first = RunningSite(data_dir, is_measured=True)
    try:
        first.until_ready()
        yield first
    finally:
        if first.process.poll() is None:
            first.end()


@pytest.fixture(scope="module")
def first_printed(first_start: RunningSite) -> str:
    return first_start.printed


@pytest.mark.slow
def test_the_first_start_answers_and_names_the_admin_and_a_password(
    first_start: RunningSite,
) -> None:
    assert f"http://127.0.0.1:{first_start.port}/" in first_start.printed
    assert admin_email(first_start.printed)
    assert re.search(r"^ +password +\S+ ", first_start.printed, re.MULTILINE)
    assert first_start.status("/readyz") == 200
    assert first_start.status("/") == 200
    for name in NAMES:
        assert identity(first_start.pid(name)), name


@pytest.mark.slow
def test_workers_stand_back_from_whoever_is_waited_for(first_start: RunningSite) -> None:
    def niceness(name: str) -> int:
        return os.getpriority(os.PRIO_PROCESS, first_start.pid(name))

    assert [niceness(name) for name in ("gate", "site", "front")] == [0, 0, 0]
    # They say so themselves, once they have begun.
    until(lambda: [niceness(name) for name in ("worker", "worker-waiting")] == [10, 10])


@pytest.mark.slow
def test_the_password_stands_in_no_log(first_start: RunningSite) -> None:
    found = re.search(r"^ +password +(\S+) ", first_start.printed, re.MULTILINE)
    assert found
    for log in (first_start.data_dir / "logs").iterdir():
        assert found[1] not in log.read_text(errors="replace"), log.name


@pytest.mark.slow
def test_manage_py_works_beside_it(first_start: RunningSite) -> None:
    services = first_start.data_dir / "services.json"
    assert services.stat().st_mode & 0o777 == 0o600
    urls = json.loads(services.read_text())
    with psycopg.connect(urls["database_url"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with redis.Redis.from_url(urls["redis_url"]) as valkey:
        assert valkey.ping()


@pytest.mark.slow
def test_a_second_supervisor_in_the_same_folder_is_refused(first_start: RunningSite) -> None:
    second = run_until_it_ends(first_start.data_dir, free_port())

    assert second.returncode == 1
    assert f"already runs from DATA_DIR {first_start.data_dir}" in second.stdout
    assert f"(process {first_start.process.pid})" in second.stdout
    assert first_start.status("/readyz") == 200


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again(first_start: RunningSite) -> None:
    before = first_start.pid("worker")
    os.kill(before, signal.SIGKILL)

    first_start.until("Starting worker again")

    until(lambda: first_start.pid("worker") not in {before, 0})
    assert identity(first_start.pid("worker"))


@pytest.mark.slow
def test_sigterm_leaves_no_process_and_the_next_start_keeps_the_data(
    first_start: RunningSite, first_printed: str
) -> None:
    processes = processes_below(first_start)
    assert len(processes) >= len(NAMES)

    assert first_start.end(signal.SIGTERM) == 0

    assert still_running(processes) == []
    assert not (first_start.data_dir / "services.json").exists()

    second = RunningSite(first_start.data_dir)
    try:
        second.until_ready()
        assert admin_email(second.printed) == admin_email(first_printed)
        # Whether anybody saw the first password cannot be known: nobody has signed in with it.
        assert second.admin[1] != password_of(first_printed)
    finally:
        assert second.end(signal.SIGINT) == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a killed parent")
def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(tmp_path: Path) -> None:
    killed = RunningSite(tmp_path / "data")
    killed.until_ready()
    processes = processes_below(killed)

    killed.kill()

    assert still_running(processes, patience=LONGEST_SECONDS) == []

    following = RunningSite(tmp_path / "data")
    try:
        following.until_ready()
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
def test_a_port_that_is_none_is_named(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_PORT", port)
    with pytest.raises(CannotStart, match="GATE_PORT must be a number from 1 to 65535"):
        read_port("GATE_PORT", default=8001)


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
