"""Everything that is stored, to be searched for what must not be."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from redis import Redis


def everything_in_postgres() -> str:
    """Every row of every table, and what sessions hold when they are read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        assert "keys_apikey" in tables
        rows = []
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" AS t')
            rows += [row for (row,) in cursor.fetchall()]
    rows += [repr(session.get_decoded()) for session in Session.objects.all()]
    return "\n".join(rows)


def everything_in_valkey() -> bytes:
    """Every key and value of every logical database: hot state, broker and cache."""
    found: list[Any] = []
    for number in range(16):
        separator = "&" if "?" in settings.REDIS_URL else "?"
        with Redis.from_url(f"{settings.REDIS_URL}{separator}db={number}") as client:
            for name in client.scan_iter():
                found += [name, _value(client, name)]
    return repr(found).encode()


def _value(client: Redis, name: bytes) -> object:
    read: dict[Any, Callable[[], object]] = {
        b"string": lambda: client.get(name),
        b"hash": lambda: client.hgetall(name),
        b"list": lambda: client.lrange(name, 0, -1),
        b"set": lambda: client.smembers(name),
        b"zset": lambda: client.zrange(name, 0, -1, withscores=True),
        b"stream": lambda: client.xrange(name),
    }
    return read[client.type(name)]()


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file of the embedded servers: tables, WAL, append-only files, logs, mails."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()
