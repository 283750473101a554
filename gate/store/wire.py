"""One connection to a Valkey, and many calls in one round trip.

Valkey answers in order, so a queue of futures is all that has to be remembered. Three batches are
under way at the most; what comes meanwhile leaves together in the next one. Fewer and larger
batches are what Valkey wants: it syncs its file to disk once for all that it has read.

redis-py's own pipelines do the same for several times the processor time (docs/figures.md).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio.connection import parse_url
from redis.exceptions import (
    ConnectionError,  # noqa: A004 - redis-py's own name
    RedisError,
    TimeoutError,  # noqa: A004 - the same
)

from gate.store.packing import Word, pack

_BATCHES = 3
_CALLS_IN_A_BATCH = 512
# So many leave without waiting for more: Valkey begins with a batch of checks while the rest of it
# is still being read.
_ENOUGH_CALLS = 16

# Asked before the first call; raises when the server must not be used.
Greet = Callable[["Wire"], Awaitable[None]]


class Wire(asyncio.Protocol):
    """A connection that was opened with `connect`; `is_open` says whether it still is."""

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(
            protocolError=ConnectionError, replyError=BaseParser.parse_error
        )
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._unsent: deque[tuple[float, bytes, asyncio.Future[Any]]] = deque()
        self._will_flush = False
        # How many answers each batch under way still lacks, the oldest batch first.
        self._lacking: deque[int] = deque()
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether calls can still be made."""
        return self._transport is not None

    def call(self, *command: Word) -> "asyncio.Future[Any]":
        """The answer to a command, as a future. RedisError when there is none."""
        return self.send(pack(*command))

    def send(self, packed: bytes) -> "asyncio.Future[Any]":
        """The same of a command that is packed already."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self._transport is None:
            answer.set_exception(ConnectionError("the connection is closed"))
            return answer
        self._unsent.append((self._loop.time(), packed, answer))
        if len(self._lacking) < _BATCHES:
            if len(self._unsent) >= _ENOUGH_CALLS:
                self._flush()
            elif not self._will_flush:
                self._will_flush = True
                self._loop.call_soon(self._flush_what_waits)
        return answer

    def close(self, reason: RedisError | None = None) -> None:
        """End the connection; whoever still waits gets the reason."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        answers = [answer for _, answer in self._waiting]
        answers += [answer for _, _, answer in self._unsent]
        self._waiting.clear()
        self._unsent.clear()
        for answer in answers:
            if not answer.done():
                answer.set_exception(reason or ConnectionError("the connection was closed"))

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                _, answer = self._waiting.popleft()
                self._count_answer()
                if answer.done():
                    continue
                if isinstance(reply, RedisError):
                    answer.set_exception(reply)
                else:
                    answer.set_result(reply)
        except (RedisError, IndexError):
            self.close(ConnectionError("the server said something that is no answer"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(ConnectionError("the server closed the connection"))

    def _flush_what_waits(self) -> None:
        self._will_flush = False
        if len(self._lacking) < _BATCHES:
            self._flush()

    def _flush(self) -> None:
        if self._transport is None:
            return
        now = self._loop.time()
        batch: list[bytes] = []
        while self._unsent and len(batch) < _CALLS_IN_A_BATCH:
            called_at, packed, answer = self._unsent.popleft()
            # Whoever gave up, or waited too long, before the call was sent is not charged.
            if answer.done():
                continue
            if now - called_at > self._patience:
                answer.set_exception(TimeoutError("the server was too busy"))
                continue
            batch.append(packed)
            self._waiting.append((now, answer))
        if not batch:
            return
        self._lacking.append(len(batch))
        self._transport.write(b"".join(batch))
        if self._watchdog is None:
            self._watchdog = self._loop.call_at(now + self._patience, self._look_at_oldest)

    def _count_answer(self) -> None:
        self._lacking[0] -= 1
        if not self._lacking[0]:
            self._lacking.popleft()
            self._flush()

    def _look_at_oldest(self) -> None:
        """End a connection whose oldest call was sent too long ago: its answer may never come."""
        self._watchdog = None
        if not self._waiting:
            return
        due = self._waiting[0][0] + self._patience
        if self._loop.time() >= due:
            self.close(TimeoutError("the server gave no answer"))
        else:
            self._watchdog = self._loop.call_at(due, self._look_at_oldest)


async def connect(url: str, *, patience: float, greet: Greet | None = None) -> Wire:
    """Open a connection as a redis:// , rediss:// or unix:// address says.

    patience: seconds that connecting, and later each answer, may take.
    """
    options = parse_url(url)
    loop = asyncio.get_running_loop()
    wire = Wire(patience=patience)
    try:
        async with asyncio.timeout(patience):
            if "path" in options:
                await loop.create_unix_connection(lambda: wire, options["path"])
            else:
                is_tls = url.startswith("rediss:")
                await loop.create_connection(
                    lambda: wire,
                    options.get("host", "localhost"),
                    options.get("port", 6379),
                    ssl=True if is_tls else None,
                )
    except OSError as error:
        raise ConnectionError(f"no connection: {type(error).__name__}") from None
    try:
        if options.get("password"):
            login = [options["username"]] if options.get("username") else []
            await wire.call("AUTH", *login, options["password"])
        if options.get("db"):
            await wire.call("SELECT", options["db"])
        if greet is not None:
            await greet(wire)
    except BaseException:
        with contextlib.suppress(RedisError):
            wire.close()
        raise
    return wire
