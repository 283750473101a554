"""Clients that stall, say nothing, or send heads without end stop nobody else."""

import asyncio
import resource
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings

from gate.service import limits
from gate.terms import key_text
from keys.models import ServiceToken
from tests.faults.caller import Caller
from tests.faults.conftest import Service, database_url, peppers
from tests.faults.customers import customer
from tests.faults.servers import Gate, Valkey

pytestmark = pytest.mark.slow

STALLED = 1_100
IDLE = 10_000
HEAD_BYTES = 200 * 1024 * 1024
PROBES = 20
CHECKS = 200
# What every place of the site does with half a body.
PATHS = ("/quota/v1/check", "/quota/v1/authorize", "/api/v1/chat", "/nothing")


def _files() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.fixture
def web(
    request: pytest.FixtureRequest, tmp_path: Path, own_valkey: Valkey, plans: None
) -> Iterator[Gate]:
    """A gate, which may open as many files as the test's parameter says."""
    web = Gate(
        tmp_path,
        "web",
        DATABASE_URL=database_url(),
        REDIS_URL=own_valkey.url,
        KEY_PEPPERS=peppers(),
    )
    web.child.start()
    try:
        if request.param is not None:
            assert web.child.pid is not None
            limit = (request.param, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
            resource.prlimit(web.child.pid, resource.RLIMIT_NOFILE, limit)
        web.until_ready()
        yield web
    finally:
        web.child.stop()


@pytest.fixture
def service(web: Gate, token_text: str) -> Service:
    """The service in that process, which accepts the token."""
    ServiceToken.objects.create(
        name="slow clients",
        digest=key_text.digest(token_text, settings.KEY_PEPPERS[0]),
        last_four=token_text[-4:],
    )
    service = Service([web], token_text)
    asyncio.run(service.until_it_decides("sk_nobody"))
    return service


class Crowd:
    """Many connections to one process, each of which says something and then nothing."""

    def __init__(self, port: int, stack: AsyncExitStack) -> None:
        self._port = port
        self._stack = stack

    async def open(self, count: int, words: Callable[[int], bytes]) -> None:
        """Open so many, fifty at a time."""
        for first in range(0, count, 50):
            await asyncio.gather(
                *(self._open(words(number)) for number in range(first, min(first + 50, count)))
            )

    async def _open(self, words: bytes) -> None:
        connection = socket.socket()
        self._stack.callback(connection.close)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, ("127.0.0.1", self._port))
        if words:
            await loop.sock_sendall(connection, words)


@asynccontextmanager
async def _crowd(web: Gate) -> AsyncIterator[Crowd]:
    async with AsyncExitStack() as stack:
        yield Crowd(web.port, stack)


def _half_a_body(number: int) -> bytes:
    path = PATHS[number % len(PATHS)]
    length = "transfer-encoding: chunked" if number % 2 else "content-length: 1000"
    return f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{length}\r\n\r\n4\r\nbody\r\n".encode()


async def _probe(web: Gate, path: str) -> tuple[int, float]:
    """Ask as a probe does: on a connection of its own."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    return int(answer.split()[1]), time.monotonic() - began


async def _others_go_on(web: Gate, service: Service, key: str) -> tuple[list[float], list[float]]:
    """How long probes and checks took."""
    probes, checks = [], []
    async with service.callers(1) as (caller,):
        await _until_let_in(caller, key)
        for turn in range(PROBES):
            status, seconds = await _probe(web, ("/healthz", "/readyz")[turn % 2])
            assert status == 200
            probes.append(seconds)
            for _ in range(CHECKS // PROBES):
                reply = await caller.check(key)
                assert reply.is_granted
                checks.append(reply.seconds)
    return probes, checks


async def _until_let_in(caller: Caller, key: str) -> None:
    """Who comes in the middle of a flood may have to try again, for less than a second."""
    began = time.monotonic()
    while True:
        with suppress(OSError):
            if (await caller.check(key)).status == 200:
                return
        assert time.monotonic() - began < 1.0
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("web", [None, 1_024], indirect=True, ids=["many-files", "few-files"])
def test_stalled_bodies_and_idle_connections_stop_nobody(
    web: Gate, service: Service, figures: Callable[[str], None]
) -> None:
    buyer = customer(credits=0, plan="pro")
    idle = min(IDLE, _files() - STALLED - 500)
    assert idle > 0, "this process may open too few files"

    async def story() -> tuple[list[float], list[float]]:
        async with _crowd(web) as crowd:
            await crowd.open(idle, lambda _: b"")
            await crowd.open(STALLED, _half_a_body)
            return await _others_go_on(web, service, buyer.key)

    probes, checks = asyncio.run(story())
    figures(
        f"beside {STALLED:,} stalled bodies and {idle:,} idle connections: probes within "
        f"{max(probes) * 1000:.0f} ms, checks {statistics.median(checks) * 1000:.1f} ms, "
        f"the slowest {max(checks) * 1000:.0f} ms"
    )
    assert max(probes) < 1.0
    # The slowest of a few hundred says how busy the machine was.
    assert statistics.median(checks) < 0.05
    assert max(checks) < 0.5


@pytest.mark.parametrize("web", [None], indirect=True)
def test_heads_without_end_are_cut_off_and_take_no_memory(
    web: Gate, service: Service, figures: Callable[[str], None]
) -> None:
    buyer = customer(credits=0, plan="pro")
    before = _memory(web)
    taken = []

    def send_head() -> bytes:
        with socket.create_connection(("127.0.0.1", web.port), timeout=30) as connection:
            sent = connection.send(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ")
            with suppress(BrokenPipeError, ConnectionResetError):
                while sent < HEAD_BYTES:
                    sent += connection.send(b"y" * 65_536)
            taken.append(sent)
            answer = b""
            with suppress(OSError):
                while part := connection.recv(65_536):
                    answer += part
            return answer

    async def story() -> list[bytes]:
        return await asyncio.gather(*(asyncio.to_thread(send_head) for _ in range(8)))

    answers = asyncio.run(story())
    figures(f"{max(taken):,} bytes of a head taken, {_memory(web) - before:,} bytes of memory")
    assert max(taken) < HEAD_BYTES / 10
    assert all(answer.startswith(b"HTTP/1.1 431 ") for answer in answers if answer)
    assert any(answers)
    assert _memory(web) - before < 32 * 1024 * 1024

    async def check() -> bool:
        async with Caller(web.port, service._token) as caller:
            return (await caller.check(buyer.key)).is_granted

    assert asyncio.run(check())


def _memory(web: Gate) -> int:
    """Bytes of memory that the process has in use."""
    status = Path(f"/proc/{web.child.pid}/status").read_text()
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def test_the_bound_follows_the_files_that_a_process_may_open() -> None:
    kept = limits.FILES_KEPT + limits.ROOM_FOR_PROBES
    assert limits.connections_at_most() == min(limits.CONNECTIONS, _files() - kept)
