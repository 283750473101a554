"""The last decisions of an account, one by one: whatever a client does, and whatever dies."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone
from redis import Redis
from redis.exceptions import ConnectionError as ValkeyGone

from accounts.models import Account, User
from gate.store import charges, hot_state, snapshots
from gate.store.connection import sync_client
from gate.store.hot_state import Tokens
from gate.store.layout import RECENT_AT_MOST
from gate.terms import key_text
from gate.terms.addresses import to_hex
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from quotas.usage import drain, recents, stream
from quotas.usage.recents import decisions_of
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = timedelta(minutes=1)


def ids(account: Account) -> list[str]:
    """The request ids of all decisions, the newest first."""
    return [decided.request_id for decided in decisions_of(account)]


def many(key: str, count: int) -> None:
    """So many checks of a chat by the script itself, each with an id of its own."""
    client = sync_client(settings.REDIS_URL)
    with client.pipeline(transaction=False) as pipe:
        for number in range(count):
            call = charges.check_call(
                handle=key_text.handle_of(key),
                digests=snapshots.hot_digests(key_text.digests(key, settings.KEY_PEPPERS)),
                meter="chat",
                units=1,
                request_id=None,
                shown_id=f"many-{number}",
                at_ms=int((WEDNESDAY + MINUTE).timestamp() * 1000) + number,
            )
            pipe.eval(call.script.text, len(call.keys), *call.keys, *call.args)
            if number % 500 == 499:
                pipe.execute()
        pipe.execute()


@pytest.fixture
def died(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A drain that loses Valkey after its commit, before or after it kept what passed."""

    def gone(*_: Any, **__: Any) -> None:
        raise ValkeyGone

    def drains(before: str) -> None:
        with monkeypatch.context() as dying:
            dying.setattr(*{"keep": (recents, "keep"), "trim": (stream, "trim")}[before], gone)
            with pytest.raises(ValkeyGone):
                drain.move_all()

    return drains


def test_what_paid_is_told_by_source_also_before_the_drain(
    account: Account, key: str, gate: LiveGate
) -> None:
    fund(account, chats=3)
    gate.check(key, 49, at=WEDNESDAY, shown_id="first")
    gate.check(key, 6, at=WEDNESDAY + MINUTE, shown_id="second", tag="ann")
    before = decisions_of(account)
    second, first = before
    assert (second.allowance, second.boost, second.credit_chats, second.credits) == (1, 3, 2, 4)
    assert (second.chats, second.meter, second.tag, second.at) == (
        *(6, "chat", "ann"),
        WEDNESDAY + MINUTE,
    )
    assert (first.allowance, first.request_id, first.has_passed) == (49, "first", True)
    drain.move_all()
    assert decisions_of(account) == before


def test_a_refusal_is_there_at_once_with_its_reason(
    account: Account, key: str, gate: LiveGate
) -> None:
    gate.use(key, 50, at=WEDNESDAY)
    gate.check(key, 2, at=WEDNESDAY + MINUTE, shown_id="why", tag="ann", model="large")
    refused = decisions_of(account)[0]
    assert (refused.reason, refused.chats, refused.request_id) == ("quota_exhausted", 2, "why")
    assert (refused.tag, refused.model, refused.has_passed) == ("ann", "large", False)


def test_within_a_millisecond_a_refusal_follows_what_used_up_the_quota(
    account: Account, key: str, gate: LiveGate
) -> None:
    gate.use(key, 49, at=WEDNESDAY)
    for units, shown_id in ((2, "refused"), (1, "the-last")):
        gate.check(key, units, at=WEDNESDAY + MINUTE, shown_id=shown_id)
    assert ids(account)[:2] == ["refused", "the-last"]
    drain.move_all()
    assert ids(account)[:2] == ["refused", "the-last"]


def test_a_look_is_no_request(account: Account, key: str, gate: LiveGate) -> None:
    gate.check(key, 0, at=WEDNESDAY, shown_id="look")
    assert decisions_of(account) == []


def test_a_settled_hold_names_its_model_and_what_was_kept(
    account: Account, key: str, gate: LiveGate
) -> None:
    held = gate.check(key, 5, hold_seconds=60, at=WEDNESDAY, shown_id="held", tag="ann")
    assert decisions_of(account) == []
    gate.settle(held, 2, tokens=Tokens("large", 3, 40), at=WEDNESDAY + MINUTE / 2)
    (decided,) = decisions_of(account)
    assert (decided.chats, decided.model, decided.request_id) == (2, "large", "held")
    assert (decided.tag, decided.at) == ("ann", WEDNESDAY)


def test_what_was_given_back_says_so_in_its_own_line(
    account: Account, key: str, gate: LiveGate
) -> None:
    charge = gate.check(key, at=WEDNESDAY, shown_id="charge")
    held = gate.check(key, 3, hold_seconds=60, at=WEDNESDAY, shown_id="held")
    gate.settle(held, 1, at=WEDNESDAY)
    drain.move_all()
    for decision in (charge, held):
        gate.refund(decision, at=WEDNESDAY + MINUTE)
    for _ in range(2):
        told = {one.request_id: one.is_given_back for one in decisions_of(account)}
        assert told == {"charge": True, "held": True}
        drain.move_all()


