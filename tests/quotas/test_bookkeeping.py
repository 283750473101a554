"""Any story of grants, chats, refunds, drains and accidents: every balance is what it must be.

A model in plain Python keeps the books beside the product. After every step the gate's standing,
the usage page and the ledger must say what the model says.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar
from uuid import uuid4

import pytest
import time_machine
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis import Redis

from accounts.models import Account, User
from gate import hot_state, snapshots, week
from gate.check import CannotRefund, Decision
from gate.snapshots import AccountSnapshot
from keys.issue import issue_api_key
from quotas import catalogue, grants, projection, rollups
from quotas.closing import close_ended_weeks
from quotas.models import Boost, CreditEntry, Meter, Pack, Plan, QuotaPolicy
from quotas.standing import standing_of
from quotas.usage import week_usage
from tests.quotas.live_gate import LiveGate

# A Sunday evening: the week is about to end, and refunds may come after it has.
START = datetime(2031, 3, 9, 20, tzinfo=UTC)
CAPS = {"small": 3, "large": 6, "endless": None}
PACK_CAP = 9
COSTS = {"chat": 1, "images": 2}


@dataclass
class ModelBoost:
    """A boost as the model knows it."""

    pk: int
    chats: int
    expires_at: datetime
    spent: int = 0

    @property
    def left(self) -> int:
        return max(0, self.chats - self.spent)


@dataclass
class ModelCharge:
    """A charge, and what paid it."""

    decision: Decision
    at: datetime
    week: int
    allowance: int
    boosts: dict[int, int]
    credit_chats: int
    credits: int
    is_refunded: bool = False

    @property
    def chats(self) -> int:
        return self.allowance + sum(self.boosts.values()) + self.credit_chats


@dataclass
class Books:
    """All that the model knows."""

    plan: str = "small"
    pack_is_on: bool = False
    rate: int = 2
    credits: int = 0
    used: dict[int, int] = field(default_factory=dict)  # week -> allowance chats
    boosts: dict[int, ModelBoost] = field(default_factory=dict)
    charges: list[ModelCharge] = field(default_factory=list)

    @property
    def cap(self) -> int | None:
        """The plan's cap, lifted by the pack; None is unlimited."""
        own = CAPS[self.plan]
        return own if own is None or not self.pack_is_on else max(own, PACK_CAP)

    def live_boosts(self, now: datetime) -> list[ModelBoost]:
        """Boosts that can pay, in the order they do."""
        live = [boost for boost in self.boosts.values() if boost.expires_at > now]
        return sorted(live, key=lambda boost: (boost.expires_at, boost.pk))

    def pay(self, chats: int, *, now: datetime) -> tuple[int, dict[int, int], int] | None:
        """Allowance, boosts and credit chats that pay; None when that is not enough."""
        this_week = week.week_of(week.to_ms(now))
        used, cap = self.used.get(this_week, 0), self.cap
        allowance = chats if cap is None else min(chats, max(0, cap - used))
        missing, boosts = chats - allowance, {}
        live = self.live_boosts(now)
        for boost in live:
            part = min(missing, boost.left)
            if part:
                boosts[boost.pk] = part
                missing -= part
        if missing * self.rate > max(0, self.credits):
            return None
        self.used[this_week] = used + allowance
        for pk, part in boosts.items():
            self.boosts[pk].spent += part
        self.credits -= missing * self.rate
        return allowance, boosts, missing

    def refund(self, charge: ModelCharge, *, now: datetime) -> None:
        """Undo a charge; an allowance chat of a week that has ended is gone."""
        charge.is_refunded = True
        this_week = week.week_of(week.to_ms(now))
        if charge.week == this_week:
            self.used[this_week] -= charge.allowance
        for pk, part in charge.boosts.items():
            self.boosts[pk].spent -= part
        self.credits += charge.credits

    def week_chats(self, number: int) -> int:
        """What the usage page shows for a week: its charges without those given back."""
        return sum(c.chats for c in self.charges if c.week == number and not c.is_refunded)


def set_rate(rate: int) -> None:
    """What a chat costs in credits; telling all partitions takes a while, so only if it changes."""
    if QuotaPolicy.objects.exclude(credits_per_chat=rate).update(credits_per_chat=rate):
        catalogue.changed()


