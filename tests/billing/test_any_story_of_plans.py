"""Any story of plans, auto top-ups and spending choices: there is what Stripe says is paid.

Months pass, cards fail and are replaced, events are lost, late, doubled and in any order, answers
never reach us, and the process dies between any two steps. What there is to be follows from the
invoices and payments that Stripe has, and from nothing that we wrote down.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from accounts.models import User
from billing import comparing, events, fulfilment, reconciling
from billing.models import BookCheck, Difference, Purchase, StripeEvent
from billing.stripe_client import customers as customers_there
from billing.stripe_client import intents, sessions
from billing.stripe_client import subscriptions as subscriptions_there
from billing.subscriptions import keeping, sweeping
from billing.subscriptions.models import PlanOrder, Subscription
from billing.top_ups import paying
from billing.top_ups.models import AutoTopUp
from gate.terms.spending import NO_LIMITS, PastAllowance, Spending
from quotas import comparing as of_the_gate
from quotas import entitlements, grants
from quotas.models.entitlements import SpendingChoice
from quotas.models.ledger import CreditEntry
from quotas.projection import push_pending_accounts
from tests.billing.mishaps import (
    Steps,
    all_arrives,
    answers_lost,
    arrives,
    deaths,
    dying,
    picks,
)
from tests.billing.subscriber import GRACE
from tests.billing.wisher import Wisher
from tests.billing.word_of_stripe import WordOfStripe, period
from tests.quotas.stories import Acts, tell
from tests.stripe_sandbox.running_sandbox import Running
from tests.stripe_sandbox.subscriber import PAYS, put_ahead, use_card

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
# What may be the last that a process does: before it, or right after it.
STEPS: Steps = (
    (customers_there, "create"),
    (sessions, "create_for_plan"),
    (sessions, "expire"),
    (sessions, "retrieve"),
    (subscriptions_there, "retrieve"),
    (subscriptions_there, "change_price"),
    (subscriptions_there, "set_ending"),
    (intents, "pay"),
    (intents, "retrieve"),
    (keeping, "keep"),
    (grants, "bring_plans_to"),
    (grants, "grant_credits"),
    (fulfilment, "grant"),
    (PlanOrder, "end"),
    (Purchase, "mark"),
    (AutoTopUp, "stop"),
    (AutoTopUp, "wait"),
    (StripeEvent, "mark_handled"),
)
REFUSED, ASKS = "4000000000000341", "4000002760003184"
CHOICES: dict[str, Spending] = {
    "all": NO_LIMITS,
    "boosts": Spending(past_allowance=PastAllowance.BOOSTS),
    "nothing": Spending(past_allowance=PastAllowance.NOTHING, credits_a_month=300),
}

act = Acts()
plans = st.sampled_from(["core", "plus", "pro"])
intervals = st.sampled_from(["month", "month", "month", "year"])
# Whether the answer to what we ask for is lost; what is heard is done all the same.
losses = st.sampled_from([False, False, False, False, False, True])


class Plans(RuleBasedStateMachine):
    """One account that subscribes, changes, ends, and has credits bought by themselves."""

    sandbox: ClassVar[Running]
    numbers: ClassVar[Iterator[int]] = count()

    @initialize(is_told=st.booleans(), has_card=st.booleans())
    def begin(self, is_told: bool, has_card: bool) -> None:
        """is_told: in the end every event comes; otherwise sweeps have to find everything."""
        # One clock for both, as in life; other stories were told on it as well.
        self.clock = time_machine.travel(datetime.now(UTC), tick=True)
        self.travel = self.clock.start()
        BookCheck.objects.all().delete()
        self.is_told = is_told
        user = User.objects.create_user(
            f"story-{next(self.numbers)}@example.com", "correct horse battery staple", name="Olga"
        )
        self.user, self.wisher = user, Wisher(Client(), self.sandbox, user)
        self.wisher.client.force_login(user)
        self.chosen = NO_LIMITS
        self.month_cents = 0
        self.stripe = WordOfStripe(self.sandbox, email=user.email)
        self.earlier = {event["id"] for event in self.wisher.said()}
        if has_card:
            self.save_card(PAYS)
            self.want(500, 20)

    @property
    def now(self) -> datetime:
        return timezone.now()

    # --- plans ----------------------------------------------------------------------------------

    @act(times=5, plan=plans, interval=intervals, pays=st.booleans(), death=deaths, loses=losses)
    def choose(self, plan: str, interval: str, pays: bool, death: int, loses: bool) -> None:
        """A plan is chosen, the first one or another; perhaps it is paid for at once."""
        with self.losing(loses), dying(death, steps=STEPS):
            self.wisher.choose(plan, interval)
        if pays:
            self.pay(which=0)

    @act(which=st.integers(0, 2))
    def pay(self, which: int) -> None:
        """Any order whose page was ever led to is paid there, if Stripe still takes it."""
        led_to = PlanOrder.objects.filter(account=self.wisher.account).exclude(checkout_url="")
        if order := led_to.order_by("-created_at")[which : which + 1].first():
            self.wisher.pay(order)

    @act(which=st.integers(0, 2), death=deaths)
    def land(self, which: int, death: int) -> None:
        orders = PlanOrder.objects.filter(account=self.wisher.account).order_by("-created_at")
        if order := orders[which : which + 1].first():
            with dying(death, steps=STEPS):
                self.wisher.land(order)

    @act(what=st.sampled_from(["end", "resume"]), death=deaths, loses=losses)
    def end_or_resume(self, what: str, death: int, loses: bool) -> None:
        with self.losing(loses), dying(death, steps=STEPS):
            self.wisher.client.post(f"/account/billing/plans/{what}", {"submission": uuid4()})

    @act(fails=st.booleans())
    def card_of_the_plan(self, fails: bool) -> None:
        """Whatever pays for the plan is another card from now on, which is refused or not."""
        for living in self.stripe.living():
            use_card(
                self.sandbox, living, "pm_card_chargeCustomerFail" if fails else "pm_card_visa"
            )

    @act(times=2)
    def open_invoice_is_paid(self) -> None:
        for invoice in self.stripe.invoices("open"):
            if living := self.stripe.living():
                use_card(self.sandbox, living[0], "pm_card_visa")
                self.sandbox.api.v1.invoices.pay(invoice.id)

    @act(is_now=st.booleans())
    def ended_at_stripe(self, is_now: bool) -> None:
        """In the portal, or by somebody who looks after the Stripe account."""
        for living in self.stripe.living():
            if is_now:
                self.sandbox.api.v1.subscriptions.cancel(living.id)
            elif not living.pending_update:
                wanted: Any = {"cancel_at_period_end": True}
                self.sandbox.api.v1.subscriptions.update(living.id, params=wanted)

    # --- credits that are bought by themselves ---------------------------------------------------

    @act(number=st.sampled_from([PAYS, PAYS, REFUSED, ASKS]))
    def save_card(self, number: str) -> None:
        # There may be no page to save it on yet: the customer's answer was lost.
        with suppress(httpx.UnsupportedProtocol):
            self.wisher.save_card(number)

    @act(times=2, below=st.sampled_from([200, 500]), dollars=st.sampled_from([5, 20]))
    def want(self, below: int, dollars: int) -> None:
        answer = self.wisher.want(below_credits=below, month_cents=str(dollars))
        if answer == 302:
            self.month_cents = max(self.month_cents, dollars * 100)

    @act(forgets=st.booleans())
    def want_nothing(self, forgets: bool) -> None:
        sent = {"card": "forget"} if forgets else {}
        self.wisher.client.post("/account/billing/top-up/off", sent)

    @act(times=4, credits=st.sampled_from([100, 600]), death=deaths, loses=losses)
    def spend(self, credits: int, death: int, loses: bool) -> None:
        """Credits run low; some minutes later the task has its turn."""
        self.wisher.spend(credits)
        self.time_passes(minutes=6)
        with self.losing(loses), dying(death, steps=STEPS):
            self.wisher.runs(self.now)

    @act(tenths=st.integers(1, 10))
    def refund(self, tenths: int) -> None:
        """Some of what a top-up has cost goes back."""
        for intent in self.stripe.top_ups():
            charge: Any = self.sandbox.api.v1.charges.retrieve(str(intent.latest_charge))
            left = charge.amount - charge.amount_refunded
            if charge.paid and left:
                wanted: Any = {"charge": charge.id, "amount": max(1, left * tenths // 10)}
                self.sandbox.api.v1.refunds.create(params=wanted)
                return

    # --- what may be spent -----------------------------------------------------------------------

    @act(which=st.sampled_from(sorted(CHOICES)), death=deaths)
    def choose_spending(self, which: str, death: int) -> None:
        choice = CHOICES[which]
        sent = {
            "past_allowance": which,
            "credits_a_week": "",
            "credits_a_month": choice.credits_a_month or "",
            "units_a_request": "",
        }
        before = self.chosen
        with dying(death, steps=((grants, "choose_spending"),)):
            self.wisher.client.post("/account/billing/spending", sent)
        # Who dies before it is done has chosen nothing.
        self.chosen = before if death == 1 else choice

    # --- what Stripe says, and when --------------------------------------------------------------

    @act(times=4, picks=picks, death=deaths, again=st.booleans())
    def hear(self, picks: list[int], death: int, again: bool) -> None:
        """Some of what Stripe says arrives, in an order of its own, perhaps a second time."""
        said = self.said()
        for pick in picks if said else ():
            stored = arrives(said[-1 - pick % len(said)], again=again)
            with dying(death, steps=STEPS):
                events.handle(stored.pk, at=self.now)

    @act(times=2, death=deaths)
    def sweep(self, death: int) -> None:
        self.time_passes(minutes=31)
        with dying(death, steps=STEPS):
            events.handle_pending(at=self.now)
            sweeping.ask_about_due(at=self.now)
            self.wisher.runs(self.now)

    @act(death=deaths)
    def reconcile(self, death: int) -> None:
        self.time_passes(minutes=61)
        with dying(death, steps=STEPS):
            reconciling.reconcile_if_due(at=self.now)

    @act(times=3, days=st.sampled_from([1, 4, 9, 31]))
    def days_pass(self, days: int) -> None:
        """Nothing is heard meanwhile, but who lives asks from time to time."""
        for some in (days // 2, days - days // 2):
            self.time_passes(days=some)
            sweeping.ask_about_due(at=self.now)

    @rule(what=act.next)
    def something_happens(self, what: tuple[str, dict[str, Any]]) -> None:
        name, arguments = what
        getattr(self, name)(**arguments)

    # --- what is so at any time ------------------------------------------------------------------

    @invariant()
    def nothing_counts_that_was_not_paid(self) -> None:
        if not hasattr(self, "wisher"):
            return
        counting = entitlements.plan_of(self.wisher.account, at=self.now)
        if counting.is_default:
            return
        paid = [self.stripe.paid_plan(invoice) for invoice in self.stripe.invoices("paid")]
        until = {plan.pk: ends for plan, ends in paid if plan.position >= counting.position}
        assert until, "it was never paid"
        assert max(until.values()) + GRACE > self.now, "what was paid is over"

    @invariant()
    def a_holder_has_one_plan_and_what_is_left_of_a_better_one(self) -> None:
        if not hasattr(self, "wisher"):
            return
        for row in Subscription.objects.filter(account=self.wisher.account):
            held = grants.plans_held(row.account, row.holder, at=self.now)
            by_rank = sorted(held, key=lambda one: one.plan.position)
            assert len({one.plan.pk for one in held}) == len(held)
            # The better one ends no later: it never follows what it was exchanged for.
            ends = [one.ends_at for one in by_rank]
            assert ends == sorted(ends, reverse=True)

    @invariant()
    def no_top_up_is_charged_twice_given_for_nothing_or_beyond_the_bound(self) -> None:
        if not hasattr(self, "wisher"):
            return
        charged = Counter(intent.metadata["purchase"] for intent in self.stripe.charged())
        assert set(charged.values()) <= {1}
        by_month: Counter[tuple[int, int]] = Counter()
        for purchase in Purchase.objects.filter(account=self.wisher.account):
            given = CreditEntry.objects.filter(source_ref=purchase.source_ref).count()
            assert given <= charged[str(purchase.pk)]
            if charged[str(purchase.pk)]:
                created = purchase.created_at
                by_month[created.year, created.month] += purchase.amount_cents
        assert all(cents <= self.month_cents for cents in by_month.values())

    # --- the end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        """In the end everything is heard of, or found: what there is, is what Stripe says."""
        if not hasattr(self, "wisher"):
            return
        try:
            self.ends()
        finally:
            self.is_over()

    def ends(self) -> None:
        # Who died held what they were at for a while.
        self.time_passes(minutes=40)
        if self.is_told:
            all_arrives(self.said(), now=timezone.now)
            self.plan_is_as_stripe_says()
            self.credits_are_as_stripe_says()
        self.time_passes(hours=7)
        sweeping.ask_about_due(at=self.now)
        self.want_nothing(forgets=False)
        self.wisher.runs(self.now)
        BookCheck.objects.all().delete()
        reconciling.reconcile(at=self.now)
        while events.handle_pending(at=self.now):
            pass
        self.plan_is_as_stripe_says()
        self.credits_are_as_stripe_says()
        self.no_top_up_is_charged_twice_given_for_nothing_or_beyond_the_bound()
        assert not Purchase.objects.filter(account=self.wisher.account, status="pending").exists()
        assert entitlements.spending_of(self.wisher.account) == self.chosen
        chosen = SpendingChoice.objects.filter(account=self.wisher.account, ended_at=None)
        assert chosen.count() <= 1
        push_pending_accounts()
        self.time_passes(hours=1)
        comparing.compare(at=self.now)
        assert not list(Difference.objects.open())

    def is_over(self) -> None:
        """The next story begins earlier, with a customer of its own and nothing of this one."""
        for living in self.stripe.living():
            self.sandbox.api.v1.subscriptions.cancel(living.id)
        account = self.wisher.account
        Subscription.objects.filter(account=account).update(ended_at=self.now)
        PlanOrder.objects.filter(account=account, status="open").update(status="discarded")
        AutoTopUp.objects.filter(account=account).update(is_on=False)
        Purchase.objects.filter(account=account, status="pending").update(status="discarded")
        StripeEvent.objects.filter(handled_at=None).update(handled_at=self.now)
        Difference.objects.all().delete()
        self.clock.stop()

    def plan_is_as_stripe_says(self) -> None:
        self.stripe.forget()
        assert len(self.stripe.customer_ids()) <= 1, "two customers"
        living = self.stripe.living()
        assert len(living) <= 1, "two living subscriptions"
        now = self.now
        ends = [period(one)[1] for one in living] or [now]
        for at in (now, ends[0] - HOUR, ends[0] + HOUR, ends[0] + GRACE + HOUR):
            if at >= now:
                counting = entitlements.plan_of(self.wisher.account, at=at).slug
                assert counting == self.stripe.plan(at), (at, living)
        known = Subscription.objects.filter(account=self.wisher.account, ended_at=None)
        assert [row.stripe_subscription_id for row in known] == [one.id for one in living]

    def credits_are_as_stripe_says(self) -> None:
        charged = {intent.metadata["purchase"]: intent for intent in self.stripe.charged()}
        bought = Purchase.objects.filter(account=self.wisher.account)
        assert {str(one.pk) for one in bought if one.status == "paid"} == set(charged)
        for purchase in bought:
            lines = CreditEntry.objects.filter(source_ref__startswith=purchase.source_ref)
            credits = sum(lines.values_list("credits", flat=True))
            intent = charged.get(str(purchase.pk))
            kept = 0
            if intent:
                charge: Any = self.sandbox.api.v1.charges.retrieve(str(intent.latest_charge))
                kept = charge.amount - charge.amount_refunded
            assert credits == -(-purchase.credits * kept // purchase.amount_cents)

    # --- the clock, and what is heard ------------------------------------------------------------

    def time_passes(self, **by: int) -> None:
        self.travel.shift(timedelta(**by))
        # What fell due on the way, at once.
        put_ahead(self.sandbox, days=0)
        self.wisher.client.force_login(self.user)

    def losing(self, loses: bool) -> Any:
        return answers_lost(self.sandbox, only=["POST /v1/*"]) if loses else nullcontext()

    def said(self) -> list[dict[str, Any]]:
        """What Stripe has to say of this story, the oldest first."""
        return [event for event in self.wisher.said() if event["id"] not in self.earlier]


@pytest.fixture
def at_a_stripe_of_its_own(
    products: None,
    own_sandbox: Running,
    stripe_at: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stripe_at(own_sandbox.origin)
    monkeypatch.setattr(of_the_gate, "_BETWEEN_LOOKS_SECONDS", 0.0)
    Plans.sandbox = own_sandbox


@pytest.mark.parametrize("volume", [1, 2])
def test_whatever_happens_in_the_end_the_plan_is_what_was_paid_for(
    at_a_stripe_of_its_own: None, volume: int
) -> None:
    tell(Plans, volume=volume)


def subscribed_to_pro() -> Plans:
    """A story that begins with a plan that is paid by the month."""
    story = Plans()
    story.begin(is_told=True, has_card=True)
    story.choose("pro", "month", pays=True, death=0, loses=False)
    story.land(0, death=0)
    return story


def test_a_story_in_which_a_lesser_plan_begins_too_early_would_be_noticed(
    at_a_stripe_of_its_own: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the stories can fail."""
    story = subscribed_to_pro()
    monkeypatch.setattr(keeping, "is_more", lambda _one, _other: False)
    story.choose("core", "month", pays=False, death=0, loses=False)
    with pytest.raises(AssertionError):
        story.teardown()


