"""A rotated key goes on under load: its new secret at once, its old one until it ends."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.utils import timezone

from keys.models import ApiKey
from keys.rotate import rotate_api_key
from tests.faults.caller import Caller
from tests.faults.conftest import PROCESSES, Service
from tests.faults.customers import Customer, customer

pytestmark = pytest.mark.slow

KEYS, ROTATIONS = 200, 1_000
AT_ONCE, A_MOMENT = timedelta(0), timedelta(seconds=1)
FOREVER = float("inf")


def _rotate(key: ApiKey, stays: timedelta) -> tuple[str, float]:
    """The new secret, and when the old one ends by the wall clock, which is Valkey's too."""
    try:
        rotated, text, is_confirmed = rotate_api_key(
            key=key, submission=uuid4(), stays=stays, by=None, at=timezone.now()
        )
        assert is_confirmed
        assert rotated.former_ends_at
        return text, rotated.former_ends_at.timestamp()
    finally:
        connection.close()


class Rotations:
    """Keys under load that are rotated again and again."""

    def __init__(self, service: Service, buyers: list[Customer]) -> None:
        self._service = service
        rows = {(row.account.handle, row.last_four): row for row in _keys()}
        texts = [text for buyer in buyers for text in buyer.keys]
        self._rows = [rows[text[3:11], text[-4:]] for text in texts]
        # Every secret of each key, the last one at the end.
        self._secrets = [[text] for text in texts]
        # From when on one may be refused, and from when on it must be; by the wall clock.
        self._may_end: dict[str, float] = {}
        self._has_ended: dict[str, float] = {}
        self._is_done = False
        self.granted = self.granted_by_former = self.refused = 0
        self.refused_wrongly = self.granted_wrongly = 0

    async def run(self) -> None:
        waiting = iter(range(ROTATIONS))
        async with self._service.callers(4 * PROCESSES) as loaded:
            load = [asyncio.create_task(self._use_any(caller)) for caller in loaded]
            try:
                await asyncio.gather(*(self._rotate_next(waiting) for _ in range(4)))
                # What was given a moment ends meanwhile.
                await asyncio.sleep(2 * A_MOMENT.total_seconds())
            finally:
                self._is_done = True
                await asyncio.gather(*load)

    async def _use_any(self, caller: Caller) -> None:
        while not self._is_done:
            await self._use(caller, random.choice(random.choice(self._secrets)[-3:]))

    async def _rotate_next(self, waiting: Iterator[int]) -> None:
        rotate = sync_to_async(_rotate, thread_sensitive=False)
        async with self._service.callers(PROCESSES) as callers:
            for number in waiting:
                # Four at a time are never of the same key.
                which = number % KEYS
                secrets, stays = self._secrets[which], random.choice((AT_ONCE, A_MOMENT))
                began = time.time()
                for text in secrets[:-1]:
                    self._may_end[text] = min(began, self._may_end[text])
                self._may_end[secrets[-1]] = began + stays.total_seconds()
                new, ends = await rotate(self._rows[which], stays)
                now = time.time()
                for text in secrets[:-1]:
                    self._has_ended[text] = min(now, self._has_ended[text])
                # Valkey knows it to the millisecond.
                self._has_ended[secrets[-1]] = max(now, ends + 0.001)
                secrets.append(new)
                asked = [self._use(caller, text) for caller in callers for text in secrets[-2:]]
                await asyncio.gather(*asked[::2])
                await asyncio.gather(*asked[1::2])

    async def _use(self, caller: Caller, text: str) -> None:
        asked_at = time.time()
        reply = await caller.check(text)
        answered_at = time.time()
        is_former = text in self._may_end
        if reply.is_granted:
            self.granted += 1
            self.granted_by_former += is_former
            self.granted_wrongly += asked_at >= self._has_ended.get(text, FOREVER)
        else:
            self.refused += 1
            self.refused_wrongly += answered_at < self._may_end.get(text, FOREVER)


def _keys() -> Iterator[ApiKey]:
    yield from ApiKey.objects.select_related("account")


def test_a_thousand_rotations_refuse_no_new_secret_and_let_no_old_one_in(
    service: Service, figures: Callable[[str], None]
) -> None:
    buyers = [customer(plan="pro", keys=KEYS // 4) for _ in range(4)]
    rotations = Rotations(service, buyers)
    began = time.monotonic()
    asyncio.run(rotations.run())
    seconds = time.monotonic() - began
    assert rotations.refused_wrongly == 0
    assert rotations.granted_wrongly == 0
    assert rotations.granted > ROTATIONS, "too few were let through"
    assert rotations.granted_by_former > 0
    assert rotations.refused > ROTATIONS, "too few were asked after their end"
    figures(
        f"{ROTATIONS} rotations in {seconds:.1f} s: {rotations.granted} granted, "
        f"{rotations.granted_by_former} of them by the former secret before its end; "
        f"{rotations.refused} refused, all of former ones after it"
    )
