"""Budgets of keys and members, as PostgreSQL and the gate count them together: exactly so many."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from redis import Redis

from accounts import people
from accounts.models import Account, AuditEvent, Membership, User
from gate.store import hot_state
from gate.terms.budget import Budget
from keys.edit import edit_api_key
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from quotas import member_budgets
from quotas.usage import drain, so_far, totals
from tests import entitled
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rich(account: Account) -> Account:
    """An account whose plan limits nothing that is asked here."""
    entitled.move_to_plan(account, "pro")
    return account


@pytest.fixture
def mate(account: Account) -> User:
    """A developer of the account."""
    user = User.objects.create_user("mate@example.com", "correct horse battery staple")
    Membership.objects.create(account=account, user=user, role="developer")
    return user


def made(account: Account, by: User | None = None, **limits: Any) -> tuple[ApiKey, str]:
    return issue_api_key(
        account=account, name="one", submission=uuid4(), by=by, limits=KeyLimits(**limits)
    )


def admitted(gate: LiveGate, key: str, *, asked: int) -> int:
    return sum(decision.allowed for decision in gate.check_at_once([key] * asked))


@pytest.mark.parametrize("name", ["daily_cap", "monthly_cap", "total_cap"])
def test_a_key_admits_exactly_its_cap(rich: Account, gate: LiveGate, name: str) -> None:
    caps: dict[str, Any] = {name: 7}
    _, text = made(rich, **caps)
    assert admitted(gate, text, asked=20) == 7


@pytest.mark.parametrize("is_drained", [True, False])
@pytest.mark.parametrize("name", ["daily_cap", "monthly_cap", "total_cap"])
def test_a_cap_that_comes_later_counts_what_was_used_before(
    rich: Account, gate: LiveGate, name: str, *, is_drained: bool
) -> None:
    key, text = made(rich)
    gate.use(text, 4)
    if is_drained:
        drain.move_all()
        gate.use(text, 1)
    caps: dict[str, Any] = {name: 7}
    edit_api_key(key=key, name="one", limits=KeyLimits(**caps), by=None)
    assert admitted(gate, text, asked=10) == (2 if is_drained else 3)


def test_an_emptied_valkey_forgets_nothing_of_a_budget(
    rich: Account, gate: LiveGate, valkey: Redis
) -> None:
    _, text = made(rich, daily_cap=7)
    gate.use(text, 4)
    drain.move_all()
    valkey.flushall()
    assert admitted(gate, text, asked=10) == 3


def test_totals_and_folded_hours_count_in_all(rich: Account, gate: LiveGate) -> None:
    key, text = made(rich)
    gate.use(text, 4)
    drain.move_all()
    totals.catch_up(at=timezone.now() + timedelta(hours=2))
    gate.use(text, 2)
    drain.move_all()
    assert so_far.used_by(rich, [key.pk], at=timezone.now()).in_all == 6
    edit_api_key(key=key, name="one", limits=KeyLimits(total_cap=8), by=None)
    assert admitted(gate, text, asked=10) == 2


def test_the_budget_of_a_member_counts_all_their_keys_and_nobody_elses(
    rich: Account, owner: User, mate: User, gate: LiveGate
) -> None:
    _, first = made(rich, mate)
    _, second = made(rich, mate, daily_cap=3)
    _, of_owner = made(rich, owner)
    gate.use(first, 2)
    member_budgets.change(account=rich, user_id=mate.pk, budget=Budget(a_month=6), by=owner)
    assert admitted(gate, second, asked=10) == 3
    _, third = made(rich, mate)
    assert admitted(gate, third, asked=10) == 1
    assert admitted(gate, first, asked=10) == 0
    assert admitted(gate, of_owner, asked=10) == 10


def test_what_comes_back_comes_back_to_key_and_member(
    rich: Account, owner: User, mate: User, gate: LiveGate
) -> None:
    _, text = made(rich, mate, daily_cap=5)
    member_budgets.change(account=rich, user_id=mate.pk, budget=Budget(a_day=4), by=owner)
    charge, *_ = gate.use(text, 4)
    assert admitted(gate, text, asked=3) == 0
    gate.refund(charge)
    hold = gate.check(text, hold_seconds=60)
    assert admitted(gate, text, asked=3) == 0
    gate.settle(hold, 0)
    assert admitted(gate, text, asked=3) == 1


def test_keys_of_who_left_stay_and_are_limited_by_no_budget_of_theirs(
    rich: Account, owner: User, mate: User, gate: LiveGate
) -> None:
    _, text = made(rich, mate)
    member_budgets.change(account=rich, user_id=mate.pk, budget=Budget(a_day=2), by=owner)
    assert admitted(gate, text, asked=5) == 2
    people.remove(account=rich, user_id=mate.pk, by=owner, at=timezone.now())
    member_budgets.tell(rich)
    assert admitted(gate, text, asked=5) == 5
    assert not ApiKey.objects.filter(account=rich, is_counted_for_member=True).exists()


def test_a_budget_that_is_taken_away_and_given_again_counts_what_was_used_meanwhile(
    rich: Account, owner: User, mate: User, gate: LiveGate
) -> None:
    _, text = made(rich, mate)
    for budget, asked, passed in (
        (Budget(a_day=2), 5, 2),
        (Budget(), 5, 5),
        (Budget(a_day=9), 5, 2),
    ):
        member_budgets.change(account=rich, user_id=mate.pk, budget=budget, by=owner)
        assert admitted(gate, text, asked=asked) == passed
    acts = AuditEvent.objects.filter(account=rich, act="budget changed")
    assert acts.count() == 3


def test_a_key_without_caps_keeps_nothing_more_in_valkey(
    rich: Account, gate: LiveGate, valkey: Redis, key: str
) -> None:
    gate.use(key, 3)
    fields: Any = valkey.hkeys(hot_state.keys_of(rich.handle).account)
    assert fields
    assert not [field for field in fields if field[:2] in {b"q:", b"d:", b"w:"}]
