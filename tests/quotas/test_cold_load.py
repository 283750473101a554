"""An emptied Valkey: every account is loaded again before it is served, as it was drained."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis import Redis

from accounts.models import Account, User
from gate.store import hot_state
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Pack
from quotas.standing import Standing
from quotas.usage import drain
from tests import entitled
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

Now = Callable[[], Standing]


@pytest.fixture
def lived(account: Account, boost: Boost, key: str, gate: LiveGate) -> Account:
    """An account with a past: two boosts, credits, charges of every source, refunds."""
    now = timezone.now()
    grants.grant_boost(
        account=account,
        chats=5,
        at=now,
        expires_at=now + timedelta(days=1),
        source_ref="test:short",
    )
    grants.grant_credits(
        account=account,
        credits=100,
        kind=CreditEntry.Kind.PURCHASE,
        at=now,
        source_ref="test:credits",
    )
    decisions = gate.use(key, 50 + 5 + 500 + 10)
    for decision in (decisions[0], decisions[52], decisions[200], decisions[-1]):
        gate.refund(decision)
    return account


def test_everything_that_was_drained_is_there_again(
    lived: Account, valkey: Redis, standing: Now
) -> None:
    before = standing()
    assert (before.used, before.boost_left, before.credits_left) == (49, 2, 82)
    drain.move_all()
    valkey.flushall()
    assert standing() == before


def test_the_gate_loads_a_cold_account_before_it_serves_it(
    lived: Account, key: str, gate: LiveGate, valkey: Redis
) -> None:
    drain.move_all()
    valkey.flushall()
    # 1 of the allowance, 2 of the boosts, 41 for 82 credits.
    gate.use(key, 44)
    assert not gate.check(key).allowed


@pytest.mark.parametrize(
    ("loses", "at_most"),
    [
        (lambda valkey, account: valkey.delete(hot_state.keys_of(account.handle).account), 24),
        # The catalogue comes with it.
        (lambda valkey, _: valkey.flushall(), 29),
    ],
    ids=["the account", "everything"],
)
def test_a_page_reads_a_cold_account_once(
    lived: Account,
    valkey: Redis,
    standing: Now,
    loses: Callable[[Redis, Account], object],
    at_most: int,
) -> None:
    before = standing()
    drain.move_all()
    loses(valkey, lived)
    with CaptureQueriesContext(connection) as asked:
        assert standing() == before
    marks = [query for query in asked if 'FROM "quotas_chargemark"' in query["sql"]]
    assert len(marks) == 1
    assert len(asked) <= at_most


def test_plan_pack_and_suspension_are_there_again(
    account: Account, key: str, gate: LiveGate, valkey: Redis, standing: Now
) -> None:
    entitled.move_to_plan(account, "plus")
    entitled.switch_pack(account, Pack.objects.get(), on=True)
    assert gate.check(key, 5000).allowed
    drain.move_all()
    valkey.flushall()
    assert gate.check(key).allowed
    entitled.set_suspended(account, True)
    drain.move_all()
    valkey.flushall()
    assert gate.check(key).reason == "suspended"
    assert (standing().cap, standing().used) == (None, 5001)


def test_what_can_be_had_twice_is_what_was_not_drained_and_no_more(
    account: Account, key: str, gate: LiveGate, valkey: Redis, standing: Now
) -> None:
    gate.use(key, 30)
    drain.move_all()
    gate.use(key, 15)
    valkey.flushall()
    assert standing().used == 30


def test_a_revoked_key_does_not_come_back(
    owner: User, key: str, gate: LiveGate, valkey: Redis
) -> None:
    assert gate.check(key).allowed
    revoke_api_key(key=ApiKey.objects.get(), by=owner, at=timezone.now())
    valkey.flushall()
    assert gate.check(key).reason == "invalid_key"


def test_forgotten_scripts_are_sent_again(
    account: Account, key: str, gate: LiveGate, valkey: Redis, standing: Now
) -> None:
    gate.use(key, 3)
    valkey.script_flush()
    gate.use(key, 3)
    valkey.script_flush()
    assert standing().used == 6
