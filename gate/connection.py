"""Clients of Valkey, for the hot path and for everybody else."""

import asyncio
from collections import deque
from functools import cache
from typing import Any

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from gate.hot_state import Call

# Below the time a check has to answer in. Nothing is retried here: a repeated charge would count
# twice, and whoever may repeat safely does so knowingly.
_HOT_TIMEOUT_SECONDS = 0.4
_TIMEOUT_SECONDS = 2.0
# Two pipelines under way: one is written while the other one's answers are read.
_PIPELINES = 2
_CALLS_IN_A_PIPELINE = 256


@cache
def sync_client(url: str) -> Redis:
    """The client that pages, tasks and commands of this process share; safe among threads."""
    return Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class HotClient:
    """Runs script calls for one event loop, many in one round trip.

    Calls that arrive while a pipeline is under way leave together in the next one, so that the cost
    of a round trip is shared by whoever waits. Each call is still decided on its own.
    """

    def __init__(self, url: str) -> None:
        self._client = AsyncRedis(
            connection_pool=BlockingConnectionPool.from_url(
                url,
                max_connections=_PIPELINES,
                timeout=_HOT_TIMEOUT_SECONDS,
                socket_timeout=_HOT_TIMEOUT_SECONDS,
                socket_connect_timeout=_HOT_TIMEOUT_SECONDS,
                retry=AsyncRetry(NoBackoff(), 0),
            )
        )
        self._waiting: deque[tuple[Call, asyncio.Future[Any]]] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def run(self, call: Call) -> Any:
        """The answer to a call. Raises RedisError or OSError when there is none."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, answer))
        if len(self._senders) < _PIPELINES:
            sender = asyncio.create_task(self._send())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        return await answer

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
        await self._client.connection_pool.aclose()

    async def _send(self) -> None:
        while self._waiting:
            batch = [
                self._waiting.popleft()
                for _ in range(min(len(self._waiting), _CALLS_IN_A_PIPELINE))
            ]
            # A caller that went away before its call was sent is not charged.
            batch = [(call, answer) for call, answer in batch if not answer.done()]
            try:
                replies = await self._execute([call for call, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must know
                replies = [error] * len(batch)
            for (_, answer), reply in zip(batch, replies, strict=True):
                if answer.done():
                    continue
                if isinstance(reply, Exception):
                    answer.set_exception(reply)
                else:
                    answer.set_result(reply)

    async def _execute(self, calls: list[Call], *, by_text: bool = False) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            if by_text:
                pipeline.eval(call.script.text, len(call.keys), *call.keys, *call.args)
            else:
                pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
        replies = await pipeline.execute(raise_on_error=False)
        # A Valkey that lost its scripts ran none of these: they are sent again with their text.
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown and not by_text:
            repeated = await self._execute([calls[at] for at in unknown], by_text=True)
            for at, reply in zip(unknown, repeated, strict=True):
                replies[at] = reply
        return replies
