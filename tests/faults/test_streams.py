"""200 answers while gate or Valkey are stopped or killed: what was answered is charged, no more."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.running_site import RunningSite, free_port

pytestmark = pytest.mark.slow

STREAMS = 200
HOLD_SECONDS = 15
STOP_SECONDS = 6
PATIENCE_SECONDS = 60.0


@dataclass
class Model:
    """A model server that says one word, waits to be let go, and ends its answer.

    let_go: as many answers as this are ended; None ends all of them.
    """

    port: int
    waiting: int = 0
    _queue: "asyncio.Queue[None]" = field(default_factory=asyncio.Queue)

    def let_go(self, count: int) -> None:
        for _ in range(count):
            self._queue.put_nowait(None)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert length
            await reader.readexactly(int(length[1]))
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            )
            writer.write(_event({"content": "word "}, None))
            await writer.drain()
            self.waiting += 1
            await self._queue.get()
            writer.write(_event({"content": "end"}, None) + _event({}, "stop"))
            writer.write(b"data: [DONE]\n\n")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def _event(delta: dict[str, str], reason: str | None) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


@dataclass
class Site:
    """A running site whose model is ours, and somebody with chats enough."""

    running: RunningSite
    model_port: int
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def door(self) -> str:
        """The gate's own address."""
        return f"http://127.0.0.1:{self.running.gate_port}"

    async def left(self) -> int:
        """Chats left, once somebody answers."""
        ends_at = time.monotonic() + PATIENCE_SECONDS
        async with httpx.AsyncClient(base_url=self.door, headers=self.headers) as client:
            while True:
                try:
                    answer = await client.get("/api/v1/quota")
                    if answer.status_code == 200:
                        chats: int = answer.json()["remaining"]["chats"]
                        return chats
                except httpx.TransportError:
                    pass
                assert time.monotonic() < ends_at, "nobody answers"
                await asyncio.sleep(0.1)

    async def left_without_holds(self) -> int:
        """Chats left once whatever was held and is no more has run out."""
        await asyncio.sleep(HOLD_SECONDS + 1)
        return await self.left()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything that scripts/run starts, asking a model of ours."""
    model_port = free_port()
    running = RunningSite(
        tmp_path_factory.mktemp("streams") / "data",
        MODEL_BASE_URL=f"http://127.0.0.1:{model_port}/v1",
        MODEL_NAME="ours",
        MODEL_CONNECTIONS=str(2 * STREAMS),
        API_HOLD_SECONDS=str(HOLD_SECONDS),
        GATE_STOP_SECONDS=str(STOP_SECONDS),
        GATE_WORKERS="1",
    )
    try:
        running.until_ready()
        key = running.rich_key("streams")
        yield Site(running, model_port, key)
    finally:
        if running.process.poll() is None:
            running.end()


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Model]:
    model = Model(site.model_port)
    server = await asyncio.start_server(model.answer, "127.0.0.1", site.model_port, backlog=512)
    try:
        yield model
    finally:
        model.let_go(2 * STREAMS)
        server.close()


async def stream(site: Site) -> bool:
    """Whether one answer came whole."""
    body = {"messages": [{"role": "user", "content": "Hello!"}], "stream": True}
    try:
        async with (
            httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client,
            client.stream(
                "POST", f"{site.door}/api/v1/chat", json=body, headers=site.headers
            ) as answer,
        ):
            assert answer.status_code == 200
            return await answer.aread() == b"word end"
    except httpx.TransportError:
        return False


@asynccontextmanager
async def streams_under_way(site: Site, model: Model) -> AsyncIterator[list[asyncio.Task[bool]]]:
    """All of them, each with its first word."""
    tasks = [asyncio.create_task(stream(site)) for _ in range(STREAMS)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while model.waiting < STREAMS:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    yield tasks


async def answered(tasks: list[asyncio.Task[bool]]) -> int:
    return sum(await asyncio.gather(*tasks))


async def until_done(tasks: list[asyncio.Task[bool]], count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sum(task.done() for task in tasks) < count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


async def test_who_stops_the_gate_pays_for_what_was_answered_alone(site: Site) -> None:
    before = await site.left()
    async with serving(site) as model, streams_under_way(site, model) as tasks:
        os.kill(site.running.pid("gate"), signal.SIGTERM)
        model.let_go(STREAMS // 2)
        whole = await answered(tasks)
    assert whole == STREAMS // 2
    # Given back before the gate ended, and not when the holds have run out.
    assert await site.left() == before - whole
    assert await site.left_without_holds() == before - whole


async def test_who_kills_the_gate_pays_for_what_was_answered_alone(site: Site) -> None:
    before = await site.left()
    async with serving(site) as model, streams_under_way(site, model) as tasks:
        model.let_go(STREAMS // 2)
        await until_done(tasks, STREAMS // 2)
        os.killpg(site.running.pid("gate"), signal.SIGKILL)
        whole = await answered(tasks)
    assert whole == STREAMS // 2
    assert await site.left_without_holds() == before - whole


async def test_what_is_answered_while_valkey_is_away_is_charged_when_it_is_back(
    site: Site,
) -> None:
    before = await site.left()
    async with serving(site) as model, streams_under_way(site, model) as tasks:
        os.killpg(site.running.pid("valkey"), signal.SIGKILL)
        model.let_go(STREAMS)
        whole = await answered(tasks)
    assert whole == STREAMS
    assert await site.left_without_holds() == before - whole
