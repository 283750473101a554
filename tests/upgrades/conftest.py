"""The data of a release in a database of its own, looked at by the code of today."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import DjangoDbBlocker, Settings
from redis import Redis

from config import reading
from gate.store.connection import sync_client
from gate.terms.key_text import Pepper
from tests.quotas.live_gate import LiveGate, live_gate
from tests.site.collected import collected_static_files
from tests.upgrades.kept import Kept, releases
from tests.upgrades.story import Facts

__all__ = ["collected_static_files"]

_NAME = "data_of_a_release"


@pytest.fixture(autouse=True)
def _quick_passwords() -> None:
    """Not here: people sign in with what the release stored."""


def _address(database: str) -> str:
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}"))


def _on_server(*statements: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        for statement in statements:
            server.execute(statement)


def _use(database: str) -> None:
    connections["default"].close()
    connections["default"].close_pool()  # type: ignore[attr-defined]
    reading.close_pool()
    connections["default"].settings_dict["NAME"] = database


@pytest.fixture
def empty_database(django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A database without tables, which all code uses meanwhile; its address."""
    with django_db_blocker.unblock():
        before = str(connection.settings_dict["NAME"])
        _on_server(f"DROP DATABASE IF EXISTS {_NAME} WITH (FORCE)", f"CREATE DATABASE {_NAME}")
        _use(_NAME)
        try:
            yield _address(_NAME)
        finally:
            _use(before)
            _on_server(f"DROP DATABASE {_NAME} WITH (FORCE)")


@pytest.fixture(params=releases(), ids=lambda kept: kept.release)
def kept(request: pytest.FixtureRequest) -> Kept:
    """One release after the other."""
    found: Kept = request.param
    return found


@pytest.fixture
def facts(kept: Kept) -> Facts:
    """What is true of its data."""
    return kept.facts


@pytest.fixture
def at(kept: Kept) -> Iterator[datetime]:
    """The moment when it was kept, at which the test plays."""
    with time_machine.travel(kept.made_at):
        yield kept.made_at


@pytest.fixture
def valkey() -> Redis:
    """The hot state itself."""
    client = sync_client(django_settings.REDIS_URL)
    assert isinstance(client, Redis)
    return client


@pytest.fixture
def as_it_was(kept: Kept, at: datetime, empty_database: str, valkey: Redis) -> None:
    """The data of the release, as it left it."""
    kept.bring_back_database(empty_database)
    kept.bring_back_valkey(valkey)


@dataclass(frozen=True)
class Prepared:
    """What today's preparation makes of the data of a release, to begin with again and again."""

    database: str
    valkey: list[tuple[bytes, int, bytes]]  # name, milliseconds to live or 0, content


@pytest.fixture(scope="session")
def prepared() -> Iterator[dict[str, Prepared]]:
    """By release, for those that a test prepared: it takes long, and comes to the same."""
    found: dict[str, Prepared] = {}
    yield found
    _on_server(*(f"DROP DATABASE {one.database}" for one in found.values()))


@pytest.fixture
def own_pepper(kept: Kept, at: datetime, settings: Settings) -> None:
    """What the digests of its keys depend on, at the moment when it was kept."""
    settings.KEY_PEPPERS = [Pepper(pepper_id="1", secret=kept.pepper.encode())]


@pytest.fixture
def brought_up(
    kept: Kept,
    own_pepper: None,
    empty_database: str,
    valkey: Redis,
    prepared: dict[str, Prepared],
) -> None:
    """The same, after the preparation of today."""
    if before := prepared.get(kept.release):
        _on_server(f"DROP DATABASE {_NAME}", f"CREATE DATABASE {_NAME} TEMPLATE {before.database}")
        for name, ttl_ms, content in before.valkey:
            valkey.restore(name, ttl_ms, content)
        return
    kept.bring_back_database(empty_database)
    kept.bring_back_valkey(valkey)
    call_command("prepare", verbosity=0)
    # Nobody may look at what is copied.
    _use(_NAME)
    database = "prepared_" + kept.release.replace(".", "_")
    _on_server(f"CREATE DATABASE {database} TEMPLATE {_NAME}")
    names = list(valkey.scan_iter())
    lives = [max(valkey.pttl(name), 0) for name in names]
    held = [valkey.dump(name) or b"" for name in names]
    prepared[kept.release] = Prepared(database, list(zip(names, lives, held, strict=True)))


@pytest.fixture
def gate(brought_up: None) -> Iterator[LiveGate]:
    """The gate of today."""
    with live_gate() as gate:
        yield gate
