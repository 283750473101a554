"""How far the drain is behind."""

import time
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings

from gate.store import connection, hot_state
from partitions.models import Partition


@dataclass(frozen=True, slots=True)
class Backlog:
    """Charges that are not in PostgreSQL yet, and how long the oldest of them waits."""

    entries: int
    oldest_seconds: float


def measure() -> Backlog:
    """The backlog of all partitions. RedisError when Valkey gives no answer."""
    client = connection.sync_client(settings.REDIS_URL)
    entries, oldest_ms = 0, None
    for partition in Partition.objects.order_by("index"):
        name = hot_state.stream_name(partition.index)
        length = client.xlen(name)
        if not length:
            continue
        first = cast(list[Any], client.xrange(name, min=f"({partition.drained_id}", count=1))
        if not first:
            continue
        entries += length
        at_ms = int(first[0][0].split(b"-")[0])
        oldest_ms = at_ms if oldest_ms is None else min(oldest_ms, at_ms)
    waited = 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)
    return Backlog(entries=entries, oldest_seconds=round(waited, 3))
