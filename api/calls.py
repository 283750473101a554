"""Calls to models, held: paid for when their answer was delivered, given back in every other case.

A call takes what it costs as a hold. While the answer is made the hold is extended again and again,
never for long, so that what a process held that was killed comes back soon, by Valkey's clock.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from gate.decision.check import (
    CannotExtend,
    CannotSettle,
    Decision,
    Gate,
    QuotaUnavailable,
    TooManyHolds,
)
from gate.service.http import Problem
from gate.service.refusals import refusal
from gate.store.hot_state import Tokens

logger = logging.getLogger(__name__)

HOLD_SECONDS = 60
# Between two attempts to settle; Valkey may be started again meanwhile.
_AGAIN_SECONDS = 0.5


class Call:
    """One call under way: what was decided, and what becomes of the hold.

    was_given_back: whether it is known that nothing was charged; False while it is not over.
    """

    def __init__(self, gate: Gate, decision: Decision, *, units: int, hold_seconds: int) -> None:
        assert decision.charge_id is not None
        self.decision = decision
        self.was_given_back = False
        self._gate = gate
        self._charge_id = decision.charge_id
        self._units = units
        self._hold_seconds = hold_seconds
        self._tokens: Tokens | None = None
        self._is_delivered = False

    def deliver(self, tokens: Tokens) -> None:
        """The answer is with the customer, as far as they wanted it: it is paid for."""
        self._is_delivered = True
        self._tokens = tokens

    @property
    def what_became(self) -> str:
        """What to tell a customer whose call failed."""
        if self.was_given_back:
            return "It was not counted."
        # Nothing is known for certain, but the hold runs out.
        minutes = -(-self._hold_seconds // 60)
        within = "a minute" if minutes == 1 else f"{minutes} minutes"
        return f"What it would have cost is given back within {within}."

    async def extend(self) -> None:
        """Keep the hold for as long as this is awaited."""
        while True:
            await asyncio.sleep(self._hold_seconds / 3)
            try:
                await self._gate.extend(charge_id=self._charge_id, hold_seconds=self._hold_seconds)
            except QuotaUnavailable:
                continue
            except CannotExtend:
                # `end` says what came of it.
                return

    async def end(self) -> None:
        """Keep what the call costs, or give it back. QuotaUnavailable while Valkey is away."""
        if not self._is_delivered:
            await self._gate.refund(charge_id=self._charge_id)
            self.was_given_back = True
            return
        try:
            await self._gate.settle(
                charge_id=self._charge_id, units=self._units, tokens=self._tokens
            )
        except CannotSettle as error:
            # Valkey was away for longer than the hold, or was emptied.
            logger.error("an answer was delivered and not charged: %s", error.reason)


class Calls:
    """Every call of this process that is under way.

    hold_seconds: how long what a call costs stays away when the process is killed.
    """

    def __init__(self, gate: Gate, *, hold_seconds: int) -> None:
        self._gate = gate
        self._hold_seconds = hold_seconds
        # Calls that are held, and what ends them.
        self._under_way: set[Call | asyncio.Task[None]] = set()
        self._none_is = asyncio.Event()
        self._none_is.set()

    @asynccontextmanager
    async def held(
        self,
        *,
        key: str,
        meter: str,
        units: int,
        address: str,
        shown_id: str,
        tag: str,
        model: str,
        billing_url: str,
    ) -> AsyncIterator[Call]:
        """Hold what a call costs, until the end of the block. Problem for a refusal.

        A block that ends without `Call.deliver`, however it ends, gives all of it back. shown_id,
        tag and model are what is recorded of it, see `Gate.check`.
        """
        try:
            decision = await self._gate.check(
                key=key,
                meter=meter,
                units=units,
                address=address,
                hold_seconds=self._hold_seconds,
                shown_id=shown_id,
                tag=tag,
                model=model,
            )
        except TooManyHolds:
            raise _too_many() from None
        if not decision.allowed:
            raise refusal(decision, billing_url=billing_url)
        call = Call(self._gate, decision, units=units, hold_seconds=self._hold_seconds)
        self._add(call)
        extending = asyncio.create_task(call.extend())
        try:
            yield call
        finally:
            extending.cancel()
            ending = self._end(call)
            self._remove(call)
            # Whoever is cancelled here still ends the call.
            await asyncio.shield(ending)

    def _end(self, call: Call) -> "asyncio.Task[None]":
        """End a call; what Valkey does not take at once is tried again without anybody waiting."""
        return self._begin(self._end_once(call))

    async def _end_once(self, call: Call) -> None:
        try:
            await call.end()
        except QuotaUnavailable:
            self._begin(self._end_in_the_end(call))

    async def _end_in_the_end(self, call: Call) -> None:
        # A hold is over after its time, by a clock that may have stood still.
        for _ in range(int(2 * self._hold_seconds / _AGAIN_SECONDS)):
            await asyncio.sleep(_AGAIN_SECONDS)
            try:
                await call.end()
            except QuotaUnavailable:
                continue
            return
        logger.error("a call could not be ended: the gate gave no answer")

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._add(task)
        task.add_done_callback(self._remove)
        return task

    def _add(self, what: "Call | asyncio.Task[None]") -> None:
        self._under_way.add(what)
        self._none_is.clear()

    def _remove(self, what: "Call | asyncio.Task[None]") -> None:
        self._under_way.discard(what)
        if not self._under_way:
            self._none_is.set()

    async def all_ended(self, *, within_seconds: float) -> None:
        """Wait until what was delivered is kept and the rest is given back, as far as it goes."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._none_is.wait()
        except TimeoutError:
            logger.error("%s calls were not ended; their holds run out", len(self._under_way))


def _too_many() -> Problem:
    return Problem(
        429,
        "too_many_holds",
        "1,000 answers are being made for this account. Wait until some are done.",
        headers=[(b"retry-after", b"5")],
    )
