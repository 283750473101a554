"""The gate with the loaders of production, for tests that are not asynchronous."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from config.reading import in_thread
from gate.decision.check import Decision
from gate.store.charges import Kept
from gate.store.hot_state import Tokens
from gate.store.snapshots import AccountSnapshot
from gate.terms import week
from quotas.projection import load_accounts
from tests.patience import LONGEST_SECONDS
from tests.patient_gate import gate_by, patient_client

T = TypeVar("T")

_AT_ONCE = 50


class LiveGate:
    """Asks a gate that lives in an event loop of its own, as the hot path does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # The handles of each look-up in PostgreSQL, and how long the way there takes.
        self.looked_up: list[Sequence[str]] = []
        self.way_seconds = 0.0
        self._client = patient_client()
        self._gate = gate_by(self._client, load_accounts=self._load_accounts)

    def check(
        self, key: str, units: int = 1, *, at: datetime | None = None, **more: Any
    ) -> Decision:
        """One decision."""
        return self._answer(self._gate.check(key=key, units=units, at_ms=_ms(at), **more))

    def use(self, key: str, chats: int, *, at: datetime | None = None) -> list[Decision]:
        """So many chats at once, each a charge of its own; every one must be accepted."""

        async def use(chats: int) -> list[Decision]:
            return await asyncio.gather(
                *(self._gate.check(key=key, at_ms=_ms(at)) for _ in range(chats)),
            )

        decisions: list[Decision] = []
        while len(decisions) < chats:
            # A busy machine must not make the last of many wait longer than a check may.
            decisions += self._answer(use(min(_AT_ONCE, chats - len(decisions))))
        assert all(decision.allowed for decision in decisions)
        return decisions

    def check_at_once(self, keys: Sequence[str]) -> list[Decision]:
        """One decision for each key, asked in this order and all before the first answer."""

        async def check() -> list[Decision]:
            return await asyncio.gather(*(self._gate.check(key=key) for key in keys))

        return self._answer(check())

    def refund(self, decision: Decision, *, at: datetime | None = None) -> Kept:
        """Give back what a decision charged."""
        assert decision.charge_id is not None
        return self._answer(self._gate.refund(charge_id=decision.charge_id, at_ms=_ms(at)))

    def settle(
        self,
        decision: Decision,
        units: int,
        *,
        tokens: Tokens | None = None,
        at: datetime | None = None,
    ) -> Kept:
        """Keep so many units of a hold. Raises CannotSettle."""
        assert decision.charge_id is not None
        return self._answer(
            self._gate.settle(
                charge_id=decision.charge_id, units=units, tokens=tokens, at_ms=_ms(at)
            )
        )

    def close(self) -> None:
        """Close the connections."""
        self._answer(self._client.aclose())

    async def _load_accounts(self, handles: Sequence[str]) -> dict[str, AccountSnapshot]:
        self.looked_up.append(handles)
        await asyncio.sleep(self.way_seconds)
        return await in_thread(load_accounts)(handles)

    def _answer(self, question: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(LONGEST_SECONDS)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else week.to_ms(at)


@contextmanager
def live_gate() -> Iterator[LiveGate]:
    """A gate until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="gate")
    thread.start()
    try:
        gate = LiveGate(loop)
        yield gate
        gate.close()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(
            LONGEST_SECONDS
        )
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
