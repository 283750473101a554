"""Many cold accounts at once, among them any number that do not exist."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from accounts.models import Account, User
from gate.decision.cold import ACCOUNTS_IN_A_BATCH
from gate.store import hot_state, snapshots
from gate.terms import key_text
from keys.issue import issue_api_key
from quotas import catalogue, epochs, projection
from quotas.models.entitlements import Entitlement
from quotas.models.plans import Pack
from quotas.usage import drain
from tests import entitled
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund

pytestmark = pytest.mark.django_db(transaction=True)

FLOOD = 3_000

Prepare = Callable[[Account, User], object]


def issue(account: Account, owner: User) -> str:
    """The text of a new key."""
    return issue_api_key(account=account, name="laptop", submission=uuid4(), by=owner)[1]


def equip(account: Account, owner: User) -> None:
    """Something of everything that is granted."""
    fund(account)
    entitled.move_to_plan(account, "plus")
    entitled.switch_pack(account, Pack.objects.get(), on=True)
    issue(account, owner)


def leave(account: Account, owner: User) -> None:
    """An account that nothing has happened to yet."""
    assert not Entitlement.objects.filter(account=account).exists()


def neighbours(owner: User, count: int) -> list[Account]:
    """New accounts that live in one partition: each partition is drained for itself."""
    handles: list[str] = []
    while len(handles) < count:
        handle = key_text.new_handle()
        if hot_state.partition_of(handle) == 0:
            handles.append(handle)
    return [Account.objects.open_for(owner, name=handle, handle=handle) for handle in handles]


def test_a_flood_of_accounts_that_do_not_exist_holds_up_nobody(
    owner: User, gate: LiveGate, valkey: Redis
) -> None:
    accounts = [Account.objects.open_for(owner, name=f"account {number}") for number in range(20)]
    honest = {issue(account, owner): account.handle for account in accounts}
    valkey.flushall()
    keys = [key_text.new_api_key(key_text.new_handle()) for _ in range(FLOOD)]
    for at, key in enumerate(honest):
        keys.insert((at + 1) * FLOOD // len(honest), key)
    # Long enough for the flood to rise: the slower PostgreSQL is, the fuller are the batches.
    gate.way_seconds = 0.15

    decisions = dict(zip(keys, gate.check_at_once(keys), strict=True))

    assert all(decisions[key].allowed for key in honest)
    assert {decisions[key].reason for key in decisions.keys() - honest} == {"invalid_key"}
    # Valkey's answers come in pieces: the first batches are not full, nor is the last.
    few = 10
    assert len(gate.looked_up) <= len(keys) / ACCOUNTS_IN_A_BATCH + few
    turns = {handle: turn for turn, batch in enumerate(gate.looked_up) for handle in batch}
    for key, handle in honest.items():
        assert turns[handle] <= keys.index(key) / ACCOUNTS_IN_A_BATCH + few


def test_accounts_that_do_not_exist_cost_one_query(owner: User) -> None:
    with CaptureQueriesContext(connection) as asked:
        assert projection.load_accounts([key_text.new_handle() for _ in range(64)]) == {}
    assert len(asked) == 1


@pytest.mark.parametrize("prepare", [leave, equip])
def test_twenty_accounts_are_loaded_with_as_many_queries_as_one(
    owner: User, prepare: Prepare
) -> None:
    accounts = neighbours(owner, 21)
    for account in accounts:
        prepare(account, owner)
    asked = []
    for some in (accounts[:1], accounts[1:]):
        with CaptureQueriesContext(connection) as queries:
            loaded = projection.load_accounts([account.handle for account in some])
        assert len(loaded) == len(some)
        asked.append([query["sql"].split()[:2] for query in queries])
    assert asked[0] == asked[1]


def test_an_account_that_nothing_happened_to_is_loaded_with_the_default_plan(owner: User) -> None:
    new, other = neighbours(owner, 2)
    for _ in range(2):
        loaded = projection.load_accounts([new.handle, other.handle])
        assert {snapshot.plan for snapshot in loaded.values()} == {catalogue.default_plan().slug}
        assert Entitlement.objects.count() == 2


def test_accounts_that_are_loaded_together_keep_to_themselves(owner: User, gate: LiveGate) -> None:
    rich, plain, closed = accounts = neighbours(owner, 3)
    equip(rich, owner)
    fund(plain, chats=10, credits=40)
    entitled.set_suspended(closed, True)
    gate.use(issue(rich, owner), 30)
    gate.refund(gate.use(issue(plain, owner), 50)[0])

    handles = [account.handle for account in accounts]
    together = projection.load_accounts([*handles, key_text.new_handle()])

    assert together == {handle: projection.load_accounts([handle])[handle] for handle in handles}
    of_rich, of_plain, of_closed = (together[handle] for handle in handles)
    assert (of_rich.plan, of_rich.packs, of_rich.credits) == ("plus", ("copilot-pro",), 500)
    assert (of_plain.plan, of_plain.packs, of_plain.credits) == ("free", (), 40)
    assert (of_rich.used, of_plain.used, of_closed.used) == (30, 49, 0)
    assert sorted(key.used for key in of_rich.keys) == [0, 30]
    assert [each.chats for each in (*of_rich.boosts, *of_plain.boosts)] == [30, 10]
    assert [len(each.marks) for each in (of_rich, of_plain, of_closed)] == [0, 1, 0]
    assert [each.suspended for each in (of_rich, of_plain, of_closed)] == [False, False, True]


def test_what_was_not_drained_is_known_when_accounts_are_loaded_together(
    owner: User, gate: LiveGate, valkey: Redis
) -> None:
    accounts = [Account.objects.open_for(owner, name=name) for name in ("first", "second")]
    keys = [issue(account, owner) for account in accounts]
    gate.use(keys[0], 30)
    gate.use(keys[1], 7)
    for account in accounts:
        valkey.delete(hot_state.keys_of(account.handle).account)
    answers = [decision.answer for decision in gate.check_at_once(keys)]
    assert [answer and answer.used for answer in answers] == [31, 8]


def test_an_epoch_that_ends_while_accounts_are_read_is_noticed(
    account: Account, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was charged after the drain, and before the accounts became cold again, is not lost."""
    move = drain.move_all_of

    def drain_late(indexes: Iterable[int], **more: Any) -> None:
        move(indexes, **more)
        epochs.raise_epoch(account.partition_index)

    monkeypatch.setattr(drain, "move_all_of", drain_late)
    snapshot = projection.load_accounts([account.handle])[account.handle]
    status, _ = hot_state.run(valkey, snapshots.put_account_call(snapshot))
    assert status == b"stale_epoch"
