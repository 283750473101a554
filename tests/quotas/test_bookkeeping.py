"""Any story of grants, keys, chats, refunds and accidents: every balance is what it must be.

A model in plain Python (`books`) keeps the books beside the product. After every step the gate's
answers to every key, its standing, the usage page and the ledger must say what the model says.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db.models import Sum
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from redis import Redis

from accounts.models import Account, User
from gate.decision.check import CannotRefund, CannotSettle
from gate.store import hot_state, snapshots
from gate.store.charges import Kept
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from quotas import catalogue, grants, projection
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Meter, Pack, Plan, QuotaPolicy
from quotas.standing import standing_of
from quotas.usage import drain, live, spans, stream, totals
from quotas.usage.asked import By, Only
from quotas.usage.closing import close_ended_weeks
from tests import entitled
from tests.quotas import books
from tests.quotas.books import CAPS, COSTS, PACK_CAP, Books, Charge, Key
from tests.quotas.live_gate import LiveGate
from tests.quotas.stories import VOLUMES, Act, Acts, tell

# A Sunday evening: the week is about to end, and refunds may come after it has. Long ago, because
# Valkey's clock does not travel: what was given back must not look as if nobody need remember it.
START = datetime(2021, 3, 7, 20, tzinfo=UTC)
ACTIVE_KEYS = 3

act = Acts()


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
        self.pushes: list[hot_state.Call] = []
        # What a story that failed left behind must not fail the next one.
        self.valkey.flushall()
        set_rate(self.books.rate)
        self.account = Account.objects.open_for(self.owner, name="story")
        entitled.move_to_plan(self.account, "small")
        self.grant_credits(credits=10, repeats=0)
        self.issue_key(cap=None)
        # Every story has a charge of the week that is about to end, so that it may be given back.
        self.chat(which=0, units=2, meter="chat", wait=0)

    def teardown(self) -> None:
        if hasattr(self, "clock"):
            self.clock.stop()

    @property
    def now(self) -> datetime:
        return timezone.now()

    def source(self) -> str:
        return f"story:{next(self.sources)}"

    # --- use ------------------------------------------------------------------------------------

    # Hours that pass before somebody acts; most acts follow at once.
    waits = st.sampled_from([0, 0, 0, 0, 0, 0, 5, 20])
    which_key = st.integers(0, 7)
    meters = st.sampled_from(sorted(COSTS))

    def key(self, which: int) -> Key:
        """One of the keys; seldom a revoked one."""
        keys = [key for key in self.books.keys if key.is_revoked is (which == 7)]
        return keys[which % len(keys)] if keys else self.books.keys[-1]

    @act(times=3, which=which_key, units=st.integers(1, 3), meter=meters, wait=waits)
    def chat(self, which: int, units: int, meter: str, wait: int) -> None:
        self.time_passes(wait)
        self.check(self.key(which), units, meter)

    @act(times=2, which=which_key, beyond=st.integers(0, 1))
    def use_all_that_is_left(self, which: int, beyond: int) -> None:
        key = self.key(which)
        left = min(self.books.left(key, now=self.now), 100)
        self.check(key, max(1, left + beyond), "chat")

    @act(
        times=3,
        which=which_key,
        units=st.integers(1, 3),
        meter=meters,
        hours=st.sampled_from([6, 30]),
    )
    def hold(self, which: int, units: int, meter: str, hours: int) -> None:
        self.check(self.key(which), units, meter, hours_held=hours)

    def check(self, key: Key, units: int, meter: str, *, hours_held: int = 0) -> None:
        now = self.now
        reason, paid = self.books.decide(key, units * COSTS[meter], now=now)
        decision = self.gate.check(
            key.text, units, at=now, meter=meter, hold_seconds=hours_held * 3600
        )
        assert (decision.allowed, decision.reason) == (reason == "ok", reason)
        if not decision.allowed:
            assert decision.charge_id is None
            return
        assert decision.answer is not None
        boosts = dict(hot_state.read_boosts(decision.answer.boosts_taken))
        assert (decision.answer.allowance_taken, boosts) == (paid.allowance, paid.boosts)
        assert decision.answer.credits_taken == paid.credits
        charge = Charge(decision, key, now, units, COSTS[meter], paid)
        if hours_held:
            charge.hold(until=now + timedelta(hours=hours_held))
        self.books.charges.append(charge)

    @act(times=3, back=st.integers(0, 3), wait=waits)
    def refund(self, back: int, wait: int) -> None:
        self.time_passes(wait)
        charges = [c for c in self.books.charges if not c.is_over] or self.books.charges
        charge = charges[-1 - back % len(charges)]
        if self.now - charge.at > timedelta(hours=24):
            with pytest.raises(CannotRefund, match="too_late"):
                self.gate.refund(charge.decision, at=self.now)
            return
        refund = self.gate.refund(charge.decision, at=self.now)
        if charge.is_over:
            assert refund.status == "already"
            return
        returned = charge.refund(now=self.now)
        assert refund == Kept("ok", returned.allowance, returned.boost_chats, returned.credits)

    @act(times=3, back=st.integers(0, 1), units=st.integers(0, 4), wait=waits)
    def settle(self, back: int, units: int, wait: int) -> None:
        self.time_passes(wait)
        holds = [charge for charge in self.books.charges if charge.held_until]
        holds = [hold for hold in holds if hold.status == "held"] or holds
        if not holds:
            self.check(self.key(back), 3, "chat", hours_held=6)
            return
        hold = holds[-1 - back % len(holds)]
        refusal = hold.cannot_settle(units)
        if refusal:
            with pytest.raises(CannotSettle, match=refusal):
                self.gate.settle(hold.decision, units, at=self.now)
            return
        kept = self.gate.settle(hold.decision, units, at=self.now)
        assert kept.status == ("already" if hold.status == "settled" else "ok")
        hold.settle(units)
        paid = hold.paid
        assert kept == Kept(kept.status, paid.allowance, paid.boost_chats, paid.credits)

    # --- grants ---------------------------------------------------------------------------------

    @act(
        times=2,
        chats=st.integers(1, 10),
        days=st.sampled_from([1, 7]),
        repeats=st.integers(0, 1),
    )
    def buy_boost(self, chats: int, days: int, repeats: int) -> None:
        source, expires_at = self.source(), self.now + timedelta(days=days)
        for _ in range(1 + repeats):
            boost = grants.grant_boost(
                account=self.account,
                chats=chats,
                at=self.now,
                expires_at=expires_at,
                source_ref=source,
            )
        self.books.boosts[boost.pk] = books.Boost(boost.pk, chats, expires_at)

    # Credits may also be taken back, as after a dispute.
    @act(credits=st.integers(-5, 20).filter(bool), repeats=st.integers(0, 1))
    def grant_credits(self, credits: int, repeats: int) -> None:
        source = self.source()
        for _ in range(1 + repeats):
            grants.grant_credits(
                account=self.account,
                credits=credits,
                kind=CreditEntry.Kind.GRANT,
                at=self.now,
                source_ref=source,
            )
        self.books.credits_granted += credits

    @act(slug=st.sampled_from(sorted(CAPS)))
    def move_to_plan(self, slug: str) -> None:
        plan = Plan.objects.get(slug=slug)
        entitled.move_to_plan(self.account, plan)
        self.books.plan = slug
        self.books.pack_is_on = self.books.pack_is_on and slug == "large"

    @act(on=st.booleans())
    def switch_pack(self, on: bool) -> None:
        pack = Pack.objects.get(slug="story-pack")
        if on and self.books.plan != "large":
            with pytest.raises(grants.CannotSwitchPack):
                entitled.switch_pack(self.account, pack, on=on)
            return
        entitled.switch_pack(self.account, pack, on=on)
        self.books.pack_is_on = on

    @act(rate=st.integers(1, 3))
    def change_rate(self, rate: int) -> None:
        set_rate(rate)
        self.books.rate = rate

    # A suspended account has a dull story: most of the time it may go on.
    @act(suspended=st.sampled_from([True, False, False]))
    def suspend(self, suspended: bool) -> None:
        entitled.set_suspended(self.account, suspended)
        self.books.is_suspended = suspended

    # --- keys -----------------------------------------------------------------------------------

    @act(times=2, cap=st.sampled_from([None, 2, 6]))
    def issue_key(self, cap: int | None) -> None:
        if sum(not key.is_revoked for key in self.books.keys) == ACTIVE_KEYS:
            return
        name = f"key {len(self.books.keys)}"
        key, text = issue_api_key(
            account=self.account,
            name=name,
            submission=uuid4(),
            by=self.owner,
            limits=KeyLimits(weekly_cap=cap),
        )
        self.books.keys.append(Key(key.pk, name, text, cap))

    @act(
        which=which_key,
        overtakes=st.sampled_from(["nothing", "the key", "the account", "a load"]),
    )
    def revoke_key(self, which: int, overtakes: str) -> None:
        """`overtakes`: what was read before the revocation and arrives after it."""
        if overtakes == "a load":
            self.lose_valkey()
            state = catalogue.partition_snapshot(self.account.partition_index)
            self.deliver(snapshots.put_catalogue_call(*state))
        key = self.key(which)
        row = ApiKey.objects.get(pk=key.pk)
        snapshot = projection.account_snapshot(self.account)
        late = {
            "the key": snapshots.put_key_call(self.account.handle, row.state()),
            "the account": snapshots.put_account_call(snapshot, seed=False),
            "a load": snapshots.put_account_call(snapshot),
        }
        revoke_api_key(key=row, by=self.owner, at=self.now)
        key.is_revoked = True
        if overtakes in late:
            self.deliver(late[overtakes])
        if all(key.is_revoked for key in self.books.keys):
            self.issue_key(cap=None)

    # --- time and accidents ---------------------------------------------------------------------

    @act(hours=st.sampled_from([30, 24 * 5]))
    def time_passes(self, hours: int) -> None:
        self.traveller.shift(timedelta(hours=hours))
        self.books.let_holds_run_out(now=self.now)

    @act(then_close=st.booleans())
    def drain(self, then_close: bool) -> None:
        drain.move_all()
        if then_close:
            close_ended_weeks(at=self.now)
            totals.catch_up(at=self.now + timedelta(hours=1))

    @act(late=st.booleans())
    def push_again(self, late: bool) -> None:
        snapshot = projection.account_snapshot(self.account)
        self.pushes.append(snapshots.put_account_call(snapshot, seed=False))
        self.deliver(self.pushes[0 if late else -1])

    def deliver(self, call: hot_state.Call) -> None:
        status, _ = hot_state.run(self.valkey, call)
        assert status in {b"stored", b"older", b"cold", b"cold_catalogue"}

    @act(then_grant=st.booleans())
    def lose_valkey_after_a_drain(self, then_grant: bool) -> None:
        self.lose_valkey()
        # A grant loads the account; otherwise the gate does.
        if then_grant:
            self.grant_credits(credits=1, repeats=0)

    def lose_valkey(self) -> None:
        drain.move_all()
        self.valkey.flushall()
        self.books.forget_what_is_not_on_record()

    @rule(act=act.next)
    def step(self, act: Act) -> None:
        name, arguments = act
        getattr(self, name)(**arguments)

    # --- what must hold after every step --------------------------------------------------------

    @invariant()
    def everybody_says_what_the_books_say(self) -> None:
        # The keys first: so it is the gate that loads an account after Valkey was lost.
        self.the_gate_answers_every_key()
        self.the_gate_says_what_the_books_say()
        self.the_ledger_is_the_balance_and_what_was_not_drained()
        self.the_usage_page_adds_up()
        self.what_was_done_once_is_done()

    def the_gate_answers_every_key(self) -> None:
        for key in self.books.keys:
            decision = self.gate.check(key.text, 0, at=self.now)
            assert decision.reason == self.books.decide(key, 0, now=self.now)[0]
            if decision.answer is not None:
                counted = (decision.answer.key_cap, decision.answer.key_used)
                assert counted == (key.cap, self.books.used_by(key, now=self.now))

    def the_gate_says_what_the_books_say(self) -> None:
        standing = standing_of(self.account, at=self.now)
        assert standing is not None
        assert standing.suspended is self.books.is_suspended
        assert standing.cap == self.books.cap
        assert standing.used == self.books.used(now=self.now)
        assert [(b.expires_at, b.left) for b in standing.boosts] == [
            (boost.expires_at, self.books.left_of(boost))
            for boost in self.books.live_boosts(now=self.now)
        ]
        assert standing.credits_left == self.books.credits

    def the_ledger_is_the_balance_and_what_was_not_drained(self) -> None:
        ledger = CreditEntry.objects.filter(account=self.account)
        total = ledger.aggregate(all=Sum("credits", default=0))["all"]
        partition = hot_state.partition_of(self.account.handle)
        waiting = stream.entries_after("0-0", index=partition, at_most=10_000)
        credits = sum(e.credits for e in waiting if e.handle == self.account.handle)
        spent = sum(charge.paid.credits for charge in self.books.recorded)
        assert total - credits == self.books.credits_granted - spent
        for boost in Boost.objects.filter(account=self.account):
            chats = sum(dict(e.boosts).get(boost.pk, 0) for e in waiting)
            spent = sum(charge.paid.boosts.get(boost.pk, 0) for charge in self.books.recorded)
            assert boost.spent + chats == spent

    def the_usage_page_adds_up(self) -> None:
        span = spans.quota_weeks(1, zone=ZoneInfo("Asia/Kathmandu"), at=self.now)
        usage = live.look(self.account, span, by=By.KEY, only=Only(), at=self.now).report
        of_this_week = [c for c in self.books.recorded if c.week == books.week_of(self.now)]
        assert usage.total == sum(charge.paid.chats for charge in of_this_week)
        assert usage.total == sum(usage.of_bar(bar) for bar in range(len(span.bars)))
        for key in self.books.keys:
            chats = sum(charge.paid.chats for charge in of_this_week if charge.key is key)
            assert usage.parts[key.pk].chats == chats

    def what_was_done_once_is_done(self) -> None:
        """Asked for again it changes nothing, as the other invariants see."""
        for charge in self.books.charges[-4:]:
            if charge.status == "settled":
                kept = self.gate.settle(charge.decision, charge.kept_units, at=self.now)
                assert kept.status == "already"
            elif charge.is_over and self.now - charge.at <= timedelta(hours=24):
                assert self.gate.refund(charge.decision, at=self.now).status == "already"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("volume", VOLUMES)
def test_the_books_balance_in_any_story(
    volume: int, owner: User, gate: LiveGate, valkey: Redis
) -> None:
    pack = Pack.objects.create(slug="story-pack", name="Pack", weekly_cap=PACK_CAP)
    for slug, cap in CAPS.items():
        plan = Plan.objects.create(slug=slug, name=slug, weekly_cap=cap)
        if slug == "large":
            plan.packs.add(pack)
    for meter, chats in COSTS.items():
        Meter.objects.filter(slug=meter).update(chats=chats)
    catalogue.changed()
    Bookkeeping.gate, Bookkeeping.valkey, Bookkeeping.owner = gate, valkey, owner
    tell(Bookkeeping, volume=volume)
