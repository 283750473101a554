"""Callers that wait for each answer before they ask again, with as little of their own as can be.

One generator serves every subject, so that its own cost is in all the figures alike.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Protocol, cast

import hiredis

from benchmark.sample import Sample, Stretch

# The first answers open connections and fill caches; they are asked for and not measured.
_WARM_UP_SECONDS = 0.15


class Asking(Protocol):
    """What a caller is told by and tells: when questions are due, and what came of them."""

    def asks_at(self) -> float:
        """The moment that the question which is asked now is timed from."""

    def answered(self, asked_at: float, charges: int) -> bool:
        """Count an answer; whether to ask again at once."""

    def failed(self, what: str, charges: int = 0) -> None:
        """Count an answer that is none, or a connection that ended; its caller is done."""


class Caller(Protocol):
    """One connection: asks, reads the answer, asks again as long as it is told to."""

    def begin(self, asking: Asking) -> None:
        """Ask for the first time."""

    def close(self) -> None:
        """Hang up."""


Connect = Callable[[Iterator[bytes]], Coroutine[Any, Any, Caller]]


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, and how to connect to who is asked; `weight` decisions in one answer."""

    connect: Connect
    questions: Sequence[bytes]
    weight: int = 1


async def measure(load: Load, *, connections: int, seconds: float) -> Sample:
    """The sample of so many connections, all working through the same questions in turn."""
    turns = cycle(load.questions)
    callers = [await load.connect(turns) for _ in range(connections)]
    try:
        return await with_warm_up(lambda length: _stretch(callers, length, load.weight), seconds)
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


async def _stretch(callers: Sequence[Caller], seconds: float, weight: int) -> Sample:
    stretch = Stretch(seconds=seconds, callers=len(callers), weight=weight)
    for caller in callers:
        caller.begin(stretch)
    return await stretch.ended()


class _Connection(asyncio.Protocol):
    """What HTTP and RESP callers have in common."""

    transport: asyncio.Transport

    def __init__(self, questions: Iterator[bytes]) -> None:
        self._questions = questions
        self._asking: Asking | None = None
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods without being of the class.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"connection ended: {error}")

    def begin(self, asking: Asking) -> None:
        self._asking = asking
        if self.transport.is_closing():
            self._fail("connection ended")
        else:
            self._ask(asking)

    def close(self) -> None:
        self._asking = None
        self.transport.close()

    def _ask(self, asking: Asking) -> None:
        self._asked_at = asking.asks_at()
        self.transport.write(next(self._questions))

    def _answered(self, charges: int) -> None:
        if self._asking is not None:
            if self._asking.answered(self._asked_at, charges):
                self._ask(self._asking)
            else:
                self._asking = None

    def _fail(self, what: str, charges: int = 0) -> None:
        if self._asking is not None:
            self._asking.failed(what, charges)
            self._asking = None


class HttpCaller(_Connection):
    """HTTP/1.1 with keep-alive; an answer must be 200.

    mark: what stands in an answer once for each charge; `weight` times, or the answer has failed.
    """

    def __init__(self, questions: Iterator[bytes], *, mark: bytes | None, weight: int) -> None:
        super().__init__(questions)
        self._mark = mark
        self._weight = weight
        self._partial = b""

    def data_received(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
        head = data.find(b"\r\n\r\n")
        if head < 0:
            self._partial = data
            return
        if data[9:12] != b"200":
            self._fail(data[:60].decode(errors="replace"))
            return
        at = data.find(b"content-length: ", 0, head)
        if at < 0:
            # As the front spells it.
            at = data.find(b"Content-Length: ", 0, head)
        if at < 0:
            # In chunks, then, as Django answers without the middleware that counts.
            is_whole = data.endswith(b"\r\n0\r\n\r\n")
        else:
            is_whole = len(data) >= head + 4 + int(data[at + 16 : data.index(b"\r", at)])
        if not is_whole:
            self._partial = data
            return
        self._partial = b""
        if self._mark is None:
            self._answered(0)
        elif (charges := data.count(self._mark)) == self._weight:
            self._answered(charges)
        else:
            self._fail(f"{charges} of {self._weight} were charged", charges)


class RespCaller(_Connection):
    """The Redis protocol, `weight` calls in one write; each is answered a list beginning `ok`."""

    def __init__(self, questions: Iterator[bytes], *, weight: int) -> None:
        super().__init__(questions)
        self._reader = hiredis.Reader()
        self._weight = weight
        self._charges = 0

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            if not isinstance(answer, list) or answer[0] != b"ok":
                self._fail(str(answer)[:60], self._charges)
                return
            self._charges += 1
        if self._charges == self._weight:
            self._charges = 0
            self._answered(self._weight)


def over_http(port: int, *, mark: bytes | None = None, weight: int = 1) -> Connect:
    """How to connect to a server on this machine, whose answers have `weight` marks."""

    def caller(questions: Iterator[bytes]) -> HttpCaller:
        return HttpCaller(questions, mark=mark, weight=weight)

    async def connect(questions: Iterator[bytes]) -> Caller:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: caller(questions), "127.0.0.1", port))[1]

    return connect


def over_socket(path: str, *, weight: int = 1) -> Connect:
    """How to connect to a Valkey on this machine, for so many calls in one write."""

    def caller(questions: Iterator[bytes]) -> RespCaller:
        return RespCaller(questions, weight=weight)

    async def connect(questions: Iterator[bytes]) -> Caller:
        loop = asyncio.get_running_loop()
        return (await loop.create_unix_connection(lambda: caller(questions), path))[1]

    return connect


def get(path: str, **headers: str) -> bytes:
    """An HTTP request without a body; headers with underscores for hyphens."""
    return _head("GET", path, headers)


def post(path: str, body: bytes = b"", **headers: str) -> bytes:
    """An HTTP request that sends JSON; headers with underscores for hyphens."""
    described = {"content_type": "application/json", "content_length": str(len(body))}
    return _head("POST", path, headers | described) + body


def _head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()
