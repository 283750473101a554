"""Callers that wait for each answer before they ask again, with as little of their own as can be.

One generator serves every subject, so that its own cost is in all the figures alike.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from itertools import cycle
from time import perf_counter
from typing import Any, Protocol, cast

import hiredis

from benchmark.sample import Sample, Stretch

# The first answers open connections and fill caches; they are asked for and not measured.
_WARM_UP_SECONDS = 0.15


class Caller(Protocol):
    """One connection: asks, reads the answer, asks again while the stretch lasts."""

    def begin(self, stretch: Stretch) -> None:
        """Ask for the first time."""

    def close(self) -> None:
        """Hang up."""


Connect = Callable[[Iterator[bytes]], Coroutine[Any, Any, Caller]]


async def measure(
    connect: Connect, questions: Sequence[bytes], *, connections: int, seconds: float
) -> Sample:
    """The sample of so many connections, all working through the same questions in turn."""
    turns = cycle(questions)
    callers = [await connect(turns) for _ in range(connections)]
    try:
        return await with_warm_up(lambda length: _stretch(callers, length), seconds)
    finally:
        for caller in callers:
            caller.close()


async def with_warm_up(run: Callable[[float], Awaitable[Sample]], seconds: float) -> Sample:
    """The sample of the second of two stretches, with the charges and failures of both."""
    first = await run(_WARM_UP_SECONDS)
    second = await run(seconds)
    return Sample(
        seconds=second.seconds,
        answers=second.answers,
        asked=first.asked + second.asked,
        charges=first.charges + second.charges,
        failures=first.failures + second.failures,
        first_failure=first.first_failure or second.first_failure,
        latencies=second.latencies,
    )


async def _stretch(callers: Sequence[Caller], seconds: float) -> Sample:
    stretch = Stretch(seconds=seconds, callers=len(callers))
    for caller in callers:
        caller.begin(stretch)
    return await stretch.ended()


class _Connection(asyncio.Protocol):
    """What HTTP and RESP callers have in common."""

    transport: asyncio.Transport

    def __init__(self, questions: Iterator[bytes]) -> None:
        self._questions = questions
        self._stretch: Stretch | None = None
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods without being of the class.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"connection ended: {error}")

    def begin(self, stretch: Stretch) -> None:
        self._stretch = stretch
        if self.transport.is_closing():
            self._fail("connection ended")
        else:
            self._ask()

    def close(self) -> None:
        self._stretch = None
        self.transport.close()

    def _ask(self) -> None:
        self._sent_at = perf_counter()
        self.transport.write(next(self._questions))

    def _answered(self, charges: int) -> None:
        if self._stretch is not None:
            if self._stretch.answered(self._sent_at, charges):
                self._ask()
            else:
                self._stretch = None

    def _fail(self, what: str) -> None:
        if self._stretch is not None:
            self._stretch.failed(what)
            self._stretch = None


class HttpCaller(_Connection):
    """HTTP/1.1 with keep-alive; an answer must be 200 and name its length."""

    def __init__(self, questions: Iterator[bytes]) -> None:
        super().__init__(questions)
        self._partial = b""

    def data_received(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._partial = data
            return
        at = data.find(b"content-length: ", 0, head)
        if data[9:12] != b"200" or at < 0:
            self._fail(data[:60].decode(errors="replace"))
            return
        length = int(data[at + 16 : data.index(b"\r", at)])
        if len(data) < head + 4 + length:
            self._partial = data
            return
        self._partial = b""
        self._answered(1 if data.find(b'"allowed":true', head) > 0 else 0)


class RespCaller(_Connection):
    """The Redis protocol; an answer must be a list that begins with `ok`."""

    def __init__(self, questions: Iterator[bytes]) -> None:
        super().__init__(questions)
        self._reader = hiredis.Reader()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        answer = self._reader.gets()
        if answer is False:
            return
        if isinstance(answer, list) and answer[0] == b"ok":
            self._answered(1)
        else:
            self._fail(str(answer)[:60])


def over_http(port: int) -> Connect:
    """How to connect to a server on this machine."""

    async def connect(questions: Iterator[bytes]) -> Caller:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: HttpCaller(questions), "127.0.0.1", port))[1]

    return connect


def over_socket(path: str) -> Connect:
    """How to connect to a Valkey on this machine."""

    async def connect(questions: Iterator[bytes]) -> Caller:
        loop = asyncio.get_running_loop()
        return (await loop.create_unix_connection(lambda: RespCaller(questions), path))[1]

    return connect


def post(path: str, body: bytes, *, token: str) -> bytes:
    """An HTTP request that sends JSON and shows a bearer token."""
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
