"""The quota decision as callers see it: check a key, refund a charge."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from redis.exceptions import RedisError

from gate import digest, hot_state, receipt, week
from gate.connection import HotClient
from gate.hot_state import AccountSnapshot, Answer, CatalogueSnapshot

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A check answers within 500 ms even when Valkey does not.
ANSWER_WITHIN_SECONDS = 0.45
# A cold account waits for PostgreSQL; it may take longer, but never for ever.
LOAD_WITHIN_SECONDS = 5.0
_CONCURRENT_LOADS = 16
_MISS_REMEMBERED_SECONDS = 5.0
_MISSES_REMEMBERED = 10_000


class QuotaUnavailable(Exception):
    """No decision can be made now; nothing is known to have been charged."""


class CannotRefund(Exception):
    """The charge is unknown or too old; `reason` says which, as a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RequestIdConflict(Exception):
    """The request id was used before for something else; nothing was charged."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    reason: "ok", "invalid_key", "suspended", "quota_exhausted" or "unknown_meter".
    Everything after `reason` is empty when the key is invalid.
    """

    allowed: bool
    reason: str
    handle: str = ""
    charge_id: str | None = None
    answer: Answer | None = None

    @property
    def resets_at(self) -> datetime | None:
        """When the allowance resets."""
        return None if self.answer is None else week.ends_at(self.answer.week)

    def seconds_to_reset(self, *, now_ms: int) -> int:
        """Whole seconds until the allowance resets, rounded up and never negative."""
        if self.answer is None:
            return 0
        return max(0, -(-(week.starts_ms(self.answer.week + 1) - now_ms) // 1000))


LoadAccount = Callable[[str], Awaitable[AccountSnapshot | None]]
LoadCatalogue = Callable[[int], Awaitable[tuple[int, CatalogueSnapshot]]]


def now_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1_000_000


class Gate:
    """Decides charges on the hot state.

    load_account: handle -> snapshot from PostgreSQL, None when there is no such account.
    load_catalogue: partition -> its epoch and the catalogue.
    """

    def __init__(
        self,
        *,
        client: HotClient,
        peppers: Sequence[digest.Pepper],
        load_account: LoadAccount,
        load_catalogue: LoadCatalogue,
    ) -> None:
        self._client = client
        self._peppers = tuple(peppers)
        self._load_account = load_account
        self._load_catalogue = load_catalogue
        self._loads: dict[str, asyncio.Future[bool]] = {}
        self._load_slots = asyncio.Semaphore(_CONCURRENT_LOADS)
        self._misses: dict[str, float] = {}

    async def check(
        self,
        *,
        key: str,
        meter: str = "chat",
        units: int = 1,
        request_id: str | None = None,
        at_ms: int | None = None,
    ) -> Decision:
        """Charge `units` of a meter to a key, or say why not; `units` 0 only looks.

        A request id that comes again within an hour gets the first answer again.
        Raises QuotaUnavailable, or RequestIdConflict when the id came with other content before.
        """
        try:
            handle = digest.handle_of(key)
        except digest.MalformedKey:
            return Decision(allowed=False, reason="invalid_key")
        at_ms = now_ms() if at_ms is None else at_ms
        call = hot_state.check_call(
            handle=handle,
            digests=digest.digests(key, self._peppers),
            meter=meter,
            units=units,
            request_id=request_id,
            now_ms=at_ms,
            week=week.week_of(at_ms),
        )
        reply = await self._run_warm(handle, call)
        if reply is None:
            return Decision(allowed=False, reason="invalid_key")
        answer = hot_state.read_answer(reply)
        if answer.status == "conflict":
            raise RequestIdConflict
        if answer.status == "invalid_key":
            return Decision(allowed=False, reason="invalid_key")
        if answer.status == "unknown_meter":
            return Decision(allowed=False, reason="unknown_meter", handle=handle)
        if answer.status != "ok":
            return Decision(allowed=False, reason=answer.status, handle=handle, answer=answer)
        charge_id = None
        if units:
            charge_id = receipt.to_charge_id(
                receipt.Receipt(
                    handle=handle,
                    entry_id=answer.entry_id,
                    at_ms=answer.at_ms,
                    week=answer.week,
                    key_id=answer.key_id,
                    meter=meter,
                    allowance=answer.allowance_taken,
                    boosts=answer.boosts_taken,
                    credits=answer.credits_taken,
                    credit_chats=answer.credits_taken // answer.credits_per_chat,
                ),
                self._peppers[0],
            )
        return Decision(
            allowed=True, reason="ok", handle=handle, charge_id=charge_id, answer=answer
        )

    async def refund(self, *, charge_id: str, at_ms: int | None = None) -> bool:
        """Give a charge back, once; False when it was given back before.

        Raises CannotRefund ("unknown_charge", "too_late") or QuotaUnavailable.
        """
        try:
            paid = receipt.from_charge_id(charge_id, self._peppers)
        except receipt.UnknownCharge as error:
            raise CannotRefund("unknown_charge") from error
        at_ms = now_ms() if at_ms is None else at_ms
        if at_ms - paid.at_ms > hot_state.REFUND_WINDOW_MS:
            raise CannotRefund("too_late")
        call = hot_state.refund_call(
            handle=paid.handle,
            entry_id=paid.entry_id,
            key_id=paid.key_id,
            meter=paid.meter,
            at_ms=paid.at_ms,
            charge_week=paid.week,
            allowance=paid.allowance,
            boosts=paid.boosts,
            credits=paid.credits,
            credit_chats=paid.credit_chats,
            week=week.week_of(at_ms),
        )
        reply = await self._run_warm(paid.handle, call)
        if reply is None:
            raise CannotRefund("unknown_charge")
        return bool(reply[0] == b"ok")

    async def _run_warm(self, handle: str, call: hot_state.Call) -> list[bytes] | None:
        """Run a call, loading the account first if it is cold; None when there is no account."""
        for _ in range(3):
            reply: list[bytes] = await self._run(call)
            if reply[0] == b"cold_catalogue":
                await self._once_catalogue(hot_state.partition_of(handle))
            elif reply[0] == b"cold":
                if not await self._once(handle, lambda: self._warm_account(handle)):
                    return None
            else:
                return reply
        logger.error("account %s stays cold after three loads", handle)
        raise QuotaUnavailable

    async def _run(self, call: hot_state.Call) -> Any:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                return await self._client.run(call)
        except (RedisError, OSError, TimeoutError) as error:
            # The arguments hold digests, so only the kind of failure is logged.
            logger.warning("valkey gave no answer: %s", type(error).__name__)
            raise QuotaUnavailable from None

    async def _once(self, name: str, load: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
        """Load something once, however many callers wait for it."""
        waiting = self._loads.get(name)
        if waiting is None:
            waiting = asyncio.ensure_future(load())
            self._loads[name] = waiting
            waiting.add_done_callback(lambda _: self._loads.pop(name, None))
        try:
            async with asyncio.timeout(LOAD_WITHIN_SECONDS):
                # One caller's time-out must not end the load that others wait for.
                return await asyncio.shield(waiting)
        except TimeoutError:
            raise QuotaUnavailable from None

    async def _warm_account(self, handle: str) -> bool:
        """Bring an account from PostgreSQL; False when there is none."""
        if self._misses.get(handle, 0.0) > time.monotonic():
            return False
        for _ in range(3):
            snapshot = await self._read(self._load_account(handle))
            if snapshot is None:
                self._remember_miss(handle)
                return False
            put = hot_state.put_account_call(snapshot)
            stored = await self._run(put)
            if stored == b"cold_catalogue":
                await self._once_catalogue(hot_state.partition_of(handle))
                stored = await self._run(put)
            if stored == b"stored":
                return True
        logger.error("account %s: its epoch changes faster than it loads", handle)
        raise QuotaUnavailable

    async def _once_catalogue(self, partition: int) -> None:
        await self._once(f"catalogue {partition}", lambda: self._warm_catalogue(partition))

    async def _warm_catalogue(self, partition: int) -> bool:
        epoch, catalogue = await self._read(self._load_catalogue(partition))
        await self._run(hot_state.put_catalogue_call(partition, epoch, catalogue))
        return True

    async def _read(self, load: Awaitable[T]) -> T:
        async with self._load_slots:
            try:
                return await load
            except Exception as error:
                logger.exception("PostgreSQL gave no answer")
                raise QuotaUnavailable from error

    def _remember_miss(self, handle: str) -> None:
        if len(self._misses) >= _MISSES_REMEMBERED:
            self._misses.clear()
        self._misses[handle] = time.monotonic() + _MISS_REMEMBERED_SECONDS
