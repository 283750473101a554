"""Whether a Valkey or Redis keeps what it is told: quota that may be forgotten is not exact."""

import time
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import BusyLoadingError, ResponseError


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What one server says of itself.

    forgetful: what makes it unfit, in sentences; empty when it keeps everything.
    evicted: records that it threw away since it was started.
    clock_ahead_seconds: of this machine's clock before the server's; the way there is halved.
    """

    forgetful: tuple[str, ...]
    evicted: int
    clock_ahead_seconds: float


def examine(client: Redis) -> Examined:
    """Ask a server about itself, in one round trip.

    Managed servers may refuse CONFIG; what cannot be read counts as unfit. BusyLoadingError while
    the server loads its data.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.info()
        pipe.config_get("appendfsync")
        pipe.time()
        asked_at = time.time()
        info, fsync, now = pipe.execute(raise_on_error=False)
        answered_at = time.time()
    for answer in (info, now):
        if isinstance(answer, Exception):
            raise answer
    if info.get("loading"):
        # Until then it says that it has no append-only file.
        raise BusyLoadingError("the server still loads its data")
    seconds, microseconds = now
    ours = (asked_at + answered_at) / 2
    return Examined(
        forgetful=tuple(_why_forgetful(info, fsync)),
        evicted=int(info.get("evicted_keys", 0)),
        clock_ahead_seconds=ours - (seconds + microseconds / 1_000_000),
    )


def _why_forgetful(info: dict[str, Any], fsync: dict[str, str] | Exception) -> list[str]:
    reasons = []
    if info.get("maxmemory_policy") != "noeviction":
        reasons.append("it may evict keys (set maxmemory-policy noeviction)")
    if not info.get("aof_enabled"):
        reasons.append("it has no append-only file (set appendonly yes)")
        return reasons
    if isinstance(fsync, Exception) and not isinstance(fsync, ResponseError):
        raise fsync
    if isinstance(fsync, Exception) or fsync.get("appendfsync") != "always":
        reasons.append("it may lose acknowledged writes (set appendfsync always)")
    return reasons
