"""Exactly once, whoever drains, however often, and wherever it dies."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Sum
from redis import Redis
from redis.exceptions import ConnectionError as ValkeyGone

from accounts.models import Account, User
from gate.store import hot_state
from keys.issue import issue_api_key
from partitions.models import Partition
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.used import UsageRollup
from quotas.usage import drain, stream
from tests.patience import LONGEST_SECONDS
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """Stands for the end of the process: no handler of ours catches it."""


def sums() -> dict[str, int]:
    """What PostgreSQL counted, all together."""
    by_source = dict.fromkeys(("allowance", "boost", "credits"), 0)
    counted = UsageRollup.objects.values_list("source").annotate(chats=Sum("chats"))
    by_source.update(dict(counted))
    ledger = CreditEntry.objects.filter(kind="spend").aggregate(all=Sum("credits", default=0))
    boosts = Boost.objects.aggregate(all=Sum("spent", default=0))
    return {**by_source, "ledger": ledger["all"], "boosts": boosts["all"]}


NOTHING = {"allowance": 0, "boost": 0, "credits": 0, "ledger": 0, "boosts": 0}
# 50 of the allowance, 30 of the boost, 20 for credits.
HUNDRED = {"allowance": 50, "boost": 30, "credits": 20, "ledger": -40, "boosts": 30}


@pytest.fixture
def hundred(account: Account, key: str, gate: LiveGate) -> int:
    """A hundred charges from all three sources wait; answers the partition."""
    fund(account)
    gate.use(key, 100, at=WEDNESDAY)
    return hot_state.partition_of(account.handle)


def dies(*_: Any, **__: Any) -> None:
    raise Killed


@pytest.mark.parametrize(
    "step",
    [
        *("rollups.add_usage", "rollups.add_tags", "rollups.add_tokens"),
        *("_add_to_boosts", "_add_to_ledger", "_mark_keys_used", "_move_cursors"),
    ],
)
def test_a_drain_that_dies_before_it_commits_has_done_nothing(
    hundred: int, valkey: Redis, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(f"{drain.__name__}.{step}", dies)
        with pytest.raises(Killed):
            drain.move_all()
    assert sums() == NOTHING
    assert Partition.objects.get(pk=hundred).drained_id == "0-0"
    assert valkey.xlen(hot_state.stream_name(hundred)) == 100
    assert drain.move_all() == 100
    assert sums() == HUNDRED


def test_a_drain_that_dies_between_commit_and_trim_counts_nothing_twice(
    hundred: int, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = hot_state.stream_name(hundred)
    with monkeypatch.context() as dying:
        dying.setattr(stream, "trim", dies)
        for _ in range(3):
            with pytest.raises(Killed):
                drain.move_all()
            assert sums() == HUNDRED
        assert valkey.xlen(name) == 100
    assert drain.move_all() == 0
    assert valkey.xlen(name) == 0
    assert sums() == HUNDRED


def test_charges_that_came_after_a_lost_trim_are_counted_and_the_rest_is_not(
    hundred: int, account: Account, key: str, gate: LiveGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(stream, "trim", dies)
        with pytest.raises(Killed):
            drain.move_all()
    gate.use(key, 5, at=WEDNESDAY)
    assert drain.move_all() == 5
    assert sums() == {**HUNDRED, "credits": 25, "ledger": -50}


def test_valkey_that_goes_away_at_the_trim_is_tried_again(
    hundred: int, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise ValkeyGone

    with monkeypatch.context() as away:
        away.setattr(stream, "trim", gone)
        with pytest.raises(ValkeyGone):
            drain.move_all()
    assert drain.move_all() == 0
    assert valkey.xlen(hot_state.stream_name(hundred)) == 0
    assert sums() == HUNDRED


def test_a_partition_that_another_worker_drains_is_left_to_it(
    hundred: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = drain._record
    inside, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> None:
        inside.set()
        assert go_on.wait(LONGEST_SECONDS)
        record(*arguments)

    monkeypatch.setattr(drain, "_record", slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_in_thread, drain.move_all)
        assert inside.wait(LONGEST_SECONDS)
        assert drain.move_some_of(hundred) == 0
        go_on.set()
        assert first.result(10) == 100
    assert sums() == HUNDRED


def test_four_workers_and_late_charges_add_up_exactly(
    owner: User, gate: LiveGate, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "_BATCH", 7)
    keys = []
    for number in range(8):
        account = Account.objects.open_for(owner, name=f"account {number}")
        fund(account, chats=10, credits=40)
        keys.append(issue_api_key(account=account, name="k", submission=uuid4(), by=owner)[1])
    done = threading.Event()

    def work(_: int) -> int:
        drained = 0
        while not done.is_set():
            drained += _in_thread(drain.move_all)
        return drained

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        try:
            for _ in range(4):
                for key in keys:
                    gate.use(key, 20, at=WEDNESDAY)
        finally:
            done.set()
        drained = sum(worker.result(20) for worker in workers)
    drained += drain.move_all()
    assert drained == 8 * 80
    # Of each account's 80 chats: 50 of the allowance, 10 of the boost, 20 for 40 credits.
    assert sums() == {
        "allowance": 8 * 50,
        "boost": 8 * 10,
        "credits": 8 * 20,
        "ledger": 8 * -40,
        "boosts": 8 * 10,
    }
    per_account = CreditEntry.objects.values("account").annotate(left=Sum("credits"))
    assert [row["left"] for row in per_account] == [0] * 8


def test_a_grant_that_commits_during_a_drain_is_not_lost(
    hundred: int, account: Account, key: str, gate: LiveGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = drain._record

    def with_a_grant(found: Mapping[int, list[hot_state.RawEntry]]) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_in_thread, grant_more).result(10)
        record(found)

    def grant_more() -> None:
        grants.grant_credits(
            account=account,
            credits=1000,
            kind=CreditEntry.Kind.PURCHASE,
            at=WEDNESDAY,
            source_ref="test:meanwhile",
        )

    monkeypatch.setattr(drain, "_record", with_a_grant)
    assert drain.move_all() == 100
    assert sums() == HUNDRED
    gate.use(key, 200, at=WEDNESDAY)
    balance = CreditEntry.objects.aggregate(all=Sum("credits"))["all"]
    assert balance == 500 + 1000 - 40


def _in_thread(act: Callable[[], Any]) -> Any:
    try:
        return act()
    finally:
        connection.close()
