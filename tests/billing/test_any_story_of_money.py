"""Any story of orders, payments, refunds and disputes: in the end there is what was paid for.

Events are lost, late, doubled and in any order, pages and sweeps come between them, and the process
dies between any two steps. What there is to be follows from what Stripe says of each payment alone.
"""

import json
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from accounts.models import Account
from billing import comparing, events, fulfilment, open_orders, reconciling, returning
from billing.models import BookCheck, Difference, Purchase, StripeEvent
from billing.stripe_client import payments, sessions
from quotas import comparing as of_the_gate
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.projection import push_pending_accounts
from tests.billing.buyer import Buyer
from tests.billing.mishaps import Steps, all_arrives, arrives, deaths, dying, picks
from tests.quotas.stories import Acts, tell

pytestmark = pytest.mark.django_db(transaction=True)

DISPUTED = "4000000000000259"
PRODUCTS = ("weekly-boost", "credits-5", "credits-20")
ORDERS_AT_MOST = 4
# What may be the last that a process does: before it, or right after it.
STEPS: Steps = (
    (sessions, "retrieve"),
    (payments, "payment_of"),
    (fulfilment, "grant"),
    (fulfilment, "take_back_returned"),
    (grants, "grant_credits"),
    (grants, "grant_boost"),
    (Purchase, "mark"),
    (Purchase, "note_returned"),
    (StripeEvent, "mark_handled"),
)

act = Acts()
which_order = st.integers(0, ORDERS_AT_MOST - 1)