def test_a_story_in_which_a_plan_is_kept_for_nothing_would_be_noticed(
    at_a_stripe_of_its_own: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That what is so at any time can fail."""
    story = subscribed_to_pro()
    monkeypatch.setattr(keeping, "_PAID", {"active", "past_due"})
    story.card_of_the_plan(fails=True)
    story.days_pass(days=31)
    story.days_pass(days=9)
    try:
        with pytest.raises(AssertionError, match="is over"):
            story.nothing_counts_that_was_not_paid()
    finally:
        story.is_over()


def test_a_story_in_which_a_top_up_is_granted_unpaid_would_be_noticed(
    at_a_stripe_of_its_own: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of what is bought by itself."""
    story = Plans()
    story.begin(is_told=True, has_card=False)
    story.save_card(REFUSED)
    story.want(500, 20)
    monkeypatch.setattr(paying, "_failed", lambda purchase, _why, *, at: grant_unpaid(purchase, at))
    story.spend(100, death=0, loses=False)
    try:
        with pytest.raises(AssertionError):
            story.no_top_up_is_charged_twice_given_for_nothing_or_beyond_the_bound()
    finally:
        story.is_over()


def grant_unpaid(purchase: Purchase, at: datetime) -> None:
    with transaction.atomic():
        fulfilment.grant(purchase, at=at)