class Bookkeeping(RuleBasedStateMachine):
    """One account through one story."""

    gate: ClassVar[LiveGate]
    valkey: ClassVar[Redis]
    owner: ClassVar[User]
    sources: ClassVar[Iterator[int]] = count()

    @initialize()
    def open_account(self) -> None:
        self.books = Books()
        self.clock = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.late_snapshots: list[AccountSnapshot] = []
        set_rate(self.books.rate)
        self.account = Account.objects.create(name="story")
        grants.move_to_plan(account=self.account, plan=Plan.objects.get(slug="small"))
        self.grant_credits(credits=10, times=1)
        _, self.key = issue_api_key(
            account=self.account, name="k", submission=uuid4(), by=self.owner
        )
        # Every story has a charge of the week that is about to end, so that it may be given back.
        self.check(units=2, meter="chat")

    def teardown(self) -> None:
        if hasattr(self, "clock"):
            self.clock.stop()

    @property
    def now(self) -> datetime:
        return timezone.now()

    def source(self) -> str:
        return f"story:{next(self.sources)}"

    # --- grants ---------------------------------------------------------------------------------

    @rule(chats=st.integers(1, 8), days=st.sampled_from([1, 7]), times=st.integers(1, 2))
    def buy_boost(self, chats: int, days: int, times: int) -> None:
        source, expires_at = self.source(), self.now + timedelta(days=days)
        for _ in range(times):
            boost = grants.grant_boost(
                account=self.account,
                chats=chats,
                at=self.now,
                expires_at=expires_at,
                source_ref=source,
            )
        self.books.boosts[boost.pk] = ModelBoost(boost.pk, chats, expires_at)

    @rule(credits=st.integers(-5, 20).filter(bool), times=st.integers(1, 2))
    def grant_credits(self, credits: int, times: int) -> None:
        source = self.source()
        for _ in range(times):
            grants.grant_credits(
                account=self.account,
                credits=credits,
                kind=CreditEntry.Kind.GRANT,
                at=self.now,
                source_ref=source,
            )
        self.books.credits += credits

    @rule(slug=st.sampled_from(sorted(CAPS)))
    def move_to_plan(self, slug: str) -> None:
        plan = Plan.objects.get(slug=slug)
        grants.move_to_plan(account=self.account, plan=plan)
        self.books.plan = slug
        self.books.pack_is_on = self.books.pack_is_on and slug == "large"

    @rule(on=st.booleans())
    def switch_pack(self, on: bool) -> None:
        pack = Pack.objects.get(slug="story-pack")
        if on and self.books.plan != "large":
            with pytest.raises(grants.CannotSwitchPack):
                grants.switch_pack(account=self.account, pack=pack, on=on)
            return
        grants.switch_pack(account=self.account, pack=pack, on=on)
        self.books.pack_is_on = on

    @rule(rate=st.integers(1, 3))
    def change_rate(self, rate: int) -> None:
        set_rate(rate)
        self.books.rate = rate

    # --- use ------------------------------------------------------------------------------------

    # Hours that pass before somebody acts; most acts follow at once.
    waits = st.sampled_from([0, 0, 0, 5, 20])

    @rule(units=st.integers(1, 4), meter=st.sampled_from(sorted(COSTS)), wait=waits)
    def check(self, units: int, meter: str, wait: int = 0) -> None:
        self.time_passes(wait)
        now = self.now
        decision = self.gate.check(self.key, units, at=now, meter=meter)
        paid = self.books.pay(units * COSTS[meter], now=now)
        assert decision.allowed is (paid is not None)
        if paid is None:
            assert decision.reason == "quota_exhausted"
            return
        assert decision.answer is not None
        boosts = dict(hot_state.read_boosts(decision.answer.boosts_taken))
        credit_chats = decision.answer.credits_taken // self.books.rate
        assert (decision.answer.allowance_taken, boosts, credit_chats) == paid
        this_week = week.week_of(week.to_ms(now))
        credits = decision.answer.credits_taken
        self.books.charges.append(ModelCharge(decision, now, this_week, *paid, credits))

    @precondition(lambda self: self.books.charges)
    @rule(back=st.integers(0, 3), wait=waits)
    def refund(self, back: int, wait: int) -> None:
        self.time_passes(wait)
        charge = self.books.charges[-1 - back % len(self.books.charges)]
        if self.now - charge.at > timedelta(hours=24):
            with pytest.raises(CannotRefund, match="too_late"):
                self.gate.refund(charge.decision, at=self.now)
            return
        refund = self.gate.refund(charge.decision, at=self.now)
        assert refund.status == ("already" if charge.is_refunded else "ok")
        if not charge.is_refunded:
            self.books.refund(charge, now=self.now)

    # --- time and accidents ---------------------------------------------------------------------

    @rule(hours=st.sampled_from([30, 24 * 5]))
    def time_passes(self, hours: int) -> None:
        self.traveller.shift(timedelta(hours=hours))

    @rule(then_close=st.booleans())
    def drain(self, then_close: bool) -> None:
        rollups.drain()
        if then_close:
            close_ended_weeks(at=self.now)

    @rule(late=st.booleans())
    def push_again(self, late: bool) -> None:
        snapshot = projection.account_snapshot(self.account)
        self.late_snapshots.append(snapshot)
        delivered = self.late_snapshots[0 if late else -1]
        call = snapshots.put_account_call(delivered, seed=False)
        assert hot_state.run(self.valkey, call)[0] in {b"stored", b"cold", b"cold_catalogue"}

    @rule()
    def lose_valkey_after_a_drain(self) -> None:
        rollups.drain()
        self.valkey.flushall()
        # What was on its way died with the connections; refunds are remembered all the same.
        self.late_snapshots.clear()

    # --- what must hold after every step --------------------------------------------------------

    @invariant()
    def the_gate_says_what_the_books_say(self) -> None:
        standing = standing_of(self.account, at=self.now)
        assert standing is not None
        this_week = week.week_of(week.to_ms(self.now))
        assert standing.cap == self.books.cap
        assert standing.used == self.books.used.get(this_week, 0)
        live = self.books.live_boosts(self.now)
        assert [(b.expires_at, b.left) for b in standing.boosts] == [
            (boost.expires_at, boost.left) for boost in live
        ]
        assert standing.credits_left == self.books.credits

    @invariant()
    def the_ledger_is_the_balance_and_what_was_not_drained(self) -> None:
        ledger = CreditEntry.objects.filter(account=self.account)
        total = ledger.aggregate(all=Sum("credits", default=0))["all"]
        partition = hot_state.partition_of(self.account.handle)
        waiting = rollups.undrained(partition, after="0-0", at_most=10_000)
        credits = sum(e.credits for e in waiting if e.handle == self.account.handle)
        assert total - credits == self.books.credits
        for boost in Boost.objects.filter(account=self.account):
            spent = sum(dict(e.boosts).get(boost.pk, 0) for e in waiting)
            assert boost.spent + spent == self.books.boosts[boost.pk].spent

    @invariant()
    def the_usage_page_adds_up(self) -> None:
        this_week = week.week_of(week.to_ms(self.now))
        usage = week_usage(self.account, at=self.now)
        assert usage.total == self.books.week_chats(this_week)


@pytest.mark.django_db(transaction=True)
def test_the_books_balance_in_any_story(owner: User, gate: LiveGate, valkey: Redis) -> None:
    pack = Pack.objects.create(slug="story-pack", name="Pack", weekly_cap=PACK_CAP)
    for slug, cap in CAPS.items():
        plan = Plan.objects.create(slug=slug, name=slug, weekly_cap=cap)
        if slug == "large":
            plan.packs.add(pack)
    for meter, chats in COSTS.items():
        Meter.objects.filter(slug=meter).update(chats=chats)
    catalogue.changed()
    Bookkeeping.gate, Bookkeeping.valkey, Bookkeeping.owner = gate, valkey, owner
    stateful.run_state_machine_as_test(
        Bookkeeping,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            derandomize=True,
            deadline=None,
            database=None,
            # A story of 25 steps can be read as it is; finding a shorter one takes minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
