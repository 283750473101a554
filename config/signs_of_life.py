"""Signs that the processes give, so that the others know that they are there.

A sign lives for a while in the cache's server, and tells how far the clock of whoever gave it is
ahead of that server's. No age is reckoned from clocks of two machines.
"""

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from gate.store import connection

logger = logging.getLogger(__name__)

BEAT, GATE, SITE = "beat", "gate", "site"
# Who gives signs without being told to.
BY_THEMSELVES = (GATE, SITE, BEAT)
KEPT_SECONDS = 30
EVERY_SECONDS = 5.0
_PATIENCE_SECONDS = 0.4
_PREFIX = "alive:"


def give(name: str) -> None:
    """Show that somebody is alive. RedisError or OSError when the server gives no answer."""
    client = _client()
    asked_at = time.time()
    seconds, microseconds = client.time()
    ours = (asked_at + time.time()) / 2
    ahead_ms = round((ours - seconds) * 1000 - microseconds / 1000)
    client.set(_PREFIX + name, ahead_ms, ex=KEPT_SECONDS)


def keep_giving(name: str) -> None:
    """Show from now on that this process is alive, from a thread of its own."""

    def giving() -> None:
        while True:
            try:
                give(name)
            except (RedisError, OSError) as error:
                logger.warning("no sign of life given: %s", type(error).__name__)
            time.sleep(EVERY_SECONDS)

    threading.Thread(target=giving, name="sign-of-life", daemon=True).start()


def expected() -> list[str]:
    """Who gives signs: gate, site, beat, and whoever works off a queue of `site.heartbeat`."""
    entries: Iterable[dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE.values()
    return [
        *BY_THEMSELVES,
        *(entry["args"][0] for entry in entries if entry["task"] == "site.heartbeat"),
    ]


def seen() -> dict[str, float]:
    """Who gave a sign lately, and how many seconds ahead its clock is. RedisError or OSError."""
    names = expected()
    signs = _client().mget([_PREFIX + name for name in names])
    return {
        name: int(sign) / 1000 for name, sign in zip(names, signs, strict=True) if sign is not None
    }


def _client() -> Redis | RedisCluster:
    return connection.sync_client(settings.CACHE_URL, patience=_PATIENCE_SECONDS)
