"""The supervisor with parts of any number: begun, watched and ended by what they say they need."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dev.parts import Part
from dev.processes import Child, identity
from dev.supervisor import Supervisor
from dev.terminal import Terminal
from tests.patience import LONGEST_SECONDS, until

REPOSITORY = Path(__file__).resolve().parents[2]
Declared = Sequence[dict[str, Any]]

# More than today, and some that need nothing of each other.
SITE: Declared = [
    {"name": "store"},
    {"name": "books"},
    {"name": "prepare", "needs": ["store", "books"], "what": "once"},
    {"name": "worker", "needs": ["prepare"]},
    {"name": "worker-that-waits", "needs": ["prepare"]},
    {"name": "beat", "needs": ["worker", "worker-that-waits"]},
    {"name": "sandbox", "needs": ["prepare"]},
    {"name": "gate", "needs": ["prepare"]},
    {"name": "site", "needs": ["worker", "worker-that-waits", "sandbox"]},
    {"name": "front", "needs": ["gate", "site", "sandbox"]},
]


class Running:
    """A supervisor at work, and what its parts tell."""

    def __init__(self, folder: Path, parts: Declared) -> None:
        self.folder = folder
        self.printed = folder / "printed"
        with self.printed.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.operations.supervised", folder, json.dumps(parts)],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self.printed.read_text()

    @property
    def told(self) -> list[str]:
        """What the parts have told so far, line by line."""
        file = self.folder / "told"
        return file.read_text().splitlines() if file.exists() else []

    def names(self, word: str) -> list[str]:
        """Who told that word, in order."""
        return [line.removesuffix(f" {word}") for line in self.told if line.endswith(f" {word}")]

    def until_ready(self) -> None:
        until(lambda: "All are ready." in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.said

    def pids(self) -> dict[str, int]:
        """The number of each part that runs."""
        noted = {}
        for note in (self.folder / "run").glob("*.pid"):
            pid = note.read_text().split()[:1]
            if pid and identity(int(pid[0])):
                noted[note.stem] = int(pid[0])
        return noted


@contextmanager
def supervised(folder: Path, parts: Declared = SITE) -> Iterator[Running]:
    """Parts that run, until the end of the block at the latest."""
    running = Running(folder, parts)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
            running.process.wait(LONGEST_SECONDS)


def test_each_part_begins_when_what_it_needs_is_ready(tmp_path: Path) -> None:
    with supervised(tmp_path) as running:
        running.until_ready()
        begun = running.names("begins")
    assert sorted(begun) == sorted(part["name"] for part in SITE)
    for part in SITE:
        for needed in part.get("needs", ()):
            assert begun.index(needed) < begun.index(part["name"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_part_ends_whatever_its_number_before_what_it_needs(
    tmp_path: Path, number: signal.Signals
) -> None:
    with supervised(tmp_path) as running:
        running.until_ready()
        pids = running.pids()
        running.process.send_signal(number)
        assert running.process.wait(LONGEST_SECONDS) == 0
    ended = running.names("ends")
    # The preparation is over long since.
    keep_running = [part for part in SITE if part["name"] != "prepare"]
    assert sorted(ended) == sorted(pids) == sorted(part["name"] for part in keep_running)
    for part in keep_running:
        for needed in set(part.get("needs", ())) - {"prepare"}:
            assert ended.index(part["name"]) < ended.index(needed)
    # Those outlive all that needed what needed them.
    assert set(ended[-2:]) == {"store", "books"}
    assert [name for name, pid in pids.items() if identity(pid)] == []
    assert "killed" not in running.said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a killed parent")
def test_no_part_survives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path) as running:
        running.until_ready()
        known = {pid: identity(pid) for pid in running.pids().values()}
        assert len(known) == len(SITE) - 1
        running.process.kill()
        running.process.wait()
        until(lambda: not [pid for pid, then in known.items() if identity(pid) == then])


def test_a_part_that_ends_is_started_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    with supervised(tmp_path) as running:
        running.until_ready()
        before = running.pids()
        killed = {"gate", "site", "front"}
        for name in killed:
            os.kill(before[name], signal.SIGKILL)
        until(lambda: all(running.names("begins").count(name) == 2 for name in killed))
        changed = {name for name, pid in running.pids().items() if pid != before[name]}
    assert changed == killed


def test_who_does_not_end_is_killed_and_holds_nobody_else_up(tmp_path: Path) -> None:
    parts: Declared = [
        {"name": "store"},
        {"name": "stubborn", "needs": ["store"], "what": "stubborn", "patience": 0.2},
        {"name": "good", "needs": ["store"]},
    ]
    with supervised(tmp_path, parts) as running:
        running.until_ready()
        pids = running.pids()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(LONGEST_SECONDS) == 0
    assert "stubborn did not stop and was killed." in running.said
    assert running.told[-1] == "store ends"
    assert [name for name, pid in pids.items() if identity(pid)] == []


def test_who_asks_twice_is_not_kept_waiting(tmp_path: Path) -> None:
    parts = [{"name": "stubborn", "what": "stubborn", "patience": 10 * LONGEST_SECONDS}]
    with supervised(tmp_path, parts) as running:
        running.until_ready()
        running.process.send_signal(signal.SIGINT)
        until(lambda: running.names("was asked to end"))
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(LONGEST_SECONDS) == 0
    assert "stubborn did not stop and was killed." in running.said


def test_a_part_that_is_broken_ends_the_start_and_all_that_had_begun(tmp_path: Path) -> None:
    parts: Declared = [
        {"name": "store"},
        {"name": "broken", "needs": ["store"], "what": "broken"},
        {"name": "never", "needs": ["broken"]},
    ]
    with supervised(tmp_path, parts) as running:
        assert running.process.wait(LONGEST_SECONDS) == 1
    assert re.search(r"broken ended by itself \(exit code 1\): it is broken", running.said)
    assert "store ends" in running.told
    assert "never begins" not in running.told


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"one": [], "two": ["three"]}, "two needs what is not there: three"),
        ({"one": ["two"], "two": ["one"]}, "need each other"),
    ],
)
def test_what_cannot_be_ordered_is_refused(
    tmp_path: Path, needs: dict[str, list[str]], words: str
) -> None:
    parts = [
        Part(Child(name, [], data_dir=tmp_path), needs=needed) for name, needed in needs.items()
    ]
    with pytest.raises(ValueError, match=words):
        Supervisor(parts, terminal=Terminal())
