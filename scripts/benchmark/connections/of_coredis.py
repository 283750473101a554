"""coredis: one connection or a few, many calls under way in each."""

from contextlib import AsyncExitStack
from typing import Any

# Installed by the benchmark into a folder of its own, for this process only.
from coredis import Redis  # type: ignore[import-not-found]
from coredis.retry import NoRetryPolicy  # type: ignore[import-not-found]

from benchmark.connections.ways import Way
from gate.store.hot_state import Call


async def connect(port: int, patience: float) -> Way:
    stack = AsyncExitStack()
    client = await stack.enter_async_context(
        Redis(
            host="127.0.0.1",
            port=port,
            stream_timeout=patience,
            connect_timeout=patience,
            retry_policy=NoRetryPolicy(),
        )
    )

    async def run(call: Call) -> Any:
        return await client.evalsha(call.script.sha, keys=call.keys, args=call.args)

    return Way(run, stack.aclose)
