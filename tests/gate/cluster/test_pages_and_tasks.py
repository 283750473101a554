"""What pages, tasks and commands do with Valkey works on a cluster as on one server."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Sum
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, User
from gate.decision.check import Decision
from gate.store import hot_state
from gate.store.connection import sync_client
from keys.issue import issue_api_key
from keys.revoke import revoke_api_key
from partitions.models import Partition
from quotas import catalogue, epochs, grants, projection
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.used import RefusalRollup, UsageRollup
from quotas.standing import Standing, standing_of
from quotas.usage import backlog, drain, live, refusals, spans
from quotas.usage.asked import By, Only
from quotas.usage.recents import decisions_of
from tests.gate.cluster.shards import Cluster, Shard
from tests.patient_gate import gate_by, patient_client

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def on_cluster(settings: Settings, cluster: Cluster) -> Cluster:
    """The site with the cluster for its Valkey; ask for it before any account."""
    settings.REDIS_URL = cluster.url
    return cluster


@pytest.fixture
def customer(on_cluster: Cluster, account: Account) -> Account:
    """The owner's account."""
    return account


@pytest.fixture
def api_key(customer: Account, owner: User) -> str:
    """The text of a key of it."""
    return issue_api_key(account=customer, name="laptop", submission=uuid4(), by=owner)[1]


def _checks(key: str, *units: int) -> list[Decision]:
    """Ask the gate, which must find all it needs in Valkey."""

    async def load(_: object) -> Any:
        raise AssertionError

    async def ask() -> list[Decision]:
        client = patient_client()
        try:
            gate = gate_by(client, load_accounts=load, load_catalogue=load)
            return [await gate.check(key=key, units=each) for each in units]
        finally:
            await client.aclose()

    return asyncio.run(ask())


def _boost(account: Account, chats: int) -> Boost:
    now = timezone.now()
    return grants.grant_boost(
        account=account,
        chats=chats,
        at=now,
        expires_at=now + timedelta(days=7),
        source_ref=f"test:{uuid4()}",
    )


def _used(account: Account, *, at: datetime) -> int:
    span = spans.quota_weeks(1, zone=ZoneInfo("UTC"), at=at)
    seen = live.look(account, span, by=By.KEY, only=Only())
    assert seen.is_exact
    return seen.report.total


def _standing(account: Account) -> Standing:
    standing = standing_of(account, at=timezone.now())
    assert standing is not None
    return standing


def test_what_is_bought_is_charged_drained_and_shown(
    on_cluster: Cluster, customer: Account, api_key: str
) -> None:
    now = timezone.now()
    boost = _boost(customer, 500)
    grants.grant_credits(
        account=customer,
        credits=100,
        kind=CreditEntry.Kind.PURCHASE,
        at=now,
        source_ref="test:credits",
    )
    decisions = _checks(api_key, 50, 500, 10, 9_000)
    assert [decision.allowed for decision in decisions] == [True, True, True, False]

    before = _standing(customer)
    assert (before.left, before.boost_left, before.credits_left) == (0, 0, 80)
    assert backlog.measure().entries == 3
    assert _used(customer, at=now) == 560
    requests = decisions_of(customer)
    assert [(one.chats, one.has_passed) for one in requests] == [
        (9_000, False),
        (10, True),
        (500, True),
        (50, True),
    ]
    assert drain.move_all() == 3
    assert drain.move_all() == 0
    assert refusals.move_all() == 1
    assert refusals.move_all() == 0

    assert backlog.measure().entries == 0
    assert decisions_of(customer) == requests
    totals = UsageRollup.objects.filter(account=customer).aggregate(Sum("chats"), Sum("credits"))
    assert totals == {"chats__sum": 560, "credits__sum": 20}
    boost.refresh_from_db()
    assert boost.spent == 500
    assert RefusalRollup.objects.get(account=customer).refusals == 1
    assert _used(customer, at=now) == 560
    after = _standing(customer)
    assert (after.left, after.boost_left, after.credits_left) == (0, 0, 80)


