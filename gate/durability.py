"""Whether a Valkey or Redis keeps what it is told: quota that may be forgotten is not exact."""

from typing import cast

from redis import Redis
from redis.exceptions import BusyLoadingError, ResponseError


def why_forgetful(client: Redis) -> list[str]:
    """What makes this server unfit, in sentences; empty when it keeps everything.

    Managed servers may refuse CONFIG; what cannot be read counts as unfit. BusyLoadingError while
    the server loads its data.
    """
    memory = client.info("memory")
    persistence = client.info("persistence")
    if persistence.get("loading"):
        # Until then it says that it has no append-only file.
        raise BusyLoadingError("the server still loads its data")
    reasons = []
    if memory.get("maxmemory_policy") != "noeviction":
        reasons.append("it may evict keys (set maxmemory-policy noeviction)")
    if not persistence.get("aof_enabled"):
        reasons.append("it has no append-only file (set appendonly yes)")
        return reasons
    try:
        fsync = cast(dict[str, str], client.config_get("appendfsync")).get("appendfsync")
    except ResponseError:
        fsync = None
    if fsync != "always":
        reasons.append("it may lose acknowledged writes (set appendfsync always)")
    return reasons
