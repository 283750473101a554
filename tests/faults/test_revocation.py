"""A revoked key is refused by every process from the moment the page says so."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.utils import timezone

from keys.models import ApiKey
from keys.revoke import revoke_api_key
from tests.faults.caller import Caller
from tests.faults.conftest import PROCESSES, Service
from tests.faults.customers import Customer, customer

pytestmark = pytest.mark.slow

KEYS = 1_000


def _revoke(key: ApiKey) -> None:
    try:
        revoke_api_key(key=key, by=None, at=timezone.now())
    finally:
        connection.close()


class Revocations:
    """A thousand keys under load, revoked one after the other."""

    def __init__(self, service: Service, buyers: list[Customer]) -> None:
        self._service = service
        self._texts = [text for buyer in buyers for text in buyer.keys]
        rows = {row.last_four: [] for row in ApiKey.objects.all()}  # type: ignore[var-annotated]
        for row in ApiKey.objects.select_related("account"):
            rows[row.last_four].append(row)
        self._rows = [
            next(row for row in rows[text[-4:]] if row.account.handle == text[3:11])
            for text in self._texts
        ]
        self._revoked_at: dict[str, float] = {}
        self._ended = False
        self.accepted_before = 0
        self.accepted_after = 0
        self.refused_after = 0

    async def run(self) -> None:
        waiting = iter(range(KEYS))
        async with self._service.callers(4 * PROCESSES) as loaded:
            load = [asyncio.create_task(self._use_any(caller)) for caller in loaded]
            try:
                await asyncio.gather(*(self._revoke_next(waiting) for _ in range(4)))
            finally:
                self._ended = True
                await asyncio.gather(*load)

    async def _use_any(self, caller: Caller) -> None:
        while not self._ended:
            await self._use(caller, random.choice(self._texts))

    async def _revoke_next(self, waiting: Iterator[int]) -> None:
        revoke = sync_to_async(_revoke, thread_sensitive=False)
        async with self._service.callers(PROCESSES) as callers:
            for number in waiting:
                await revoke(self._rows[number])
                text = self._texts[number]
                self._revoked_at[text] = time.monotonic()
                await asyncio.gather(*(self._use(caller, text) for caller in callers))

    async def _use(self, caller: Caller, text: str) -> None:
        asked_at = time.monotonic()
        reply = await caller.check(text)
        # Asked before the revocation had returned, it may be accepted.
        if asked_at < self._revoked_at.get(text, float("inf")):
            self.accepted_before += reply.is_granted
        elif reply.status == 200:
            self.accepted_after += reply.is_granted
            self.refused_after += reply.body["reason"] == "invalid_key"


def test_a_thousand_revocations_hold_at_once_on_four_processes(
    service: Service, figures: Callable[[str], None]
) -> None:
    buyers = [customer(plan="pro", keys=KEYS // 4) for _ in range(4)]
    revocations = Revocations(service, buyers)
    began = time.monotonic()
    asyncio.run(revocations.run())
    seconds = time.monotonic() - began
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert revocations.accepted_before > 0
    assert revocations.accepted_after == 0
    assert revocations.refused_after > KEYS * PROCESSES * 0.9, "too few were asked after"
    figures(
        f"{KEYS} revocations in {seconds:.1f} s: {revocations.accepted_before} accepted before, "
        f"0 of {revocations.refused_after} after"
    )
