"""Credits that are bought by themselves: when they run low, once, within bounds, and no burst."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from alerts.models import Alert, Kind
from billing import comparing, events, open_orders
from billing.models import Difference, Product, Purchase, StripeEvent
from billing.stripe_client import intents
from billing.subscriptions.models import Customer
from billing.top_ups import paying
from billing.top_ups.models import AutoTopUp
from quotas import grants
from tests.billing.buyer import deliver
from tests.billing.mishaps import answers_lost
from tests.billing.wisher import Wisher
from tests.stripe_sandbox.running_sandbox import CARD

NOW = timezone.now()
ALWAYS_ASKS, FAILS_LATER = "4000002760003184", "4000000000000341"
COOLED = paying.COOLDOWN + timedelta(seconds=1)


@pytest.fixture
def wanted(wisher: Wisher) -> Wisher:
    """With a card, switched on: below 200 buy 500, at most $20 a month."""
    wisher.save_card()
    assert wisher.want() == 302
    return wisher


def test_it_is_off_unless_somebody_wants_it(wisher: Wisher) -> None:
    assert "Off" in wisher.client.get("/account/billing/top-up").content.decode()
    wisher.save_card()
    assert wisher.runs(NOW) == 0
    assert wisher.charged() == 0


def test_below_the_bound_it_buys_one_pack_and_tells_it(wanted: Wisher) -> None:
    assert wanted.runs(timezone.now()) == 1
    assert (wanted.balance, wanted.charged()) == (500, 500)
    (purchase,) = Purchase.objects.all()
    assert (purchase.status, purchase.is_top_up) == ("paid", True)
    assert Alert.objects.filter(kind=Kind.RECEIPT).count() == 1
    page = wanted.client.get("/account/billing/top-up").content.decode()
    assert "500 credits" in page


def test_there_is_no_burst_however_often_it_is_asked(wanted: Wisher) -> None:
    at = timezone.now()
    for seconds in range(0, 240, 10):
        wanted.spend(500)
        wanted.runs(at + timedelta(seconds=seconds))
    assert wanted.charged() == 500
    assert wanted.runs(at + COOLED) == 1
    assert wanted.charged() == 1000


def test_above_the_bound_nothing_is_bought(wanted: Wisher) -> None:
    wanted.runs(timezone.now())
    wanted.spend(300)
    assert wanted.runs(timezone.now() + COOLED) == 0
    wanted.spend(1)
    assert wanted.runs(timezone.now() + 2 * COOLED) == 1


def test_no_month_costs_more_than_was_said(wanted: Wisher) -> None:
    at = datetime(2027, 3, 1, tzinfo=NOW.tzinfo)
    for number in range(8):
        wanted.spend(500)
        wanted.runs(at + number * COOLED)
    assert wanted.charged() == 2000
    wanted.runs(datetime(2027, 4, 1, tzinfo=NOW.tzinfo))
    assert wanted.charged() == 2500


def test_a_lost_answer_is_asked_for_again_and_charges_once(
    wanted: Wisher, stripe_away: Callable[[bool], None], stripe_at: Callable[[str], None]
) -> None:
    at = timezone.now()
    stripe_away(True)
    wanted.runs(at)
    (purchase,) = Purchase.objects.all()
    assert purchase.status == "pending"
    # It was heard although nothing came back.
    stripe_at(wanted.sandbox.origin)
    wish = wanted.wish()
    customer = Customer.objects.get()
    intents.pay(
        purchase,
        customer_id=customer.stripe_customer_id or "",
        method_id=wish.stripe_payment_method_id,
    )
    wanted.runs(at + timedelta(minutes=2))
    assert (wanted.balance, wanted.charged()) == (500, 500)


def test_an_answer_that_was_lost_for_days_is_found_and_charges_once(wanted: Wisher) -> None:
    at = timezone.now()
    wanted.runs(at)
    (purchase,) = Purchase.objects.all()
    Purchase.objects.update(
        status="pending",
        paid_at=None,
        stripe_payment_intent_id=None,
        created_at=at - timedelta(days=2),
        ask_at=at,
    )
    wanted.runs(at + timedelta(seconds=1))
    purchase.refresh_from_db()
    assert purchase.status == "paid"
    assert (wanted.balance, wanted.charged()) == (500, 500)


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_payment_whose_answer_was_lost_is_granted_although_the_card_is_another_by_then(
    wanted: Wisher, is_forgotten: bool
) -> None:
    at = timezone.now()
    with answers_lost(wanted.sandbox, only=["POST /v1/payment_intents"]):
        wanted.runs(at)
    if is_forgotten:
        wanted.client.post("/account/billing/top-up/off", {"card": "forget"})
    else:
        wanted.save_card("5555555555554444")
    wanted.runs(at + timedelta(minutes=2))
    assert Purchase.objects.get().status == "paid"
    assert (wanted.balance, wanted.charged()) == (500, 500)


def test_what_stripe_never_heard_of_ends_unpaid_after_days(
    wanted: Wisher, stripe_away: Callable[[bool], None], stripe_at: Callable[[str], None]
) -> None:
    at = timezone.now()
    stripe_away(True)
    wanted.runs(at)
    stripe_at(wanted.sandbox.origin)
    wanted.runs(at + timedelta(days=1))
    assert Purchase.objects.get().status == "failed"
    assert wanted.charged() == 0


def test_events_bring_it_too_and_grant_it_once(wanted: Wisher) -> None:
    wanted.runs(timezone.now())
    said = wanted.said()
    Purchase.objects.update(status="pending", paid_at=None)
    for event in [*said, *({**event, "id": f"evt_{uuid4().hex}"} for event in said)]:
        deliver(event)
        events.handle(StripeEvent.objects.get(event_id=event["id"]).pk, at=timezone.now())
    assert wanted.balance == 500
    assert Purchase.objects.get().status == "paid"


@pytest.mark.parametrize(
    ("number", "why"), [(FAILS_LATER, "card_refused"), (ALWAYS_ASKS, "bank_asks")]
)
def test_the_first_refusal_ends_it_and_is_told_once(wisher: Wisher, number: str, why: str) -> None:
    wisher.save_card(number)
    wisher.want()
    at = timezone.now()
    for tries in range(5):
        wisher.runs(at + tries * COOLED)
    assert wisher.wish().stopped == why
    assert not wisher.wish().is_on
    assert [purchase.status for purchase in Purchase.objects.all()] == ["failed"]
    assert Alert.objects.filter(kind=Kind.TOP_UP_STOPPED).count() == 1
    page = wisher.client.get("/account/billing/top-up").content.decode()
    assert "It has stopped by itself" in page
    assert wisher.balance == 0


def test_a_pack_that_costs_something_else_is_not_bought(wanted: Wisher) -> None:
    Product.objects.filter(slug="credits-5").update(price_cents=900)
    wanted.runs(timezone.now())
    assert wanted.wish().stopped == "changed"
    assert wanted.charged() == 0


def test_a_pack_that_is_not_sold_any_more_is_not_bought(wanted: Wisher) -> None:
    Product.objects.filter(slug="credits-5").update(is_active=False)
    wanted.runs(timezone.now())
    assert wanted.wish().stopped == "not_on_sale"


def test_nothing_is_bought_for_a_suspended_account(wanted: Wisher) -> None:
    grants.suspend(account=wanted.account, at=timezone.now())
    assert wanted.runs(timezone.now()) == 0


def test_its_refund_takes_back_what_it_gave(wanted: Wisher) -> None:
    wanted.runs(timezone.now())
    (purchase,) = Purchase.objects.all()
    wanted.sandbox.api.v1.refunds.create(
        params={"payment_intent": purchase.stripe_payment_intent_id or "", "amount": 200}
    )
    wanted.hear()
    assert wanted.balance == 300


def test_a_refund_that_is_heard_of_before_its_payment_takes_back_what_it_gave(
    wanted: Wisher,
) -> None:
    with answers_lost(wanted.sandbox, only=["POST /v1/payment_intents"]):
        wanted.runs(timezone.now())
    (intent,) = wanted.sandbox.api.v1.payment_intents.list().data
    wanted.sandbox.api.v1.refunds.create(params={"payment_intent": intent.id, "amount": 200})
    wanted.hear(wanted.said()[::-1])
    (purchase,) = Purchase.objects.all()
    assert (purchase.returned_cents, wanted.balance) == (200, 300)


def test_it_can_neither_be_paid_a_second_time_nor_discarded(
    wanted: Wisher, stripe_away: Any
) -> None:
    stripe_away(True)
    wanted.runs(timezone.now())
    (purchase,) = Purchase.objects.all()
    page = f"/account/billing/purchases/{purchase.pk}"
    wanted.client.post(f"{page}/continue")
    wanted.client.post(f"{page}/discard")
    purchase.refresh_from_db()
    assert (purchase.status, purchase.checkout_url) == ("pending", "")
    assert open_orders.ask_about_due(at=timezone.now() + timedelta(days=2)) == 0


def test_without_a_card_it_cannot_be_wanted(wisher: Wisher) -> None:
    assert wisher.want() == 422


@pytest.mark.parametrize(
    "fields",
    [
        {"below_credits": "0"},
        {"below_credits": "x"},
        {"product": "weekly-boost"},
        {"month_cents": "4"},
        {"month_cents": ""},
    ],
)
def test_bad_input_changes_nothing(wanted: Wisher, fields: dict[str, str]) -> None:
    wanted.client.post("/account/billing/top-up/off")
    assert wanted.want(**fields) == 422
    assert not wanted.wish().is_on


def test_the_card_of_somebody_else_is_not_taken(
    wanted: Wisher, outsider_client: Client, outsider: User
) -> None:
    answer = wanted.client.post("/account/billing/top-up/card", {"submission": uuid4()})
    page = wanted.sandbox.browser.post(answer["Location"], data=CARD)
    query = page.headers["location"].partition("?")[2]
    outsider_client.get(f"/account/billing/top-up/saved?{query}")
    assert not AutoTopUp.objects.filter(account=outsider.personal_account).exists()


def test_the_card_can_be_forgotten(wanted: Wisher) -> None:
    wanted.client.post("/account/billing/top-up/off", {"card": "forget"})
    wish = wanted.wish()
    assert (wish.is_on, wish.card, wish.stripe_payment_method_id) == (False, "", "")
    assert wanted.runs(timezone.now()) == 0


def test_staff_give_it_back_as_any_other_purchase(wanted: Wisher, admin_client: Client) -> None:
    wanted.runs(timezone.now())
    (purchase,) = Purchase.objects.all()
    sent = {"amount": "2", "reason": "they asked", "submission": uuid4()}
    admin_client.post(f"/admin/billing/purchase/{purchase.pk}/refund/", sent)
    purchase.refresh_from_db()
    assert (purchase.returned_cents, wanted.balance) == (200, 300)


def differences_of_stripe() -> list[tuple[str, str, str]]:
    comparing.compare(at=timezone.now() + timedelta(hours=1))
    rows = Difference.objects.open().filter(kind__in=comparing.OF_STRIPE)
    return [(row.kind, row.expected, row.found) for row in rows]


def test_the_books_are_compared_with_its_payment(wanted: Wisher) -> None:
    wanted.runs(timezone.now())
    (purchase,) = Purchase.objects.all()
    assert differences_of_stripe() == []
    wanted.sandbox.api.v1.refunds.create(
        params={"payment_intent": purchase.stripe_payment_intent_id or "", "amount": 200}
    )
    assert differences_of_stripe() == [("returned", "$2", "$0")]
    assert wanted.balance == 300
    assert differences_of_stripe() == []
