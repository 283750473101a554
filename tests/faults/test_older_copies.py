"""Valkey restored from an older copy, emptied or without its scripts.

The bound on what is granted twice: what was charged and not drained when the data was lost. The
worker drains every second, so that is about a second of charges.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Account
from gate.store.hot_state import partition_of
from gate.terms import key_text
from keys.issue import issue_api_key
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from quotas import catalogue
from quotas.usage import drain
from tests.faults.caller import Caller, Reply
from tests.faults.conftest import Service
from tests.faults.customers import Customer, Used, customer
from tests.faults.servers import Valkey

pytestmark = pytest.mark.slow


def _ask(service: Service, story: Callable[[Caller], Any]) -> Any:
    """Run a story with one caller, once every process decides again."""

    async def run() -> Any:
        await service.until_it_decides("sk_nobody")
        async with service.callers(1) as (caller,):
            return await story(caller)

    return asyncio.run(run())


def _charge(service: Service, key: str, times: int) -> list[Reply]:
    """That many chats, one after the other; each is decided."""

    async def story(caller: Caller) -> list[Reply]:
        return [
            (await caller.check_until_decided(key, request_id=f"{key[-6:]}-{next(_NUMBERS)}"))[-1]
            for _ in range(times)
        ]

    replies: list[Reply] = _ask(service, story)
    return replies


def _refund(service: Service, charge_id: str) -> dict[str, Any]:
    async def story(caller: Caller) -> dict[str, Any]:
        reply = await caller.post("/quota/v1/refund", {"charge_id": charge_id})
        assert reply.status == 200, reply
        return reply.body

    answer: dict[str, Any] = _ask(service, story)
    return answer


def _granted(replies: list[Reply]) -> int:
    assert {reply.status for reply in replies} == {200}
    return sum(reply.is_granted for reply in replies)


_NUMBERS = iter(range(1_000_000))


def _flush(valkey: Valkey) -> None:
    with valkey.client as client:
        client.flushall()


def _start_empty(valkey: Valkey) -> None:
    valkey.start_from(None)


@pytest.mark.parametrize("lose", [_flush, _start_empty], ids=["FLUSHALL", "an empty server"])
def test_an_emptied_valkey_forgets_only_what_was_not_drained(
    lose: Callable[[Valkey], None], service: Service, own_valkey: Valkey
) -> None:
    buyer = customer(boosts=[(20, 7)], credits=21)
    assert _granted(_charge(service, buyer.key, 60)) == 60
    drain.move_all()
    assert _granted(_charge(service, buyer.key, 7)) == 7
    lose(own_valkey)

    # 80 were there: 60 are known to be used, 7 are forgotten and can be used again.
    again = _charge(service, buyer.key, 30)
    assert _granted(again) == 20
    assert again[0].body["paid_by"] == {"allowance": 0, "boost": 1, "credits": 0}
    drain.move_all()
    assert buyer.drained == Used(allowance=50, boost=20, credits=20)


def test_an_older_copy_serves_nothing_before_it_was_loaded_again(
    service: Service, own_valkey: Valkey, tmp_path: Path
) -> None:
    buyer = customer(boosts=[(20, 7)])
    assert _granted(_charge(service, buyer.key, 10)) == 10
    own_valkey.copy_files(tmp_path / "copy")
    assert _granted(_charge(service, buyer.key, 55)) == 55
    drain.move_all()
    buyer.buy_boost(500)
    assert _granted(_charge(service, buyer.key, 4)) == 4

    own_valkey.start_from(tmp_path / "copy")
    # 570 were there, 65 are known to be used; the 4 that were not drained can be used again.
    (first,) = _charge(service, buyer.key, 1)
    assert first.body["remaining"] == {"allowance": 0, "boost": 504, "credits": 0}
    # What is charged after the restoration has ids that the drain does not pass over.
    assert _granted(_charge(service, buyer.key, 99)) == 100 - 1
    drain.move_all()
    assert buyer.drained == Used(allowance=50, boost=115)
    assert buyer.entries == []


def test_an_older_copy_that_was_only_charged_since_is_noticed(
    service: Service, own_valkey: Valkey, tmp_path: Path
) -> None:
    """Nothing was projected in between: the ids of what was drained give it away."""
    buyer = customer()
    assert _granted(_charge(service, buyer.key, 1)) == 1
    own_valkey.copy_files(tmp_path / "copy")
    assert _granted(_charge(service, buyer.key, 40)) == 40
    drain.move_all()
    own_valkey.start_from(tmp_path / "copy")
    assert _granted(_charge(service, buyer.key, 50)) == 9


def _nothing(_: Customer) -> None:
    """The gate is asked first."""


def _buy_boost(buyer: Customer) -> None:
    buyer.buy_boost(5)


def _neighbour_buys_boost(buyer: Customer) -> None:
    """Somebody whose account lives in the same partition."""
    handles = iter(key_text.new_handle, None)
    handle = next(h for h in handles if partition_of(h) == buyer.account.partition_index)
    Customer(Account.objects.create(name="neighbour", handle=handle), []).buy_boost(5)


def _issue_key(buyer: Customer) -> None:
    issue_api_key(
        account=buyer.account,
        name="new",
        submission=uuid4(),
        by=buyer.account.members.get(),
    )


def _change_plans(_: Customer) -> None:
    catalogue.changed()


@pytest.mark.parametrize(
    "meanwhile", [_nothing, _buy_boost, _neighbour_buys_boost, _issue_key, _change_plans]
)
def test_an_older_copy_does_not_bring_a_revoked_key_back(
    meanwhile: Callable[[Customer], object],
    service: Service,
    own_valkey: Valkey,
    tmp_path: Path,
) -> None:
    """Nothing is charged in between. What pages and tasks project must not hide the older copy."""
    buyer = customer(keys=2)
    revoked, kept = buyer.keys
    assert _granted(_charge(service, revoked, 1)) == 1
    drain.move_all()
    own_valkey.copy_files(tmp_path / "copy")
    revoke_api_key(
        key=ApiKey.objects.get(account=buyer.account, name="key 0"), by=None, at=timezone.now()
    )
    own_valkey.start_from(tmp_path / "copy")
    meanwhile(buyer)

    assert _granted(_charge(service, revoked, 3)) == 0
    assert _granted(_charge(service, kept, 3)) == 3
    _flush(own_valkey)
    assert _granted(_charge(service, revoked, 3)) == 0


def test_a_refund_is_given_once_across_a_rebuild(service: Service, own_valkey: Valkey) -> None:
    buyer = customer()
    given_back, not_yet = _charge(service, buyer.key, 2)
    assert not _refund(service, given_back.body["charge_id"])["already"]
    drain.move_all()
    _flush(own_valkey)

    assert _refund(service, given_back.body["charge_id"])["already"]
    first = _refund(service, not_yet.body["charge_id"])
    assert (first["already"], first["returned"]["allowance"]) == (False, 1)
    assert _refund(service, not_yet.body["charge_id"])["already"]
    assert _granted(_charge(service, buyer.key, 60)) == 50
    drain.move_all()
    assert buyer.drained == Used(allowance=50)


def test_without_its_scripts_valkey_goes_on(service: Service, own_valkey: Valkey) -> None:
    buyer = customer()
    assert _granted(_charge(service, buyer.key, 10)) == 10
    with own_valkey.client as client:
        client.script_flush()
    replies = _charge(service, buyer.key, 50)
    assert _granted(replies) == 40
    drain.move_all()
    assert buyer.drained == Used(allowance=50)
