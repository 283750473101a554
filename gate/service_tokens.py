"""Which service tokens the quota-check service accepts."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from gate import digest
from gate.check import QuotaUnavailable

logger = logging.getLogger(__name__)

# A revoked token is refused within 5 s; half of that leaves room for a slow answer.
_FRESH_SECONDS = 2.0
_RETRY_SECONDS = 0.5
# A database that hangs must not take the checks down with it.
_LOAD_WITHIN_SECONDS = 0.4

LoadDigests = Callable[[], Awaitable[frozenset[str]]]


class ServiceTokens:
    """A copy of the valid tokens' digests that is never older than a few seconds.

    When PostgreSQL is away the last copy stays in use: nobody can revoke a token meanwhile.
    """

    def __init__(self, *, peppers: Sequence[digest.Pepper], load: LoadDigests) -> None:
        self._peppers = tuple(peppers)
        self._load = load
        # None until PostgreSQL has answered once.
        self._digests: frozenset[str] | None = None
        self._refresh_at = 0.0
        self._lock = asyncio.Lock()
        # The digest of a token that was accepted before costs two HMACs a request otherwise.
        self._known: dict[str, tuple[str, ...]] = {}

    def are_fresh(self) -> bool:
        """Whether `accepts` may be asked without waiting for a refresh."""
        return time.monotonic() < self._refresh_at

    def accepts(self, token: str) -> bool:
        """Whether the token may ask for decisions. QuotaUnavailable when nobody can know."""
        candidates = self._known.get(token)
        if candidates is None:
            try:
                digest.verify_service_token(token)
            except digest.MalformedKey:
                return False
            candidates = tuple(digest.digests(token, self._peppers))
        if self._digests is None:
            raise QuotaUnavailable
        if self._digests.isdisjoint(candidates):
            self._known.pop(token, None)
            return False
        self._known[token] = candidates
        return True

    async def refresh_if_due(self) -> None:
        """Read the digests anew when the copy is too old."""
        if self.are_fresh():
            return
        async with self._lock:
            if self.are_fresh():
                return
            try:
                async with asyncio.timeout(_LOAD_WITHIN_SECONDS):
                    self._digests = await self._load()
                self._refresh_at = time.monotonic() + _FRESH_SECONDS
            except Exception:
                logger.exception("service tokens could not be read; the last copy stays in use")
                self._refresh_at = time.monotonic() + _RETRY_SECONDS
