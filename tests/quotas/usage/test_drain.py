"""The drain adds up to the charge: rollups, spent boosts, the ledger, the keys' last use."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from redis import Redis

from accounts.models import Account, User
from gate.decision.check import Decision
from gate.store import hot_state
from gate.store.hot_state import Tokens, read_boosts
from keys.issue import issue_api_key
from keys.models import ApiKey
from partitions.models import Partition
from quotas import catalogue, grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Meter
from quotas.models.used import TokenRollup, UsageRollup
from quotas.usage import drain
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
Row = tuple[str, int, str, datetime, str, str]


def fund(account: Account, *, chats: int = 30, credits: int = 500) -> Boost:
    """A boost that lives on Wednesday, and credits."""
    grants.grant_credits(
        account=account,
        credits=credits,
        kind=CreditEntry.Kind.GRANT,
        at=WEDNESDAY,
        source_ref=f"test:{account.pk}",
    )
    return grants.grant_boost(
        account=account,
        chats=chats,
        at=WEDNESDAY - timedelta(days=1),
        expires_at=WEDNESDAY + timedelta(days=6),
        source_ref=f"test:{account.pk}",
    )


def rows() -> Counter[Row]:
    """The rollups: chats, and credits as rows of their own."""
    counted: Counter[Row] = Counter()
    for row in UsageRollup.objects.select_related("account"):
        where = (row.account.handle, row.key_id, row.meter, row.hour, row.source)
        counted[*where, "chats"] += row.chats
        counted[*where, "credits"] += row.credits
    return +counted


def charged(decisions: Iterable[tuple[Decision, str]]) -> Counter[Row]:
    """What the gate says it took, spelled as the rollups spell it."""
    counted: Counter[Row] = Counter()
    for decision, meter in decisions:
        answer = decision.answer
        assert answer is not None
        at = datetime.fromtimestamp(answer.at_ms / 1000, WEDNESDAY.tzinfo)
        hour = at.replace(minute=0, second=0, microsecond=0)
        where = (decision.handle, answer.key_id, meter, hour)
        counted[*where, "allowance", "chats"] += answer.allowance_taken
        counted[*where, "boost", "chats"] += answer.boost_taken
        counted[*where, "credits", "chats"] += answer.credits_taken // answer.credits_per_chat
        counted[*where, "credits", "credits"] += answer.credits_taken
    return +counted


def waiting(valkey: Redis) -> int:
    """Entries in all streams."""
    return sum(int(valkey.xlen(hot_state.stream_name(i))) for i in range(hot_state.PARTITIONS))


@pytest.fixture
def three_keys(account: Account, owner: User, key: str, other_key: str) -> list[str]:
    """Two keys of one account and one of another; both accounts have a boost and credits."""
    Meter.objects.filter(slug="images").update(chats=4)
    catalogue.changed()
    for funded in Account.objects.all():
        fund(funded, chats=20)
    second_key = issue_api_key(account=account, name="server", submission=uuid4(), by=owner)[1]
    return [key, second_key, other_key]


def test_every_charge_is_in_the_right_row(
    three_keys: list[str], gate: LiveGate, valkey: Redis
) -> None:
    decisions = []
    for number in range(60):
        meter = "images" if number % 3 == 0 else "chat"
        for key in three_keys:
            decision = gate.check(key, at=WEDNESDAY + number * HOUR / 7, meter=meter)
            assert decision.allowed
            decisions.append((decision, meter))

    assert drain.move_all() == len(decisions) == 180

    expected = charged(decisions)
    assert {row[4] for row in expected} == {"allowance", "boost", "credits"}
    assert {row[2] for row in expected} == {"chat", "images"}
    assert rows() == expected
    assert waiting(valkey) == 0


def test_a_drain_that_is_spread_out_leaves_nothing(
    plans: None, gate: LiveGate, valkey: Redis
) -> None:
    owners = [User.objects.create_user(f"{number}@example.com") for number in range(20)]
    keys = [
        issue_api_key(account=one.personal_account, name="laptop", submission=uuid4(), by=one)[1]
        for one in owners
    ]
    for key in keys:
        assert gate.check(key, at=WEDNESDAY).allowed
    # Whoever is loaded into a partition drains it first.
    left = waiting(valkey)
    assert left > 8
    assert drain.move_all(over_seconds=0.01) == left
    assert waiting(valkey) == 0
    assert drain.move_all(over_seconds=0.01) == 0


def test_boosts_and_ledger_agree_with_what_the_gate_took(
    three_keys: list[str], gate: LiveGate
) -> None:
    spent: Counter[int] = Counter()
    credits: Counter[str] = Counter()
    for key in three_keys:
        for decision in gate.use(key, 60, at=WEDNESDAY):
            assert decision.answer is not None
            spent.update(dict(read_boosts(decision.answer.boosts_taken)))
            credits[decision.handle] += decision.answer.credits_taken
    drain.move_all()
    assert dict(Boost.objects.exclude(spent=0).values_list("pk", "spent")) == dict(spent)
    ledger = CreditEntry.objects.filter(kind="spend").values_list("account__handle", "credits")
    assert {handle: -amount for handle, amount in ledger} == dict(+credits)
    assert sorted(spent.values()) == [10, 20]
    assert sum(credits.values()) == 2 * 50


def test_one_drain_writes_one_ledger_line_an_account_that_names_its_range(
    account: Account, key: str, gate: LiveGate
) -> None:
    fund(account, chats=1)
    gate.use(key, 61, at=WEDNESDAY)
    drain.move_all()
    (line,) = CreditEntry.objects.filter(kind="spend")
    assert (line.account, line.credits) == (account, -20)
    index = hot_state.partition_of(account.handle)
    partition = Partition.objects.get(pk=index)
    assert line.source_ref.startswith(f"drain:{index}:")
    assert line.source_ref.endswith(f":{partition.drained_id}:{account.handle}")


def test_a_key_was_last_used_at_its_latest_charge(
    account: Account, key: str, gate: LiveGate
) -> None:
    for minutes in (5, 30, 10):
        gate.check(key, at=WEDNESDAY + timedelta(minutes=minutes))
    drain.move_all()
    used_at = ApiKey.objects.get().last_used_at
    assert used_at == WEDNESDAY + timedelta(minutes=30)
    gate.check(key, at=WEDNESDAY)
    drain.move_all()
    assert ApiKey.objects.get().last_used_at == used_at


def test_when_a_key_was_last_used_is_written_once_a_minute(
    account: Account, key: str, gate: LiveGate
) -> None:
    seen = []
    for seconds in (5, 59, 60):
        gate.check(key, at=WEDNESDAY + timedelta(seconds=seconds))
        drain.move_all()
        seen.append(ApiKey.objects.get().last_used_at)
    first, next_minute = (WEDNESDAY + timedelta(seconds=seconds) for seconds in (5, 60))
    assert seen == [first, first, next_minute]


def test_tokens_are_counted_by_key_meter_model_and_hour(
    account: Account, key: str, gate: LiveGate
) -> None:
    def settled(model: str, *, hours: int = 0, meter: str = "chat") -> None:
        at = WEDNESDAY + timedelta(hours=hours)
        held = gate.check(key, meter=meter, hold_seconds=60, at=at)
        gate.settle(held, 1, tokens=Tokens(model, tokens_in=3, tokens_out=40), at=at)

    settled("small")
    settled("small")
    drain.move_all()
    settled("small")
    settled("large")
    settled("large", hours=1)
    settled("large", meter="voice")
    gate.use(key, 1, at=WEDNESDAY)
    drain.move_all()
    drain.move_all()
    counted = TokenRollup.objects.order_by("meter", "model", "hour").values_list(
        "meter", "model", "hour__hour", "answers", "tokens_in", "tokens_out"
    )
    assert list(counted) == [
        ("chat", "large", 12, 1, 3, 40),
        ("chat", "large", 13, 1, 3, 40),
        ("chat", "small", 12, 3, 9, 120),
        ("voice", "large", 12, 1, 3, 40),
    ]
    assert {row.account for row in TokenRollup.objects.all()} == {account}


def test_a_refused_chat_leaves_nothing_to_drain(key: str, gate: LiveGate) -> None:
    gate.use(key, 50, at=WEDNESDAY)
    for _ in range(5):
        assert not gate.check(key, at=WEDNESDAY).allowed
    assert drain.move_all() == 50
    assert drain.move_all() == 0


def test_draining_again_changes_nothing(account: Account, key: str, gate: LiveGate) -> None:
    fund(account)
    gate.use(key, 90, at=WEDNESDAY)
    assert drain.move_all() == 90
    before = rows(), list(CreditEntry.objects.values()), list(Boost.objects.values())
    for _ in range(3):
        assert drain.move_all() == 0
    assert (rows(), list(CreditEntry.objects.values()), list(Boost.objects.values())) == before


def test_more_than_a_batch_is_drained_in_one_go(
    account: Account, key: str, gate: LiveGate, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "_BATCH", 10)
    fund(account)
    decisions = gate.use(key, 90, at=WEDNESDAY)
    assert drain.move_all() == 90
    assert waiting(valkey) == 0
    assert rows() == charged((decision, "chat") for decision in decisions)
    assert CreditEntry.objects.filter(kind="spend").count() == 1


def test_a_refund_before_the_drain_cancels_out(account: Account, key: str, gate: LiveGate) -> None:
    boost = fund(account)
    decisions = gate.use(key, 85, at=WEDNESDAY)
    assert all(gate.refund(decision, at=WEDNESDAY + HOUR) for decision in decisions)
    drain.move_all()
    assert rows() == Counter()
    boost.refresh_from_db()
    assert boost.spent == 0
    assert not CreditEntry.objects.filter(kind="spend").exists()


def test_a_refund_after_the_drain_is_subtracted_where_the_charge_was_counted(
    account: Account, key: str, gate: LiveGate
) -> None:
    boost = fund(account)
    kept = gate.use(key, 70, at=WEDNESDAY)
    returned = gate.use(key, 25, at=WEDNESDAY)
    drain.move_all()
    for decision in returned:
        gate.refund(decision, at=WEDNESDAY + 3 * HOUR)
    drain.move_all()
    assert rows() == charged((decision, "chat") for decision in kept)
    boost.refresh_from_db()
    assert boost.spent == 20
    spent = CreditEntry.objects.filter(kind="spend").values_list("credits", flat=True)
    assert sorted(spent) == [-30, 30]


def test_charges_of_an_unknown_account_are_dropped_loudly_and_block_nobody(
    account: Account, key: str, gate: LiveGate, valkey: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    stream = hot_state.stream_name(hot_state.partition_of(account.handle))
    first = gate.check(key, at=WEDNESDAY)
    at_ms = first.answer.at_ms if first.answer else 0
    valkey.xadd(stream, {"e": f"Unknown0|1|chat|3191|1||0|0|{at_ms}"})
    second = gate.check(key, at=WEDNESDAY)
    assert drain.move_all() == 3
    assert rows() == charged([(first, "chat"), (second, "chat")])
    assert waiting(valkey) == 0
    assert "charges of 1 unknown accounts are dropped" in caplog.text


def test_a_charge_by_a_clock_that_runs_behind_counts_in_the_week_that_paid(
    account: Account, key: str, gate: LiveGate
) -> None:
    monday = WEDNESDAY.replace(day=10, hour=0)
    gate.check(key, at=monday)
    late = gate.check(key, at=monday - timedelta(minutes=20))
    assert late.answer is not None
    assert late.answer.used == 2
    drain.move_all()
    assert list(UsageRollup.objects.values_list("hour", "chats")) == [(monday, 2)]
