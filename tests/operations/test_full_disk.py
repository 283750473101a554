"""A full disk: what works goes on, the rest is tried again ever more slowly, and comes back."""

import io
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dev import processes
from dev.conditions import REPOSITORY
from dev.keeping import Keeper
from dev.parts import ALWAYS, Part
from dev.processes import Child, identity
from dev.site import ask_readiness
from dev.terminal import Terminal
from tests.operations.disks import Disk, behind, why_not
from tests.running_site import RunningSite, environment, free_port

PATIENCE = 120.0


@pytest.fixture
def mountable(tmp_path: Path) -> None:
    """Skips where no small disk can be had."""
    if reason := why_not(tmp_path / "probe"):
        pytest.skip(f"no small disk to fill here: {reason}")


def until(holds: Callable[[], bool], what: str, *, said: Callable[[], str] = str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"{what}\n{said()}"
        time.sleep(0.1)


def process_of(site: RunningSite, *words: str) -> int:
    """The number of the supervisor's own child with these words in its command; 0 without one."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(parent) == site.process.pid and all(word in command for word in words):
            return int(folder.name)
    return 0


WEB = ("uvicorn",)
WORKER = ("celery", "worker")
POSTGRES = ("bin/postgres",)
VALKEY = ("valkey-server",)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["", "valkey", "postgres"])
def test_what_works_goes_on_and_the_rest_comes_back_when_there_is_room(
    mountable: None, tmp_path: Path, place: str
) -> None:
    data_dir = tmp_path / "data"
    folder = data_dir / place
    site = RunningSite(data_dir, behind=behind([folder], megabytes=300))
    try:
        site.until_ready()
        web, postgres, valkey = (process_of(site, *words) for words in (WEB, POSTGRES, VALKEY))
        with Disk(site.process.pid, folder).full():
            if place != "postgres":
                # It writes all the time, and ends itself when it cannot.
                site.until("Starting Valkey again", patience=PATIENCE)
            if place != "valkey":
                os.kill(postgres, signal.SIGKILL)
                site.until("Starting PostgreSQL 18 again", patience=PATIENCE)
            worker = process_of(site, *WORKER)
            os.kill(worker, signal.SIGKILL)
            until(
                lambda: process_of(site, *WORKER) not in {0, worker},
                "the worker was not started again",
                said=lambda: site.printed,
            )
            site.until("(try 4)", patience=PATIENCE)
            assert site.status("/healthz") == 200
            assert process_of(site, *WEB) == web
            if place == "valkey":
                assert process_of(site, *POSTGRES) == postgres
            if place == "postgres":
                assert process_of(site, *VALKEY) == valkey
        until(
            lambda: ask_readiness(f"127.0.0.1:{site.port}") == "200",
            "it does not recover",
            said=lambda: site.printed,
        )
        assert process_of(site, *WEB) == web
    finally:
        assert site.end() == 0
    assert "Traceback" not in site.printed
    complaints = [line for line in site.printed.splitlines() if line.startswith("✗")]
    assert len(complaints) < 20, site.printed


@pytest.mark.slow
def test_a_first_start_without_room_says_so_and_ends(mountable: None, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    ended = subprocess.run(
        [*behind([data_dir], megabytes=8), sys.executable, "-m", "dev"],
        cwd=REPOSITORY,
        env=environment(data_dir, free_port()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "No space left on device" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def kept(tmp_path: Path, script: str) -> Keeper:
    """Keeps a part running, which was begun."""
    part = Part(Child("part", [sys.executable, "-c", script], data_dir=tmp_path))
    part.begin()
    return Keeper(part, ALWAYS, terminal=Terminal())


def test_what_ends_again_and_again_is_tried_ever_more_slowly_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    keeper = kept(tmp_path, "import sys; sys.exit('No space left on device')")
    child = keeper.part.child
    # What ends at once need not be run a hundred times.
    starts: list[float] = []
    now = time.monotonic()
    monkeypatch.setattr(child, "start", lambda: starts.append(now))
    until(lambda: not child.is_running, "it does not end")
    while len(starts) < 100:
        keeper.look(now=now)
        now += 0.1
    child.stop()

    pauses = [after - before for before, after in itertools.pairwise(starts)]
    assert pauses == sorted(pauses, key=round)
    assert ALWAYS.longest_pause_seconds <= pauses[-1] < ALWAYS.longest_pause_seconds + 1
    lines = printed.getvalue().splitlines()
    # The tries 1, 2, 4, … 64.
    assert len(lines) == 7
    assert "No space left on device. Starting part again in 0 s (try 1)" in lines[0]


def test_who_runs_steadily_again_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    keeper = kept(tmp_path, "import time; time.sleep(600)")
    try:
        keeper.tries = 5
        now = keeper.part.begun_at
        keeper.look(now=now + 1)
        assert keeper.tries == 5
        keeper.look(now=now + 3600)
        assert keeper.tries == 0
        assert printed.getvalue() == "part runs steadily again.\n"
    finally:
        keeper.part.stop()


def test_without_room_for_note_and_log_it_starts_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "run").mkdir()
    # Folders stand where the files would be: they cannot be written, by root either.
    (tmp_path / "logs" / "part.log").mkdir()
    (tmp_path / "run" / "part.pid").mkdir()
    child = Child("part", [sys.executable, "-c", "import time; time.sleep(600)"], data_dir=tmp_path)
    monkeypatch.setattr(Child, "end_leftover", lambda _: None)
    child.start()
    assert child.is_running
    pid = child.pid
    assert pid is not None
    (tmp_path / "run" / "part.pid").rmdir()
    child.stop()
    assert not identity(pid)


def test_a_log_is_bounded_while_its_child_goes_on_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOG_KEPT_BYTES", 10_000)
    script = "import sys, time\nwhile True: print('x' * 999, flush=True); time.sleep(0.001)"
    child = Child("part", [sys.executable, "-c", script], data_dir=tmp_path)
    child.start()
    try:
        until(lambda: child.log.stat().st_size > 10_000, "it writes nothing")
        child.bound_log()
        kept = child.log.with_suffix(".log.1").read_bytes()
        assert len(kept) == 10_000
        assert child.log.stat().st_size < 10_000
        size = child.log.stat().st_size
        until(lambda: child.log.stat().st_size > size, "it does not go on")
        # It appends: nothing but its lines, no hole where the old ones were.
        assert b"\0" not in child.log.read_bytes()
    finally:
        child.stop()
