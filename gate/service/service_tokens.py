"""Which service tokens the quota-check service accepts, and what each is trusted with."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gate.decision.check import QuotaUnavailable
from gate.service.alarms import Alarms
from gate.service.trust import IgnoredHeaders, Trust
from gate.terms import key_text

logger = logging.getLogger(__name__)

# A revoked token is refused within 5 s; half of that leaves room for a slow answer.
_FRESH_SECONDS = 2.0
_RETRY_SECONDS = 0.5
# A database that hangs must not take the checks down with it.
_LOAD_WITHIN_SECONDS = 0.4

LoadTokens = Callable[[], Awaitable[Mapping[str, Trust]]]
RecordIgnored = Callable[[Mapping[int, int]], Awaitable[None]]


class ServiceTokens:
    """A copy of the valid tokens that is never older than a few seconds.

    When PostgreSQL is away the last copy stays in use: nobody can revoke a token meanwhile.
    load: digests of the valid tokens, and what each is trusted with.
    record_ignored: writes down how many headers were ignored, by the number of the token.
    """

    def __init__(
        self,
        *,
        peppers: Sequence[key_text.Pepper],
        load: LoadTokens,
        record_ignored: RecordIgnored | None = None,
    ) -> None:
        self.alarms = Alarms()
        self.ignored = IgnoredHeaders(self.alarms)
        self._peppers = tuple(peppers)
        self._load = load
        self._record_ignored = record_ignored
        self._recording: asyncio.Future[None] | None = None
        # None until PostgreSQL has answered once.
        self._tokens: Mapping[str, Trust] | None = None
        self._refresh_at = 0.0
        self._lock = asyncio.Lock()
        # The digest of a token that was accepted before costs two HMACs a request otherwise.
        self._known: dict[str, tuple[str, ...]] = {}

    def are_fresh(self) -> bool:
        """Whether `trust_of` may be asked without waiting for a refresh."""
        return time.monotonic() < self._refresh_at

    def trust_of(self, token: str) -> Trust | None:
        """What the token is trusted with; None for one that may not ask for decisions.

        QuotaUnavailable when nobody can know.
        """
        candidates = self._known.get(token)
        if candidates is None:
            try:
                key_text.verify_service_token(token)
            except key_text.MalformedKey:
                return None
            candidates = tuple(key_text.digests(token, self._peppers))
        if self._tokens is None:
            raise QuotaUnavailable
        for candidate in candidates:
            trust = self._tokens.get(candidate)
            if trust is not None:
                self._known[token] = candidates
                return trust
        self._known.pop(token, None)
        return None

    async def refresh_if_due(self) -> None:
        """Read the tokens anew when the copy is too old."""
        if self.are_fresh():
            return
        async with self._lock:
            if self.are_fresh():
                return
            try:
                async with asyncio.timeout(_LOAD_WITHIN_SECONDS):
                    self._tokens = await self._load()
                self._refresh_at = time.monotonic() + _FRESH_SECONDS
                self._write_down_ignored()
            except Exception:
                logger.exception("service tokens could not be read; the last copy stays in use")
                self._refresh_at = time.monotonic() + _RETRY_SECONDS

    def _write_down_ignored(self) -> None:
        """Write down what was ignored, without anybody waiting for it."""
        if self._record_ignored is None or self._recording is not None:
            return
        counts = self.ignored.take()
        if counts:
            self._recording = asyncio.ensure_future(self._record(self._record_ignored, counts))

    async def _record(self, record: RecordIgnored, counts: dict[int, int]) -> None:
        try:
            await record(counts)
        except Exception:
            self.ignored.put_back(counts)
            logger.exception("ignored headers could not be written down; they are counted on")
        finally:
            self._recording = None
