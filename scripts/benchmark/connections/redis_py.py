"""redis-py's asyncio client with hiredis: a pool, a connection for each call that is under way."""

from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from benchmark.connections.ways import Way
from gate.store.hot_state import Call

# As many as there are callers; more wait for one.
_CONNECTIONS = 32


async def connect(port: int, patience: float) -> Way:
    client = Redis.from_pool(
        BlockingConnectionPool(
            host="127.0.0.1",
            port=port,
            max_connections=_CONNECTIONS,
            timeout=patience,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 0),
        )
    )

    async def run(call: Call) -> Any:
        return await client.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)

    return Way(run, client.aclose)
