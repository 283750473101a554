"""What decides has connections to itself: pages that hold all of theirs do not stop it."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from config import reading
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 30.0


@contextmanager
def every_connection_of_pages_is_held() -> Iterator[None]:
    """As many threads as the pool has connections, each in the middle of a long query."""
    options: Any = settings.DATABASES["default"]["OPTIONS"]
    size = options["pool"]["max_size"]
    held, may_end = threading.Barrier(size + 1), threading.Event()

    def hold() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                held.wait(PATIENCE)
                may_end.wait(PATIENCE)
        finally:
            connection.close()

    # The one of this thread is one of them.
    connection.close()
    with ThreadPoolExecutor(size) as pool:
        threads = [pool.submit(hold) for _ in range(size)]
        held.wait(PATIENCE)
        try:
            yield
        finally:
            may_end.set()
            for thread in threads:
                thread.result(PATIENCE)


def test_a_cold_account_is_loaded_while_pages_hold_all_of_their_connections(
    key: str, gate: LiveGate
) -> None:
    with every_connection_of_pages_is_held():
        assert gate.check(key).allowed


async def test_a_read_is_done_by_a_thread_and_a_pool_of_its_own() -> None:
    def look() -> tuple[str, str]:
        connection.ensure_connection()
        return connection.alias, threading.current_thread().name

    alias, thread = await reading.in_thread(look)()
    assert alias == "deciding"
    assert thread.startswith("deciding")
    assert connection.alias == "default"


async def test_as_many_reads_at_once_as_there_are_threads_each_have_a_connection() -> None:
    together = threading.Barrier(reading.AT_ONCE)

    def read() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            together.wait(PATIENCE)
            found: int = cursor.fetchone()[0]
            return found

    backends = await asyncio.gather(*(reading.in_thread(read)() for _ in range(reading.AT_ONCE)))
    assert len(set(backends)) == reading.AT_ONCE
