"""Charges that another drain has read and not yet committed: whoever needs all of them waits.

Nothing in Valkey tells of them: the stream that they came from may be gone by then.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from redis import Redis

from accounts.models import Account
from quotas import catalogue, projection
from quotas.models.used import WeekClose
from quotas.usage import closing, drain
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 20.0


class SlowDrain:
    """A drain that has read its entries, and commits when it is told to."""

    def __init__(self, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pool = pool
        self._go_on = threading.Event()
        has_read = threading.Event()
        record = drain._record

        def slowly(*arguments: Any) -> None:
            monkeypatch.setattr(drain, "_record", record)
            has_read.set()
            assert self._go_on.wait(PATIENCE)
            record(*arguments)

        monkeypatch.setattr(drain, "_record", slowly)
        self._drained = pool.submit(in_thread, drain.move_all)
        assert has_read.wait(PATIENCE)

    def commit(self) -> int:
        """Let it end; how many entries it moved."""
        self._go_on.set()
        return int(self._drained.result(PATIENCE))


def in_thread(act: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """With a connection of its own, which is given back."""
    try:
        return act(*args, **more)
    finally:
        connection.close()


def until_somebody_waits_for_a_drain() -> None:
    """Wait until a connection waits for the lock of a drain."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
            if cursor.fetchone()[0]:
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def under_way(
    key: str, gate: LiveGate, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> SlowDrain:
    """A drain that has read 30 charges of the account."""
    gate.use(key, 30)
    return SlowDrain(pool, monkeypatch)


def emptied(valkey: Redis) -> None:
    """The stream is gone."""
    valkey.flushall()


def emptied_and_in_use_again(valkey: Redis) -> None:
    """The stream is gone, and there is another one, without entries."""
    valkey.flushall()
    catalogue.push()


@pytest.mark.parametrize("lose", [emptied, emptied_and_in_use_again])
def test_an_account_is_loaded_with_the_charges_of_a_drain_that_is_under_way(
    account: Account, under_way: SlowDrain, valkey: Redis, lose: Callable[[Redis], None]
) -> None:
    lose(valkey)
    loading = under_way.pool.submit(in_thread, projection.load_accounts, [account.handle])
    try:
        until_somebody_waits_for_a_drain()
    finally:
        assert under_way.commit() == 30
    assert loading.result(PATIENCE)[account.handle].used == 30


def test_a_week_is_closed_with_the_charges_of_a_drain_that_is_under_way(
    account: Account, under_way: SlowDrain, valkey: Redis
) -> None:
    valkey.flushall()
    next_week = timezone.now() + timedelta(days=7)
    closed = under_way.pool.submit(in_thread, closing.close_ended_weeks, at=next_week)
    try:
        until_somebody_waits_for_a_drain()
    finally:
        under_way.commit()
    assert closed.result(PATIENCE) == 1
    assert WeekClose.objects.get(account=account).allowance == 30


def test_a_drain_that_hangs_does_not_keep_whoever_loads_an_account(
    account: Account, under_way: SlowDrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        with monkeypatch.context() as hurried:
            hurried.setattr(projection, "_DRAIN_WITHIN_SECONDS", 0.2)
            with pytest.raises(OperationalError, match="lock timeout"):
                projection.load_accounts([account.handle])
    finally:
        under_way.commit()
    assert projection.load_accounts([account.handle])[account.handle].used == 30