class Money(RuleBasedStateMachine):
    """One account that buys, at a Stripe that says so in its own time."""

    buyer: ClassVar[Buyer]
    account: ClassVar[Account]

    @initialize()
    def begin(self) -> None:
        Purchase.objects.filter(account=self.account).exclude(status="paid").update(
            status="discarded"
        )
        self.orders: list[Purchase] = []
        self.intents: dict[str, str] = {}
        # Of what was handled or claimed, nothing is left to whoever comes now.
        self.clock = timedelta()

    @property
    def now(self) -> datetime:
        return timezone.now() + self.clock

    def order_of(self, which: int) -> Purchase | None:
        return self.orders[which] if which < len(self.orders) else None

    def paid_order(self, which: int) -> tuple[Purchase, str] | None:
        order = self.order_of(which)
        intent = self.intents.get(str(order.pk)) if order else None
        return (order, intent) if order and intent else None

    @act(times=3, product=st.sampled_from(PRODUCTS))
    def order(self, product: str) -> None:
        if len(self.orders) < ORDERS_AT_MOST:
            self.orders.append(self.buyer.order(product))

    @act(times=4, which=which_order, disputed=st.booleans())
    def pay(self, which: int, disputed: bool) -> None:
        order = self.order_of(which)
        if order is None or str(order.pk) in self.intents:
            return
        typed = {"number": DISPUTED} if disputed else {}
        if self.buyer.pay(order, **typed).status_code == 303:
            session = self.buyer.sandbox.api.v1.checkout.sessions.retrieve(
                order.stripe_session_id or ""
            )
            self.intents[str(order.pk)] = str(session.payment_intent)

    @act(which=which_order, death=deaths)
    def land(self, which: int, death: int) -> None:
        order = self.order_of(which)
        if order:
            self.buyer.wait(order)
            with dying(death, steps=STEPS):
                self.buyer.land(order)

    @act(times=2, which=which_order, tenths=st.integers(1, 10))
    def refund(self, which: int, tenths: int) -> None:
        found = self.paid_order(which)
        if found is None or self.is_disputed(found[1]):
            return
        left = found[0].amount_cents - self.returned(found[1])
        if left:
            wanted: Any = {"payment_intent": found[1], "amount": max(1, left * tenths // 10)}
            self.buyer.sandbox.api.v1.refunds.create(params=wanted)

    @act(which=which_order, is_won=st.booleans())
    def decide(self, which: int, is_won: bool) -> None:
        """The bank decides a dispute."""
        found = self.paid_order(which)
        listed: Any = {"payment_intent": found[1] if found else "pi_none"}
        for dispute in self.buyer.sandbox.api.v1.disputes.list(params=listed).data if found else ():
            if dispute.status == "needs_response":
                text = "winning_evidence" if is_won else "losing_evidence"
                evidence: Any = {"evidence": {"uncategorized_text": text}}
                self.buyer.sandbox.api.v1.disputes.update(dispute.id, params=evidence)

    @act(times=5, picks=picks, death=deaths, again=st.booleans())
    def hear(self, picks: list[int], death: int, again: bool) -> None:
        """Some of what Stripe says arrives, in an order of its own, perhaps a second time."""
        said = self.said()
        for pick in picks if said else ():
            stored = arrives(said[pick % len(said)], again=again)
            with dying(death, steps=STEPS):
                events.handle(stored.pk, at=self.now)

    @act(death=deaths)
    def sweep(self, death: int) -> None:
        self.clock += timedelta(minutes=6)
        with dying(death, steps=STEPS):
            events.handle_pending(at=self.now)
            open_orders.ask_about_due(at=self.now)

    @act(death=deaths)
    def reconcile(self, death: int) -> None:
        self.clock += timedelta(minutes=61)
        with dying(death, steps=STEPS):
            reconciling.reconcile_if_due(at=self.now)

    @rule(what=act.next)
    def something_happens(self, what: tuple[str, dict[str, Any]]) -> None:
        name, arguments = what
        getattr(self, name)(**arguments)

    @invariant()
    def nothing_is_given_twice_or_for_nothing(self) -> None:
        for order in getattr(self, "orders", []):
            given = CreditEntry.objects.filter(source_ref=order.source_ref).count()
            given += Boost.objects.filter(source_ref=order.source_ref).count()
            assert given <= (1 if str(order.pk) in self.intents else 0)

    def teardown(self) -> None:
        """In the end everything is heard of, or found: what there is, is what Stripe says."""
        if not getattr(self, "orders", None):
            return
        # Who died held what they were at for a while.
        self.clock += timedelta(minutes=100)
        all_arrives(self.said(), now=lambda: self.now)
        BookCheck.objects.all().delete()
        reconciling.reconcile(at=self.now)
        for order in self.orders:
            self.is_as_stripe_says(order)
        push_pending_accounts()
        comparing.compare(at=self.now + timedelta(hours=1))
        assert not list(Difference.objects.open())

    def is_as_stripe_says(self, order: Purchase) -> None:
        order.refresh_from_db()
        intent = self.intents.get(str(order.pk))
        returned = self.returned(intent) if intent else 0
        assert (order.status == "paid") is (intent is not None)
        assert order.returned_cents == returned
        lines = CreditEntry.objects.filter(source_ref__startswith=order.source_ref)
        credits = sum(lines.values_list("credits", flat=True))
        boost = Boost.objects.filter(source_ref=order.source_ref).first()
        kept = order.amount_cents - returned if intent else 0
        if order.kind == "credits":
            assert credits == -(-order.credits * kept // order.amount_cents)
        elif intent:
            assert boost
            assert boost.chats - boost.taken_back == -(-order.chats * kept // order.amount_cents)
        else:
            assert boost is None

    def returned(self, intent: str) -> int:
        """What Stripe says went back of a payment, or is with a bank."""
        wanted: Any = {"expand": ["latest_charge"]}
        charge: Any = self.buyer.sandbox.api.v1.payment_intents.retrieve(
            intent, params=wanted
        ).latest_charge
        held = self.buyer.sandbox.api.v1.disputes.list(params={"payment_intent": intent}).data
        holding = {"needs_response", "under_review", "lost"}
        by_banks = sum(one.amount for one in held if one.status in holding)
        total: int = charge.amount_refunded + by_banks
        return total

    def is_disputed(self, intent: str) -> bool:
        return bool(self.buyer.sandbox.api.v1.disputes.list(params={"payment_intent": intent}).data)

    def said(self) -> list[dict[str, Any]]:
        """What Stripe has to say of this story, the oldest first."""
        ours = {order.stripe_session_id for order in self.orders} | set(self.intents.values())
        listed = self.buyer.sandbox.api.v1.events.list(params={"limit": 100})
        found = [json.loads(str(event)) for event in listed.data]
        return [event for event in found if _about(event) & ours][::-1]


def _about(event: dict[str, Any]) -> set[str]:
    thing = event["data"]["object"]
    return {thing.get("id", ""), str(thing.get("payment_intent", ""))}


@pytest.mark.parametrize("volume", [1, 2])
def test_whatever_happens_in_the_end_there_is_what_was_paid_for(
    buyer: Buyer, account: Account, volume: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_the_gate, "_BETWEEN_LOOKS_SECONDS", 0.0)
    Money.buyer, Money.account = buyer, account
    tell(Money, volume=volume)


def test_a_story_that_forgets_to_take_back_would_be_noticed(
    buyer: Buyer, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the stories can fail."""
    monkeypatch.setattr(returning, "keep", lambda _returned: "")
    monkeypatch.setattr(of_the_gate, "_BETWEEN_LOOKS_SECONDS", 0.0)
    Money.buyer, Money.account = buyer, account
    story = Money()
    story.begin()
    story.order("credits-5")
    story.pay(0, disputed=False)
    story.land(0, death=0)
    story.refund(0, tenths=5)
    with pytest.raises(AssertionError):
        story.teardown()