def test_every_shard_is_drained(on_cluster: Cluster, plans: None) -> None:
    accounts: dict[Shard, Account] = {}
    while len(accounts) < len(on_cluster.shards):
        user = User.objects.create_user(f"{uuid4()}@example.com", None, name="U")
        account = user.personal_account
        accounts[on_cluster.owner_of(account.partition_index)] = account
    for account in accounts.values():
        user = account.memberships.get().user
        key = issue_api_key(account=account, name="k", submission=uuid4(), by=user)[1]
        _boost(account, 1)
        assert all(decision.allowed for decision in _checks(key, 50, 1))
    assert drain.move_all() == 2 * len(accounts)
    for account in accounts.values():
        totals = UsageRollup.objects.filter(account=account).aggregate(Sum("chats"))
        assert totals == {"chats__sum": 51}


@pytest.mark.parametrize("move", [Cluster.move_key_by_key, Cluster.move_at_once])
def test_a_partition_that_moved_is_found_again(
    on_cluster: Cluster, customer: Account, api_key: str, move: Any
) -> None:
    _boost(customer, 10)
    _checks(api_key, 50, 4, 100)
    move(on_cluster, customer.partition_index)
    assert _standing(customer).boost_left == 6
    _boost(customer, 5)
    assert _standing(customer).boost_left == 11
    assert drain.move_all() == 2
    assert refusals.move_all() == 1
    assert epochs.verify() == []
    assert _checks(api_key, 11)[0].allowed


def test_a_revoked_key_is_refused(on_cluster: Cluster, customer: Account, owner: User) -> None:
    key, text = issue_api_key(account=customer, name="k", submission=uuid4(), by=owner)
    _boost(customer, 1)
    assert _checks(text, 1)[0].allowed
    revoke_api_key(key=key, at=timezone.now(), by=owner)
    assert _checks(text, 1)[0].reason == "invalid_key"


def test_a_shard_that_lost_its_data_is_noticed(
    on_cluster: Cluster, customer: Account, api_key: str
) -> None:
    _boost(customer, 10)
    _checks(api_key, 50, 4)
    drain.move_all()
    assert epochs.verify() == []
    index = customer.partition_index
    client = sync_client(on_cluster.url)
    # An older copy: the same catalogue, with fewer projections than were confirmed.
    client.hset(hot_state.catalogue_name(index), "pushes", 1)
    assert epochs.verify() == [index]
    assert Partition.objects.get(pk=index).epoch > 1
    assert projection.push(customer)
    assert _checks(api_key, 6, 1)[0].allowed
    assert not _checks(api_key, 1)[0].allowed


def test_a_forgetful_shard_is_refused(on_cluster: Cluster, customer: Account) -> None:
    shard = on_cluster.shards[2]
    shard.admin.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(epochs.CannotTrust, match="evict"):
            epochs.verify()
    finally:
        shard.admin.config_set("maxmemory-policy", "noeviction")
    assert epochs.verify() == []


def test_a_plan_change_reaches_every_partition(
    on_cluster: Cluster, customer: Account, api_key: str
) -> None:
    _boost(customer, 1)
    assert catalogue.push()
    client = cast(Any, sync_client(on_cluster.url))
    for index in range(hot_state.PARTITIONS):
        assert client.hget(hot_state.catalogue_name(index), "cap:free") == b"50"


def test_while_a_shard_is_away_a_purchase_is_kept_for_later(
    on_cluster: Cluster, customer: Account, api_key: str
) -> None:
    _boost(customer, 1)
    shard = on_cluster.owner_of(customer.partition_index)
    shard.kill()
    try:
        _boost(customer, 500)
        assert standing_of(customer, at=timezone.now()) is None
    finally:
        shard.start()
        on_cluster.wait_until_well()
    assert projection.push_pending_accounts() == 1
    assert _standing(customer).boost_left == 501
