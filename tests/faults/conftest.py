"""Four gate processes on a Valkey of their own, which a test may do anything to."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from gate.terms import key_text, week
from keys.models import ServiceToken
from tests.faults.caller import Caller
from tests.faults.servers import Gate, Valkey

PROCESSES = 4
LONGEST_TEST_SECONDS = 120


@pytest.fixture(autouse=True)
def _within_one_week() -> None:
    """No test runs across the end of a week; these take longer than others."""
    now_ms = week.to_ms(timezone.now())
    left_ms = week.starts_ms(week.week_of(now_ms) + 1) - now_ms
    if left_ms < LONGEST_TEST_SECONDS * 1000:
        time.sleep(left_ms / 1000 + 0.1)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """A Valkey that belongs to the fault tests alone."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.thaw()
    server.stop()


@pytest.fixture(scope="session")
def webs(
    valkey: Valkey, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Gate]]:
    """Gates that share the tests' database and the Valkey above."""
    data_dir = tmp_path_factory.mktemp("webs")
    processes = [
        Gate(
            data_dir,
            f"web-{number}",
            DATABASE_URL=database_url(),
            REDIS_URL=valkey.url,
            KEY_PEPPERS=peppers(),
        )
        for number in range(PROCESSES)
    ]
    try:
        for process in processes:
            process.child.start()
        for process in processes:
            process.until_ready()
        yield processes
    finally:
        for process in processes:
            process.child.ask_to_stop()
        for process in processes:
            process.child.stop()


def database_url() -> str:
    """Where another process finds the tests' database."""
    name = str(connection.settings_dict["NAME"])
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def peppers() -> str:
    """The peppers of this process, for others to have the same."""
    return ",".join(
        f"{pepper.pepper_id}:{pepper.secret.decode()}" for pepper in django_settings.KEY_PEPPERS
    )


@pytest.fixture
def own_valkey(settings: Settings, valkey: Valkey) -> Valkey:
    """The Valkey above, running, empty, and what this process uses too."""
    valkey.thaw()
    if not valkey.child.is_running:
        valkey.start()
    with valkey.client as client:
        client.config_set("maxmemory", 0)
        client.flushall()
    settings.REDIS_URL = valkey.url
    return valkey


@pytest.fixture
def plans(own_valkey: Valkey, transactional_db: None, plans: None) -> None:
    """The seed's plans, packs and meters, in a database that other processes read."""


@pytest.fixture
def figures(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], None]:
    """Show what was measured, whether or not output is captured."""

    def show(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{request.node.name}: {text}\n")

    return show


class Service:
    """The quota-check service, spread over processes."""

    def __init__(self, webs: list[Gate], token: str) -> None:
        self.webs = webs
        self._token = token

    @asynccontextmanager
    async def callers(self, count: int) -> AsyncIterator[list[Caller]]:
        """Callers with a connection each, on every process in turn."""
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(
                    Caller(self.webs[number % len(self.webs)].port, self._token)
                )
                for number in range(count)
            ]

    async def until_it_decides(self, key: str, *, patience: float = 15.0) -> float:
        """Wait until every process makes decisions; the seconds that it took."""
        began = time.monotonic()
        async with self.callers(len(self.webs)) as callers:
            for caller in callers:
                while True:
                    reply = await caller.check(key, units=0)
                    if reply.status == 200:
                        break
                    assert time.monotonic() - began < patience, reply
                    await asyncio.sleep(0.02)
        return time.monotonic() - began


@pytest.fixture(scope="session")
def token_text() -> str:
    """One token for every test: a process reads the accepted ones only every two seconds."""
    return key_text.new_service_token()


@pytest.fixture
def service(webs: list[Gate], plans: None, token_text: str) -> Service:
    """The service, which accepts the token."""
    ServiceToken.objects.create(
        name="faults",
        digest=key_text.digest(token_text, django_settings.KEY_PEPPERS[0]),
        last_four=token_text[-4:],
    )
    service = Service(webs, token_text)
    asyncio.run(service.until_it_decides("sk_nobody"))
    return service
