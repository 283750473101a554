"""What an admin changes for everybody counts for the next chat of everybody."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from accounts.models import Account, User
from gate.store import hot_state
from keys.issue import issue_api_key
from quotas import catalogue, grants
from quotas.models.ledger import CreditEntry
from quotas.models.plans import Meter, Pack, Plan, QuotaPolicy
from quotas.standing import Standing
from tests import entitled
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)


def handles_of_all_partitions() -> Iterator[str]:
    """One handle for each partition."""
    wanted = set(range(hot_state.PARTITIONS))
    number = 0
    while wanted:
        handle = f"H{number:07d}"
        if hot_state.partition_of(handle) in wanted:
            wanted.remove(hot_state.partition_of(handle))
            yield handle
        number += 1


def change_plan(slug: str, **fields: object) -> None:
    Plan.objects.filter(slug=slug).update(**fields)
    catalogue.changed()


def test_a_smaller_cap_counts_for_accounts_that_are_hot_in_every_partition(
    owner: User, gate: LiveGate
) -> None:
    keys = []
    for handle in handles_of_all_partitions():
        account = Account.objects.open_for(owner, handle=handle, name=handle)
        keys.append(issue_api_key(account=account, name="k", submission=uuid4(), by=owner)[1])
    assert len(keys) == hot_state.PARTITIONS
    assert all(gate.check(key).allowed for key in keys)
    change_plan("free", weekly_cap=1)
    assert not any(gate.check(key).allowed for key in keys)
    change_plan("free", weekly_cap=2)
    assert all(gate.check(key).allowed for key in keys)


def test_a_cap_that_is_taken_away_is_unlimited(key: str, gate: LiveGate) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    change_plan("free", weekly_cap=None)
    assert gate.check(key, 1000).allowed


def test_how_quickly_a_plan_may_ask_counts_for_all_keys_of_its_accounts(
    owner: User, key: str, gate: LiveGate
) -> None:
    account = owner.personal_account
    other = issue_api_key(account=account, name="k", submission=uuid4(), by=owner)[1]
    change_plan("free", requests_a_minute=2)
    assert [gate.check(text).reason for text in (key, other, key)] == ["ok", "ok", "rate_limited"]
    change_plan("free", requests_a_minute=None, requests_at_once=1)
    assert gate.check(key, hold_seconds=60).allowed
    assert gate.check(other, hold_seconds=60).reason == "too_many_at_once"
    change_plan("free", requests_at_once=None)
    assert gate.check(other, hold_seconds=60).allowed


def test_a_cap_of_zero_refuses_every_chat(key: str, gate: LiveGate) -> None:
    change_plan("free", weekly_cap=0)
    assert not gate.check(key).allowed


def test_a_meter_costs_what_it_costs_now(
    key: str, gate: LiveGate, standing: Callable[[], Standing]
) -> None:
    gate.check(key, meter="images")
    Meter.objects.filter(slug="images").update(chats=4)
    catalogue.changed()
    gate.check(key, meter="images")
    assert standing().used == 5


def test_a_meter_that_is_new_is_known_at_once(key: str, gate: LiveGate) -> None:
    assert gate.check(key, meter="video").reason == "unknown_meter"
    Meter.objects.create(slug="video", name="Video", chats=10)
    catalogue.changed()
    assert gate.check(key, meter="video").allowed


def test_a_chat_costs_the_credits_that_it_costs_now(
    account: Account, key: str, gate: LiveGate, standing: Callable[[], Standing]
) -> None:
    grants.grant_credits(
        account=account,
        credits=12,
        kind=CreditEntry.Kind.GRANT,
        at=account.created_at,
        source_ref="test:1",
    )
    gate.use(key, 51)
    QuotaPolicy.objects.update(credits_per_chat=10)
    catalogue.changed()
    gate.use(key, 1)
    assert standing().credits_left == 0
    assert not gate.check(key).allowed


def test_the_cap_of_a_pack_counts_at_once_for_those_who_have_it_on(
    account: Account, key: str, gate: LiveGate
) -> None:
    plus, pack = Plan.objects.get(slug="plus"), Pack.objects.get()
    entitled.move_to_plan(account, plus)
    entitled.switch_pack(account, pack, on=True)
    assert gate.check(key, 2000).allowed
    pack.weekly_cap = 2001
    pack.save()
    catalogue.changed()
    assert gate.check(key).allowed
    assert not gate.check(key).allowed


def test_a_pack_that_the_plan_no_longer_includes_lifts_nothing(
    account: Account, key: str, gate: LiveGate
) -> None:
    plus, pack = Plan.objects.get(slug="plus"), Pack.objects.get()
    entitled.move_to_plan(account, plus)
    entitled.switch_pack(account, pack, on=True)
    assert gate.check(key, 2000).allowed
    plus.packs.remove(pack)
    catalogue.changed()
    assert not gate.check(key).allowed
