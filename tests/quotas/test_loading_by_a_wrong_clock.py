"""A cold account that a process with a wrong clock loads lacks nothing that Valkey still counts."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import Account
from gate.store.hot_state import Mark
from gate.terms import week
from quotas import grants
from quotas.models.used import ChargeMark
from quotas.projection import load_accounts
from tests.quotas.live_gate import LiveGate


@pytest.mark.parametrize("hours", [-20, -1, 1, 20])
def test_boosts_and_refunds_that_count_are_loaded(account: Account, hours: int) -> None:
    now = timezone.now()
    boost = grants.grant_boost(
        account=account,
        chats=500,
        at=now,
        expires_at=now + timedelta(minutes=30),
        source_ref="test:boost",
    )
    # Refunded nearly a day ago: the charge could still be given back a second time.
    made_at = now - timedelta(hours=23, minutes=30)
    ChargeMark.objects.create(account=account, charge_ref="1-1", content="x", made_at=made_at)
    with time_machine.travel(now + timedelta(hours=hours), tick=True):
        loaded = load_accounts([account.handle])[account.handle]
    assert [granted.boost_id for granted in loaded.boosts] == [boost.pk]
    assert loaded.marks == (Mark(charge_ref="1-1", content="x"),)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("days", [-7, 7])
def test_what_was_used_this_week_is_loaded_whatever_week_a_process_believes_in(
    account: Account, key: str, gate: LiveGate, days: int
) -> None:
    gate.use(key, 50)
    with time_machine.travel(timezone.now() + timedelta(days=days), tick=True):
        loaded = load_accounts([account.handle])[account.handle]
    this_week = week.week_of(week.to_ms(timezone.now()))
    assert (loaded.week, loaded.used) == (this_week, 50)
    assert [state.used for state in loaded.keys] == [50]


def test_a_process_ahead_of_valkey_opens_no_week(account: Account) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=7), tick=True):
        loaded = load_accounts([account.handle])[account.handle]
    assert loaded.week == week.week_of(week.to_ms(timezone.now()))
