"""Exactly what is there, and each request once, over HTTP and several processes."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast
from uuid import uuid4

import pytest
from django.conf import settings

from gate.store import hot_state
from gate.store.connection import sync_client
from gate.store.hot_state import Entry
from gate.store.layout import RECENT_AT_MOST
from quotas.models.ledger import Boost
from quotas.models.used import RefusalRollup
from quotas.usage import drain, refusals
from tests.faults.caller import Caller, Reply
from tests.faults.conftest import Service
from tests.faults.customers import Used, customer
from tests.faults.servers import Valkey

pytestmark = pytest.mark.slow

# 500 ms by the service's own clock; the rest is what this machine takes to schedule everybody.
ANSWERS_WITHIN_SECONDS = 0.9


def _paid(replies: Sequence[Reply]) -> Used:
    paid: Counter[str] = Counter()
    for reply in replies:
        assert reply.status == 200, reply
        if reply.body["allowed"]:
            paid.update(reply.body["paid_by"])
        else:
            assert reply.body["reason"] == "quota_exhausted"
    return Used(**paid)


def _assert_burn_order(entries: Sequence[Entry], *, allowance: int, boosts: dict[int, int]) -> None:
    """Nothing is taken from a source while the one before it has something left.

    boosts: chats by boost id, in the order in which they must be used.
    """
    for entry in entries:
        allowance -= entry.allowance
        for boost_id, chats in entry.boosts:
            boosts[boost_id] -= chats
        assert allowance >= 0
        assert min(boosts.values()) >= 0
        if entry.boosts:
            assert allowance == 0, "a boost paid while the allowance had something left"
        last = max((list(boosts).index(boost_id) for boost_id, _ in entry.boosts), default=0)
        assert not any(list(boosts.values())[:last]), "a later boost paid before an earlier one"
        if entry.credit_chats:
            assert allowance == 0
            assert not any(boosts.values()), "credits paid while a boost had something left"


async def _use(caller: Caller, key: str, units: Sequence[int]) -> list[list[Reply]]:
    return [
        await caller.check_until_decided(key, units=many, request_id=uuid4().hex) for many in units
    ]


def test_a_thousand_callers_get_exactly_what_is_there(
    service: Service, figures: Callable[[str], None]
) -> None:
    """2,000 chats of three sources; 5,000 are asked for, 3 at once and one by one."""
    buyer = customer(plan="core", boosts=[(700, 6), (300, 2)], credits=1_001)

    async def story() -> list[list[Reply]]:
        async with service.callers(1_000) as callers:
            used = await asyncio.gather(*(_use(caller, buyer.key, (3, 1, 1)) for caller in callers))
        return [replies for by_caller in used for replies in by_caller]

    began = time.monotonic()
    answers = asyncio.run(story())
    seconds = time.monotonic() - began
    paid = _paid([replies[-1] for replies in answers])
    assert paid == Used(allowance=500, boost=1_000, credits=1_000)

    soonest, latest = Boost.objects.filter(account=buyer.account).order_by("expires_at")
    entries = buyer.entries
    _assert_burn_order(entries, allowance=500, boosts={soonest.pk: 300, latest.pk: 700})
    assert len(entries) == sum(replies[-1].is_granted for replies in answers)
    drain.move_all()
    assert buyer.drained == paid
    asked = sum(map(len, answers))
    figures(f"{len(answers)} requests of 1,000 callers, {asked} with retries, in {seconds:.1f} s")


def test_forty_accounts_at_once_each_get_exactly_theirs(service: Service) -> None:
    buyers = [customer(boosts=[(20, 7)], credits=21) for _ in range(40)]

    async def story() -> list[list[Reply]]:
        async with service.callers(1_000) as callers:
            used = await asyncio.gather(
                *(
                    _use(caller, buyers[number % 40].key, (2, 1, 1))
                    for number, caller in enumerate(callers)
                )
            )
        return [
            [replies[-1] for by_caller in used[number::40] for replies in by_caller]
            for number in range(40)
        ]

    for buyer, replies in zip(buyers, asyncio.run(story()), strict=True):
        assert _paid(replies) == Used(allowance=50, boost=20, credits=20)
        boost = Boost.objects.get(account=buyer.account)
        _assert_burn_order(buyer.entries, allowance=50, boosts={boost.pk: 20})
    drain.move_all()
    assert {buyer.drained for buyer in buyers} == {Used(allowance=50, boost=20, credits=20)}


def test_fifty_repeats_at_once_are_one_charge(service: Service) -> None:
    buyer = customer()

    async def story() -> list[list[Reply]]:
        async with service.callers(50) as callers:
            return await asyncio.gather(
                *(
                    caller.check_until_decided(buyer.key, units=3, request_id="once")
                    for caller in callers
                )
            )

    answers = [replies[-1].body for replies in asyncio.run(story())]
    assert [answer == answers[0] for answer in answers] == [True] * 50
    assert [entry.allowance for entry in buyer.entries] == [3]


def test_a_retrying_client_is_charged_once_across_a_pause(
    service: Service,
    own_valkey: Valkey,
    figures: Callable[[str], None],
) -> None:
    """Valkey stands still for 0.8 s, five times; forty clients ask until they are answered."""
    buyer = customer(plan="core")
    asyncio.run(service.until_it_decides(buyer.key))
    waits: list[float] = []
    granted = unanswered = 0
    for _ in range(5):

        async def story() -> list[list[Reply]]:
            async with service.callers(40) as callers:
                # Connected before, as a gateway is.
                await asyncio.gather(*(caller.check(buyer.key, units=0) for caller in callers))
                own_valkey.freeze()
                thaw = threading.Timer(0.8, own_valkey.thaw)
                thaw.start()
                try:
                    return await asyncio.gather(
                        *(
                            caller.check_until_decided(buyer.key, request_id=uuid4().hex)
                            for caller in callers
                        )
                    )
                finally:
                    thaw.join()

        answers = asyncio.run(story())
        granted += sum(replies[-1].is_granted for replies in answers)
        unanswered += sum(len(replies) - 1 for replies in answers)
        waits += [reply.seconds for replies in answers for reply in replies]
    assert granted == 200
    assert unanswered >= 200, "the pause was not noticed"
    assert sum(entry.allowance for entry in buyer.entries) == 200
    assert max(waits) < ANSWERS_WITHIN_SECONDS
    figures(f"200 requests charged once, {unanswered} answers of 503, slowest {max(waits):.3f} s")


async def _use_in_batches(service: Service, key: str, many: int) -> Counter[str]:
    """Reasons of that many decisions, 100 a call; what got no decision is asked for again."""
    reasons: Counter[str] = Counter()
    async with service.callers(8) as callers:

        async def batches(number: int) -> None:
            for _ in range(number, many // 100, len(callers)):
                checks = [{"key": key, "request_id": uuid4().hex} for _ in range(100)]
                while checks:
                    decisions = await callers[number].check_many(checks)
                    for decision in decisions:
                        problem = decision.get("problem", {})
                        reasons[decision.get("reason") or problem["code"]] += 1
                    checks = [
                        check
                        for check, decision in zip(checks, decisions, strict=True)
                        if "problem" in decision
                    ]

        await asyncio.gather(*map(batches, range(len(callers))))
    return reasons


def test_ten_thousand_refusals_change_nothing(
    service: Service, figures: Callable[[str], None]
) -> None:
    buyer = customer()

    def use(many: int) -> Counter[str]:
        reasons = asyncio.run(_use_in_batches(service, buyer.key, many))
        unanswered.update(reasons.pop("quota_unavailable", 0) * ["quota_unavailable"])
        return reasons

    unanswered: Counter[str] = Counter()
    assert use(100) == {"ok": 50, "quota_exhausted": 50}
    client = sync_client(settings.REDIS_URL)
    account_name = hot_state.keys_of(buyer.account.handle).account

    def decides() -> dict[bytes, bytes]:
        """What the account has and used; the last refusals stand beside it, for people."""
        shown = (b"refused", b"f:")
        told = cast(dict[bytes, bytes], client.hgetall(account_name))
        return {name: value for name, value in told.items() if not name.startswith(shown)}

    before = decides()
    began = time.monotonic()
    assert use(10_000) == {"quota_exhausted": 10_000}
    seconds = time.monotonic() - began

    assert decides() == before
    # However many there are, so many places and what tells which is next.
    assert client.hlen(account_name) == len(before) + RECENT_AT_MOST + 1
    # One count an hour; the hour may have turned meanwhile.
    counts = client.hlen(hot_state.refusals_name(buyer.account.partition_index))
    assert counts <= 2
    assert len(buyer.entries) == 50

    buyer.buy_boost(500)
    assert use(1_000) == {"ok": 500, "quota_exhausted": 500}
    counted = refusals.move_all()
    assert 10_550 <= counted <= 10_550 + unanswered.total()
    assert sum(RefusalRollup.objects.values_list("refusals", flat=True)) == counted
    assert set(RefusalRollup.objects.values_list("reason", flat=True)) == {"quota_exhausted"}
    assert refusals.move_all() == 0
    drain.move_all()
    assert buyer.drained == Used(allowance=50, boost=500)
    figures(f"10,000 refusals in {seconds:.1f} s, {counts} counts in memory")