def test_refusals_without_end_push_out_only_refusals(
    account: Account, key: str, gate: LiveGate, valkey: Redis
) -> None:
    for number in range(50):
        gate.check(key, at=WEDNESDAY, shown_id=f"passed-{number}")
    drain.move_all()
    many(key, 5_000)
    names = hot_state.keys_of(account.handle)
    assert valkey.hlen(names.account) <= RECENT_AT_MOST + 20
    found = ids(account)
    assert len(found) == RECENT_AT_MOST + 50
    assert found[0] == "many-4999"
    assert found[RECENT_AT_MOST - 1] == "many-4000"
    assert set(found[RECENT_AT_MOST:]) == {f"passed-{number}" for number in range(50)}


def test_charges_without_end_leave_the_last_thousand(
    account: Account, key: str, gate: LiveGate, valkey: Redis
) -> None:
    fund(account, chats=10_000)
    gate.check(key, 0, at=WEDNESDAY)
    for _ in range(2):
        many(key, 2_500)
        drain.move_all()
    names = hot_state.keys_of(account.handle)
    assert valkey.llen(names.passed) == RECENT_AT_MOST
    assert ids(account) == [f"many-{number}" for number in range(2_499, 1_499, -1)]


def test_the_list_ends_some_time_after_the_last_charge(
    account: Account, key: str, gate: LiveGate, valkey: Redis
) -> None:
    gate.check(key, at=WEDNESDAY)
    drain.move_all()
    seconds = valkey.ttl(hot_state.keys_of(account.handle).passed)
    assert recents.KEPT_FOR_SECONDS - 600 < seconds <= recents.KEPT_FOR_SECONDS


@pytest.mark.parametrize("before", ["keep", "trim"])
def test_a_drain_that_dies_after_its_commit_leaves_one_line_a_charge(
    account: Account, key: str, gate: LiveGate, died: Callable[[str], None], before: str
) -> None:
    for number in range(5):
        gate.check(key, at=WEDNESDAY + number * MINUTE, shown_id=f"{number}")
    died(before)
    gate.check(key, at=WEDNESDAY + 5 * MINUTE, shown_id="5")
    everything = ["5", "4", "3", "2", "1", "0"]
    assert ids(account) == everything
    drain.move_all()
    drain.move_all()
    assert ids(account) == everything


def test_a_valkey_without_memory_for_them_is_drained_and_trimmed_all_the_same(
    account: Account, key: str, gate: LiveGate, valkey: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    gate.use(key, 3, at=WEDNESDAY)
    # What stands in for it: a name that holds something else refuses the line just so.
    valkey.set(hot_state.keys_of(account.handle).passed, "no list")
    assert drain.move_all() == 3
    assert valkey.xlen(hot_state.stream_name(account.partition_index)) == 0
    assert "recent requests of accounts were not kept" in caplog.text


def test_charges_of_a_release_without_notes_are_told(
    account: Account, key: str, gate: LiveGate, valkey: Redis
) -> None:
    gate.check(key, 0)
    at_ms = int(timezone.now().timestamp() * 1000)
    entry = f"{account.handle}|1|chat|2916|1||0|0|{at_ms}"
    valkey.xadd(hot_state.stream_name(account.partition_index), {"e": entry})
    for _ in range(2):
        (decided,) = decisions_of(account)
        assert (decided.chats, decided.tag, decided.request_id) == (1, "", "")
        drain.move_all()


def test_a_key_that_was_revoked_is_told_to_its_people(
    account: Account, key: str, gate: LiveGate
) -> None:
    gate.check(key)
    record = ApiKey.objects.get()
    revoke_api_key(key=record, by=None, at=timezone.now())
    assert gate.check(key, shown_id="revoked").reason == "invalid_key"
    (refused,) = (one for one in decisions_of(account) if not one.has_passed)
    assert (refused.reason, refused.request_id) == ("invalid_key", "revoked")
    assert refused.key_id == record.pk


def test_a_key_from_elsewhere_is_told_with_another_reason_than_its_caller(
    account: Account, owner: User, gate: LiveGate
) -> None:
    limits = KeyLimits(addresses=("192.0.2.0/24",))
    _, text = issue_api_key(
        account=account, name="bound", submission=uuid4(), by=owner, limits=limits
    )
    # A meter that there is not is a text of the caller.
    refused = gate.check(text, meter="chat|9" * 9, address=to_hex("198.51.100.1"))
    assert refused.reason == "invalid_key"
    (decided,) = decisions_of(account)
    assert (decided.reason, decided.meter, decided.chats) == ("wrong_address", "", 0)


def test_an_account_sees_only_its_own(
    account: Account, key: str, other_account: Account, other_key: str, gate: LiveGate
) -> None:
    gate.check(key, at=WEDNESDAY, shown_id="mine")
    gate.check(other_key, at=WEDNESDAY, shown_id="theirs")
    drain.move_all()
    assert (ids(account), ids(other_account)) == (["mine"], ["theirs"])
