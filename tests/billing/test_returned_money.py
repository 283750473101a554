"""Money that goes back at Stripe is known here, as Stripe says now, of the right purchase."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import stripe
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from billing import events, returning
from billing.models import Purchase, StripeEvent
from billing.returning import Returned
from billing.sales import sales
from billing.stripe_client import payments
from billing.stripe_client.errors import StripeUnavailable
from tests.billing.buyer import Buyer, deliver
from tests.odd_servers import Lying, lying
from tests.patience import until
from tests.stripe_sandbox.running_sandbox import Running

pytestmark = pytest.mark.django_db(transaction=True)

DISPUTED = "4000 0000 0000 0259"


def paid(buyer: Buyer, product: str = "weekly-boost", **typed: str) -> Purchase:
    purchase = buyer.order(product)
    assert buyer.pay(purchase, **typed).status_code == 303
    buyer.land(purchase)
    purchase.refresh_from_db()
    assert purchase.status == "paid"
    return purchase


def intent_of(buyer: Buyer, purchase: Purchase) -> str:
    session = buyer.sandbox.api.v1.checkout.sessions.retrieve(purchase.stripe_session_id or "")
    assert isinstance(session.payment_intent, str)
    return session.payment_intent


def refund(buyer: Buyer, purchase: Purchase, **params: Any) -> None:
    """Give money back at Stripe, as staff do in its dashboard."""
    wanted: Any = {"payment_intent": intent_of(buyer, purchase), **params}
    buyer.sandbox.api.v1.refunds.create(params=wanted)


def told(sandbox: Running, intent_id: str, kind: str) -> list[dict[str, Any]]:
    """What Stripe says happened to a payment, newest first."""
    listed = sandbox.api.v1.events.list(params={"type": kind, "limit": 100})
    found = [json.loads(json.dumps(event.to_dict())) for event in listed.data]
    return [event for event in found if event["data"]["object"]["payment_intent"] == intent_id]


def handle(event: dict[str, Any]) -> StripeEvent:
    """Stripe delivers it, and a worker takes it."""
    assert deliver(event).status_code == 200
    stored = StripeEvent.objects.get(event_id=event["id"])
    events.handle(stored.pk, at=timezone.now())
    stored.refresh_from_db()
    return stored


def hear(buyer: Buyer, purchase: Purchase, kind: str = "charge.refunded") -> Purchase:
    """Stripe tells us once of what it knows; the purchase as it is then."""
    intent_id = intent_of(buyer, purchase)
    # A bank takes its time.
    until(lambda: bool(told(buyer.sandbox, intent_id, kind)))
    assert handle(told(buyer.sandbox, intent_id, kind)[0]).handled_at is not None
    purchase.refresh_from_db()
    return purchase


def test_refunds_in_parts_are_known_together_in_any_order(buyer: Buyer) -> None:
    purchase = paid(buyer)
    refund(buyer, purchase, amount=100)
    assert hear(buyer, purchase).returned_cents == 100
    refund(buyer, purchase, amount=150)
    assert hear(buyer, purchase).returned_cents == 250
    # The first one comes late once more: what Stripe says now counts.
    late = told(buyer.sandbox, intent_of(buyer, purchase), "charge.refunded")[-1]
    handle({**late, "id": f"evt_{uuid4().hex}"})
    purchase.refresh_from_db()
    assert (purchase.returned_cents, purchase.status) == (250, "paid")


def test_what_a_bank_takes_back_is_known_until_it_comes_again(buyer: Buyer) -> None:
    purchase = paid(buyer, number=DISPUTED)
    assert hear(buyer, purchase, "charge.dispute.funds_withdrawn").returned_cents == 500
    disputes = buyer.sandbox.api.v1.disputes
    (dispute,) = disputes.list(params={"payment_intent": intent_of(buyer, purchase)}).data
    disputes.update(dispute.id, params={"evidence": {"uncategorized_text": "winning_evidence"}})
    assert hear(buyer, purchase, "charge.dispute.funds_reinstated").returned_cents == 0


def test_only_the_purchase_whose_money_it_was_is_told(buyer: Buyer) -> None:
    one, other = paid(buyer), paid(buyer)
    refund(buyer, other)
    hear(buyer, other)
    one.refresh_from_db()
    assert (one.returned_cents, other.returned_cents) == (0, 500)


@pytest.mark.parametrize("intent", [None, 7, "pi_3_of_something_else"])
def test_a_refund_of_something_else_ends_without_effect(buyer: Buyer, intent: Any) -> None:
    paid(buyer)
    event = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "charge.refunded",
        "livemode": False,
        "data": {"object": {"object": "charge", "payment_intent": intent}},
    }
    assert handle(event).handled_at is not None
    assert Purchase.objects.get().returned_cents == 0


def test_a_session_of_nobody_is_no_error(buyer: Buyer) -> None:
    session = buyer.sandbox.session()
    buyer.sandbox.pay(session)
    intent = buyer.sandbox.fresh(session).payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    buyer.sandbox.api.v1.refunds.create(params={"payment_intent": intent.id})
    assert handle(told(buyer.sandbox, intent.id, "charge.refunded")[0]).handled_at is not None


def test_who_asked_first_and_answers_last_is_not_believed(buyer: Buyer) -> None:
    purchase = paid(buyer)
    now = timezone.now()
    later = Returned(purchase.stripe_session_id or "", 500, now)
    earlier = Returned(purchase.stripe_session_id or "", 100, now - timedelta(seconds=1))
    returning.keep(later)
    returning.keep(earlier)
    purchase.refresh_from_db()
    assert purchase.returned_cents == 500


def test_it_is_repeated_while_stripe_is_away(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    purchase = paid(buyer)
    refund(buyer, purchase)
    event = told(buyer.sandbox, intent_of(buyer, purchase), "charge.refunded")[0]
    stripe_away(True)
    assert handle(event).handled_at is None
    stripe_away(False)
    events.handle_pending(at=timezone.now() + timedelta(minutes=1))
    purchase.refresh_from_db()
    assert purchase.returned_cents == 500


def say(server: Lying, answer: dict[str, Any]) -> None:
    """Let Stripe answer this, whatever it is asked."""
    server.body = json.dumps(answer).encode()


CHARGE = {"object": "charge", "amount_refunded": 500, "disputed": False}
ODD_PAYMENTS: list[Any] = [
    {"payment_intent": None},
    {"payment_intent": "pi_1"},
    {"payment_intent": {"latest_charge": None}},
    {"payment_intent": {"latest_charge": "ch_1"}},
    {"payment_intent": {"latest_charge": {**CHARGE, "amount_refunded": "500"}}},
    {"payment_intent": {"latest_charge": {**CHARGE, "amount_refunded": -1}}},
    {"payment_intent": {"latest_charge": {**CHARGE, "disputed": None}}},
    {"payment_intent": {"latest_charge": CHARGE}, "id": "x"},
    7,
]


@pytest.mark.parametrize("row", ODD_PAYMENTS)
def test_an_odd_payment_is_no_answer(stripe_at: Callable[[str], None], row: Any) -> None:
    rows = [{"id": "cs_test_1", **row} if isinstance(row, dict) else row]
    with lying() as server:
        stripe_at(server.origin)
        say(server, {"object": "list", "data": rows, "has_more": False})
        with pytest.raises(StripeUnavailable):
            payments.payment_of("pi_1", within_seconds=10)


@pytest.mark.parametrize("row", [{}, {"status": 7}, {"status": "lost", "amount": "500"}, None])
def test_an_odd_dispute_is_no_answer(stripe_at: Callable[[str], None], row: Any) -> None:
    with lying() as server:
        stripe_at(server.origin)
        say(server, {"object": "list", "data": [row], "has_more": False})
        with pytest.raises(StripeUnavailable):
            payments.taken_back_cents("pi_1", within_seconds=10)


@pytest.mark.parametrize(
    ("status", "cents"),
    [("warning_needs_response", 0), ("warning_closed", 0), ("won", 0), ("lost", 500)],
)
def test_an_inquiry_takes_nothing(
    stripe_at: Callable[[str], None], status: str, cents: int
) -> None:
    with lying() as server:
        stripe_at(server.origin)
        say(server, {"object": "list", "data": [{"status": status, "amount": 500}]})
        assert payments.taken_back_cents("pi_1", within_seconds=10) == cents


# --- what the admin says of it ------------------------------------------------------------------


def words(client: Client, url: str) -> str:
    page = client.get(url)
    assert page.status_code == 200
    return " ".join(strip_tags(page.content.decode()).split())


def test_the_first_page_says_what_was_sold_returned_and_kept(
    buyer: Buyer, admin_client: Client
) -> None:
    paid(buyer, "credits-50")
    purchase = paid(buyer)
    page = words(admin_client, "/admin/")
    assert "Together $55 $55 $55 2 Nothing of it went back by refunds or disputes." in page
    refund(buyer, purchase, amount=150)
    hear(buyer, purchase)
    page = words(admin_client, "/admin/")
    assert "Together $55 $55 $55 2 Returned since $1.50 $1.50 $1.50" in page
    assert "Kept $53.50 $53.50 $53.50 What went back" in page
    page = words(admin_client, f"/admin/billing/purchase/{purchase.pk}/change/")
    assert "Returned: $1.50" in page


def test_what_went_back_is_told_of_the_days_in_which_it_was_paid(buyer: Buyer) -> None:
    now = timezone.now()
    for days, returned in ((0, 0), (3, 200), (20, 500), (40, 500)):
        purchase = paid(buyer)
        Purchase.objects.filter(pk=purchase.pk).update(
            paid_at=now - timedelta(days=days), returned_cents=returned
        )
    (total,) = sales(at=now).totals
    assert total.cents == (500, 1000, 1500)
    assert total.returned == (0, 200, 700)
    assert total.kept == (500, 800, 800)


def test_no_order_gives_back_more_than_it_brought(buyer: Buyer) -> None:
    purchase = paid(buyer)
    Purchase.objects.filter(pk=purchase.pk).update(returned_cents=900)
    assert sales(at=timezone.now()).totals[0].kept == (0, 0, 0)
