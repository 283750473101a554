"""Clients of Valkey, for the hot path and for everybody else, on one server or on a cluster."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's own name
    MovedError,
    NoScriptError,
    TimeoutError,  # noqa: A004 - the same
    TryAgainError,
)
from redis.retry import Retry

from gate.store.hot_state import Call, partition_of_call
from gate.store.wire import Wire, connect

# Below the time a check has to answer in. Nothing is retried here: a repeated charge would count
# twice, and whoever may repeat safely does so knowingly.
_HOT_TIMEOUT_SECONDS = 0.4
_TIMEOUT_SECONDS = 2.0
# A slot that moves makes a few redirects; each of them means that the call was not run.
_REDIRECTS_AT_MOST = 40
_TRY_AGAIN_SECONDS = 0.01

# Answers that say that the call was not run: it may be sent again, elsewhere or with its text.
NOT_RUN = (NoScriptError, MovedError, AskError, TryAgainError, ClusterDownError)

# Told the run id of a server that was not seen before; raises when it must not be used.
NewServer = Callable[[str], Awaitable[None]]


@cache
def sync_client(url: str, *, patience: float | None = None) -> Redis | RedisCluster:
    """The client that pages, tasks and commands of this process share; safe among threads.

    Asks the server once whether it belongs to a cluster; RedisError when there is no answer.
    patience: seconds that a server may take to answer, 2 unless told otherwise.
    """
    timeout = _TIMEOUT_SECONDS if patience is None else patience
    single = Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
    )
    if not single.info("cluster").get("cluster_enabled"):
        return single
    single.close()
    return RedisCluster.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)


def server_ms(client: Redis | RedisCluster, name: str) -> int:
    """Milliseconds since 1970 by the clock of the server that holds a name."""
    server: Any = client
    if isinstance(client, RedisCluster):
        server = client.get_node_from_key(name).redis_connection  # type: ignore[no-untyped-call]
    seconds, microseconds = server.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


class HotClient:
    """Runs script calls for one event loop, many in one round trip.

    It begins with one address. A cluster answers where else a partition lives; that is remembered,
    and forgotten when the server there gives no answer, so that a new owner can be learned.
    """

    def __init__(
        self, url: str, *, new_server: NewServer | None = None, patience: float | None = None
    ) -> None:
        self._seed = url
        self._new_server = new_server
        # Seconds that a server may take to answer.
        self._patience = _HOT_TIMEOUT_SECONDS if patience is None else patience
        self._lines: dict[str, _Line] = {}
        self._owners: dict[int, str] = {}

    async def run(self, call: Call) -> Any:
        """The answer to a call. Raises RedisError or OSError when there is none."""
        partition = partition_of_call(call)
        asking: str | None = None
        for _ in range(_REDIRECTS_AT_MOST):
            address = asking or self._owners.get(partition, self._seed)
            line = self._lines.get(address) or self._open(address)
            try:
                return await line.run(call, asking=asking is not None)
            except MovedError as moved:
                self._owners[partition] = self._address(moved.host, moved.port)
                asking = None
            except AskError as ask:
                asking = self._address(ask.host, ask.port)
            except (TryAgainError, ClusterDownError):
                asking = None
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            except (ConnectionError, TimeoutError, OSError):
                self._forget(partition)
                raise
        raise ClusterDownError("a partition was redirected again and again")

    def send(self, call: Call) -> "asyncio.Future[Any] | None":
        """Send a call where a connection is open already; None where only `run` can.

        The answer may be an error that says that the call was not run: see `NOT_RUN`.
        """
        address = self._seed
        if self._owners:
            address = self._owners.get(partition_of_call(call), address)
        line = self._lines.get(address)
        return None if line is None else line.send(call)

    async def aclose(self) -> None:
        """Close the connections."""
        for line in self._lines.values():
            await line.aclose()

    def _open(self, address: str) -> "_Line":
        line = self._lines[address] = _Line(address, self._new_server, self._patience)
        return line

    def _address(self, host: str, port: int) -> str:
        parts = urlsplit(self._seed)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}{host}:{port}"))

    def _forget(self, partition: int) -> None:
        """Ask another server next time: this one may have lost the partition, or be gone."""
        silent = self._owners.pop(partition, self._seed)
        others = [address for address in self._lines if address != silent]
        if others and silent == self._seed:
            self._owners[partition] = random.choice(others)  # noqa: S311 - any of them knows


class _Line:
    """The connection to one server: opened when it is needed, and again when it was lost."""

    def __init__(self, url: str, new_server: NewServer | None, patience: float) -> None:
        self._url = url
        self._patience = patience
        self._new_server = new_server
        self._verified: str | None = None
        self._wire: Wire | None = None
        self._opening: asyncio.Future[Wire] | None = None

    def send(self, call: Call) -> "asyncio.Future[Any] | None":
        wire = self._wire
        if wire is None or not wire.is_open:
            return None
        return wire.send(call.packed())

    async def run(self, call: Call, *, asking: bool = False) -> Any:
        wire = self._wire
        if wire is None or not wire.is_open:
            wire = await self._open()
        if asking:
            wire.call("ASKING").add_done_callback(_forget_outcome)
        try:
            return await wire.send(call.packed())
        except NoScriptError:
            # A Valkey that lost its scripts ran nothing: the call is sent again with its text.
            if asking:
                wire.call("ASKING").add_done_callback(_forget_outcome)
            return await wire.send(call.packed_with_text())

    async def aclose(self) -> None:
        if self._wire is not None:
            self._wire.close()

    async def _open(self) -> Wire:
        """The one connection, however many callers want it at once."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(
                connect(self._url, patience=self._patience, greet=self._greet)
            )
            self._opening.add_done_callback(self._opened)
        # One caller's time-out must not end what others wait for.
        return await asyncio.shield(self._opening)

    def _opened(self, opening: "asyncio.Future[Wire]") -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._wire = opening.result()

    async def _greet(self, wire: Wire) -> None:
        """Look at a server before the first call goes to it.

        A server that was started anew may hold an older copy of the data, which nothing in the data
        itself would show.
        """
        if self._new_server is None:
            return
        info: bytes = await wire.call("INFO", "server")
        run_id = info.partition(b"run_id:")[2].partition(b"\r\n")[0].decode()
        if run_id != self._verified:
            try:
                await self._new_server(run_id)
            except Exception as error:
                # Whatever is wrong with it, to who waits this server is as good as away.
                raise ConnectionError("the server cannot be used yet") from error
            self._verified = run_id


def _forget_outcome(answer: "asyncio.Future[Any]") -> None:
    """Nobody waits for this answer; the call after it tells what matters."""
    if not answer.cancelled():
        answer.exception()
