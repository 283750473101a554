"""Grants that Valkey could not hear of: committed, remembered, brought later, in any order."""

from collections.abc import Callable

import pytest
from django.db.models import F
from django.utils import timezone
from redis import Redis

from accounts.models import Account
from gate.store import hot_state, layout, snapshots
from partitions.states import partition_state
from quotas import catalogue, grants, projection
from quotas.models.entitlements import Entitlement
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Plan, QuotaPolicy
from quotas.standing import Standing
from quotas.tasks import push_pending
from tests import entitled
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

Now = Callable[[], Standing]
Away = Callable[[bool], None]


def grant_credits(account: Account, credits: int, *, ref: str) -> None:
    grants.grant_credits(
        account=account,
        credits=credits,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref=ref,
    )


def pending() -> list[Account]:
    rows = Entitlement.objects.filter(pushed_version__lt=F("version"))
    return [entitlement.account for entitlement in rows.select_related("account")]


def test_a_grant_while_valkey_is_away_is_committed_and_waits(
    account: Account, boost: Boost, standing: Now, valkey_away: Away
) -> None:
    valkey_away(True)
    grant_credits(account, 100, ref="test:away")
    assert CreditEntry.objects.get().credits == 100
    assert pending() == [account]
    valkey_away(False)
    assert standing().credits_left == 0


def test_the_sweep_brings_it_when_valkey_is_back(
    account: Account, key: str, gate: LiveGate, valkey_away: Away
) -> None:
    gate.use(key, 50)
    valkey_away(True)
    grant_credits(account, 2, ref="test:away")
    push_pending()
    assert pending() == [account]
    valkey_away(False)
    assert not gate.check(key).allowed
    push_pending()
    assert pending() == []
    assert gate.check(key).allowed
    assert not gate.check(key).allowed


def test_the_sweep_brings_every_account_that_waits(
    account: Account, other_account: Account, valkey_away: Away
) -> None:
    valkey_away(True)
    grant_credits(account, 2, ref="test:1")
    grant_credits(other_account, 2, ref="test:2")
    valkey_away(False)
    assert projection.push_pending_accounts() == 2
    assert projection.push_pending_accounts() == 0


def test_a_plan_that_changed_while_valkey_was_away_is_brought_by_the_sweep(
    account: Account, key: str, gate: LiveGate, valkey_away: Away
) -> None:
    gate.use(key, 50)
    valkey_away(True)
    Plan.objects.filter(slug="free").update(weekly_cap=51)
    catalogue.changed()
    valkey_away(False)
    assert not gate.check(key).allowed
    push_pending()
    assert gate.check(key).allowed
    policy = QuotaPolicy.objects.get()
    assert policy.pushed_version == policy.version


def test_a_snapshot_that_arrives_late_does_not_undo_a_newer_one(
    account: Account, standing: Now, valkey: Redis
) -> None:
    grant_credits(account, 100, ref="test:1")
    late = projection.account_snapshot(account)
    grant_credits(account, 100, ref="test:2")
    entitled.move_to_plan(account, "pro")
    assert hot_state.run(valkey, snapshots.put_account_call(late))[0] == b"stored"
    assert (standing().plan_name, standing().credits_left) == ("Pro", 200)


def test_a_catalogue_that_arrives_late_does_not_undo_a_newer_one(
    account: Account, standing: Now, valkey: Redis
) -> None:
    late = catalogue.snapshot()
    Plan.objects.filter(slug="free").update(weekly_cap=70)
    catalogue.changed()
    index = hot_state.partition_of(account.handle)
    call = snapshots.put_catalogue_call(partition_state(index), late)
    assert hot_state.run(valkey, call)[0] == b"older"
    assert standing().cap == 70


def test_a_catalogue_reaches_every_partition_also_where_its_script_was_forgotten(
    plans: None, valkey: Redis
) -> None:
    valkey.script_flush()
    assert catalogue.push()
    spell = layout.CATALOGUE.spell
    told = {
        index: valkey.hmget(
            hot_state.catalogue_name(index),
            [spell("version"), spell("pushes"), spell("cap") + "free"],
        )
        for index in range(hot_state.PARTITIONS)
    }
    Plan.objects.filter(slug="free").update(weekly_cap=71)
    catalogue.changed()
    for index, (version, pushes, cap) in told.items():
        assert cap == b"50"
        name = hot_state.catalogue_name(index)
        assert valkey.hget(name, spell("cap") + "free") == b"71"
        assert valkey.hget(name, spell("version")) == f"{int(version or 0) + 1}".encode()
        assert partition_state(index).pushes == int(pushes or 0) + 1


def test_a_repeated_push_gives_back_nothing_that_was_spent(
    account: Account, boost: Boost, key: str, gate: LiveGate, standing: Now
) -> None:
    gate.use(key, 60)
    for _ in range(3):
        assert projection.push(account)
    assert (standing().used, standing().boost_left) == (50, 490)


def test_an_older_push_that_succeeds_leaves_the_newer_one_pending(
    account: Account, valkey_away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that commits between the snapshot and its arrival is not taken for brought."""
    run = hot_state.run

    def change_on_the_way(client: Redis, call: hot_state.Call) -> object:
        monkeypatch.setattr(hot_state, "run", run)
        valkey_away(True)
        grant_credits(account, 100, ref="test:meanwhile")
        valkey_away(False)
        return run(client, call)

    grant_credits(account, 1, ref="test:first")
    monkeypatch.setattr(hot_state, "run", change_on_the_way)
    assert projection.push(account)
    assert pending() == [account]
