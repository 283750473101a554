"""Requests a minute and at the same time: exact over HTTP and several processes."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F

from keys.models import ApiKey
from keys.projection import confirm
from quotas import catalogue
from quotas.models.plans import Plan
from tests.faults.caller import Reply
from tests.faults.conftest import Service
from tests.faults.customers import Customer, customer

pytestmark = pytest.mark.slow

UNLIMITED = "pro"
WINDOW_MS = 60_000


def limited(*, key: dict[str, int] | None = None, plan: dict[str, int] | None = None) -> Customer:
    """An account with two keys and no end of chats; limits of the first one, and of its plan."""
    Plan.objects.filter(slug=UNLIMITED).update(weekly_cap=None, **(plan or {}))
    catalogue.changed()
    buyer = customer(plan=UNLIMITED, keys=2)
    row = ApiKey.objects.filter(account=buyer.account).earliest("pk")
    ApiKey.objects.filter(pk=row.pk).update(version=F("version") + 1, **(key or {}))
    confirm(ApiKey.objects.get(pk=row.pk))
    return buyer


def all_at_once(service: Service, keys: Sequence[str], **asked: Any) -> list[list[Reply]]:
    """What 1,000 callers are told who ask once each, by key."""

    async def story() -> list[list[Reply]]:
        async with service.callers(1_000) as callers:
            return await asyncio.gather(
                *(
                    caller.check_until_decided(
                        keys[number % len(keys)], request_id=uuid4().hex, **asked
                    )
                    for number, caller in enumerate(callers)
                )
            )

    # What got no answer in time is asked again under its id, and counted once.
    replies = [answers[-1] for answers in asyncio.run(story())]
    return [replies[number :: len(keys)] for number in range(len(keys))]


def _told(reply: Reply) -> str:
    return str(reply.body.get("reason", reply.status))


def most_in_a_minute(moments: Sequence[int]) -> int:
    """The most that passed within any 60 seconds, by Valkey's clock."""
    return max(sum(at <= one <= at + WINDOW_MS for one in moments) for at in moments)


def test_a_thousand_callers_pass_exactly_as_often_as_the_accounts_minute_lets_them(
    service: Service, figures: Callable[[str], None]
) -> None:
    """And again when it is over, as Retry-After said."""
    buyer = limited(key={"requests_a_minute": 130}, plan={"requests_a_minute": 400})
    for round_ in (1, 2):
        of_key, of_other = all_at_once(service, buyer.keys)
        told = Counter(map(_told, (*of_key, *of_other)))
        assert told == {"ok": 400, "rate_limited": 600}
        assert sum(reply.is_granted for reply in of_key) <= 130
        moments = [entry.at_ms for entry in buyer.entries]
        assert len(moments) == 400 * round_
        refused = [reply for reply in (*of_key, *of_other) if not reply.is_granted]
        assert all(0 < reply.body["retry_after"] <= 61 for reply in refused)
        if round_ == 1:
            # The last one that passed leaves with its second.
            time.sleep(max(0.0, max(moments) // 1000 + 61 - time.time()))
    assert most_in_a_minute(moments) == 400
    waited = (moments[400] - moments[399]) / 1000
    figures(f"400 and 400 passed, the second ones {waited:.1f} s later")


def test_a_thousand_callers_pass_exactly_as_often_as_the_keys_minute_lets_them(
    service: Service,
) -> None:
    buyer = limited(key={"requests_a_minute": 130})
    of_key, of_other = all_at_once(service, buyer.keys)
    assert Counter(map(_told, of_key)) == {"ok": 130, "rate_limited": 370}
    assert Counter(map(_told, of_other)) == {"ok": 500}
    assert len(buyer.entries) == 630


def test_a_thousand_callers_hold_exactly_as_many_as_may_be_open(service: Service) -> None:
    buyer = limited(key={"requests_at_once": 40}, plan={"requests_at_once": 540})
    of_key, of_other = all_at_once(service, buyer.keys, hold_seconds=100)
    assert Counter(map(_told, of_key)) == {"ok": 40, "too_many_at_once": 460}
    assert Counter(map(_told, of_other)) == {"ok": 500}

    async def settled(replies: Sequence[Reply]) -> None:
        async with service.callers(len(replies)) as callers:
            for caller, reply in zip(callers, replies, strict=True):
                settling = {"charge_id": reply.body["charge_id"], "units": 1}
                assert (await caller.post("/quota/v1/settle", settling)).status == 200

    # Ten of the key's and twenty of the other's are done: exactly so many find room.
    done = [reply for reply in of_key if reply.is_granted][:10]
    asyncio.run(settled([*done, *of_other[:20]]))
    of_key, of_other = all_at_once(service, buyer.keys, hold_seconds=100)
    assert sum(reply.is_granted for reply in (*of_key, *of_other)) == 30
    assert sum(reply.is_granted for reply in of_key) <= 10
    assert {_told(reply) for reply in (*of_key, *of_other)} == {"ok", "too_many_at_once"}
    assert len(buyer.entries) == 30
