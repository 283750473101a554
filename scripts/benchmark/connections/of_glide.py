"""valkey-glide: a core in Rust with one connection, many calls under way in it."""

from typing import Any

# Installed by the benchmark into a folder of its own, for this process only.
from glide import (  # type: ignore[import-not-found]
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
)

from benchmark.connections.ways import Way
from gate.store.hot_state import Call


async def connect(port: int, patience: float) -> Way:
    client = await GlideClient.create(
        GlideClientConfiguration(
            [NodeAddress("127.0.0.1", port)], request_timeout=int(patience * 1000)
        )
    )

    async def run(call: Call) -> Any:
        # It takes texts only.
        words = ["EVALSHA", call.script.sha, str(len(call.keys)), *call.keys, *map(str, call.args)]
        return await client.custom_command(words)

    return Way(run, client.close)
