"""The drain, killed again and again together with its database, counts every charge once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from dev.conditions import REPOSITORY
from dev.embedded import EmbeddedPostgres
from dev.processes import CannotStart, Child
from gate.store import charges, hot_state, snapshots
from gate.store.hot_state import PARTITIONS, stream_name
from gate.terms import key_text
from tests.faults.conftest import peppers
from tests.faults.draining import ALLOWANCE, BOOSTS, CREDITS, CUSTOMERS
from tests.faults.servers import Valkey
from tests.running_site import environment, free_port

pytestmark = pytest.mark.slow

CHARGES = 100_000
AT_ONCE = 500
WORKER_KILLS = 20
DATABASE_KILLS = 5


class Worker:
    """Drains in a process of its own."""

    def __init__(self, data_dir: Path, env: dict[str, str]) -> None:
        self._note = data_dir / "worker"
        self.child = Child(
            "draining",
            [sys.executable, "-m", "tests.faults.draining", "work", self._note],
            data_dir=data_dir,
            environment=env,
            directory=REPOSITORY,
        )

    @property
    def pid(self) -> int:
        """The process that drains now; 0 before there is one."""
        return int(self._note.read_text()) if self._note.exists() else 0

    def until_another(self, before: int) -> None:
        """Wait until another process drains."""
        deadline = time.monotonic() + 30
        while self.pid == before:
            assert self.child.is_running, self.child.last_words()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def kill(self) -> None:
        """End what drains, without asking; another one begins."""
        before = self.pid
        os.kill(before, signal.SIGKILL)
        self.until_another(before)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of its own, to be killed: as durable as in earnest, for it must not forget."""
    with EmbeddedPostgres(tmp_path) as server:
        yield server


def _let_commits_take_long(postgres: EmbeddedPostgres) -> None:
    """Most kills then come while a commit is under way, which is where it could go wrong."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("ALTER DATABASE sansxel SET commit_delay = 20000")
        connection.execute("ALTER DATABASE sansxel SET commit_siblings = 0")


def _kill(postgres: EmbeddedPostgres) -> None:
    """End the server and every session of it at once, and start it again."""
    server = postgres.child.pid
    sessions = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    for pid in (server, *map(int, sessions)):
        assert pid is not None
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        try:
            postgres.start()
            return
        except CannotStart:
            # Processes of the killed one still hold its memory for a moment.
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _charge(client: Redis, keys: list[str]) -> None:
    """One chat of each key, all in one round trip."""
    pepper = _pepper()
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        call = charges.check_call(
            handle=key_text.handle_of(key),
            digests=snapshots.hot_digests([key_text.digest(key, pepper)]),
            meter="chat",
            units=1,
            request_id=None,
        )
        pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
    replies: list[Any] = pipeline.execute()
    assert {reply[0] for reply in replies} == {b"ok"}


def _pepper() -> key_text.Pepper:
    pepper_id, _, secret = peppers().split(",")[0].partition(":")
    return key_text.Pepper(pepper_id=pepper_id, secret=secret.encode())


def _waiting(client: Redis) -> int:
    pipeline = client.pipeline(transaction=False)
    for index in range(PARTITIONS):
        pipeline.xlen(stream_name(index))
    return int(sum(pipeline.execute()))


def test_every_charge_is_counted_once_whatever_is_killed(
    postgres: EmbeddedPostgres,
    own_valkey: Valkey,
    tmp_path: Path,
    figures: Callable[[str], None],
) -> None:
    env = environment(
        tmp_path / "draining",
        free_port(),
        DATABASE_URL=postgres.url,
        REDIS_URL=own_valkey.url,
        KEY_PEPPERS=peppers(),
    )
    keys = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tests.faults.draining", "prepare"],
            cwd=REPOSITORY,
            env=env,
            stdout=subprocess.PIPE,
            timeout=120,
            check=True,
        ).stdout
    )
    _let_commits_take_long(postgres)
    rounds = CHARGES // AT_ONCE
    moments = random.Random(8)
    kills = ["worker"] * WORKER_KILLS + ["database"] * DATABASE_KILLS
    kill_after = dict(zip(moments.sample(range(5, rounds), len(kills)), kills, strict=True))
    worker = Worker(tmp_path, env)
    killed_at_work = 0
    began = time.monotonic()
    with own_valkey.client as client:
        client.script_load(hot_state.script("check").text)
        try:
            worker.child.start()
            worker.until_another(0)
            for number in range(rounds):
                first = number * AT_ONCE
                _charge(client, [keys[at % CUSTOMERS] for at in range(first, first + AT_ONCE)])
                killed = kill_after.get(number)
                if killed is None:
                    continue
                time.sleep(moments.uniform(0.0, 0.05))
                killed_at_work += _waiting(client) > 0
                if killed == "worker":
                    worker.kill()
                else:
                    _kill(postgres)
            deadline = time.monotonic() + 60
            while _waiting(client):
                assert time.monotonic() < deadline, worker.child.last_words()
                time.sleep(0.02)
        finally:
            worker.child.kill()
    seconds = time.monotonic() - began
    assert killed_at_work >= 15, "the kills came while nothing was being drained"
    _assert_adds_up(postgres)
    figures(
        f"{CHARGES} charges in {seconds:.1f} s; {WORKER_KILLS} workers and {DATABASE_KILLS} "
        f"databases killed, {killed_at_work} of them at work; all counted once"
    )


def _assert_adds_up(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        used = connection.execute(
            "SELECT account_id, sum(chats) FILTER (WHERE source = 'allowance'),"
            " sum(chats) FILTER (WHERE source = 'boost'),"
            " sum(chats) FILTER (WHERE source = 'credits'), sum(credits)"
            " FROM quotas_usagerollup GROUP BY account_id"
        ).fetchall()
        ledger = connection.execute(
            "SELECT account_id, -sum(credits) FROM quotas_creditentry"
            " WHERE kind = 'spend' GROUP BY account_id"
        ).fetchall()
        boosts = connection.execute("SELECT chats, spent FROM quotas_boost").fetchall()
    chats = CHARGES // CUSTOMERS
    by_credits = chats - ALLOWANCE - sum(BOOSTS)
    assert len(used) == CUSTOMERS
    assert {row[1:] for row in used} == {(ALLOWANCE, sum(BOOSTS), by_credits, CREDITS)}
    assert 2 * by_credits == CREDITS
    assert dict(ledger) == {row[0]: CREDITS for row in used}
    assert len(boosts) == CUSTOMERS * len(BOOSTS)
    assert all(granted == spent for granted, spent in boosts)
