"""An order that is not paid is no debt: it can be continued or discarded, and says what is so."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import stripe
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.outside import HoldsATransaction
from billing import checkout, fulfilment
from billing.models import Purchase
from billing.stripe_client import sessions
from quotas.models.ledger import Boost
from tests import entitled
from tests.billing.buyer import DEBIT_THAT_SETTLES, Buyer

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING_CHARGED = "Nothing was charged so far: you can continue or discard this order."


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


def path(purchase: Purchase, act: str = "") -> str:
    return f"/account/billing/purchases/{purchase.pk}" + (f"/{act}" if act else "")


def act(buyer: Buyer, purchase: Purchase, name: str) -> HttpResponse:
    answer: HttpResponse = buyer.client.post(path(purchase, name))  # type: ignore[assignment]
    purchase.refresh_from_db()
    return answer


def some_time_ago(purchase: Purchase) -> None:
    """As if its payment page had been opened before."""
    opened_at = timezone.now() - checkout._STILL_THERE_FOR * 2
    Purchase.objects.filter(pk=purchase.pk).update(opened_at=opened_at, looked_at=None)
    purchase.refresh_from_db()


def session_of(buyer: Buyer, purchase: Purchase) -> stripe.checkout.Session:
    return buyer.sandbox.api.v1.checkout.sessions.retrieve(purchase.stripe_session_id or "")


# --- it is no debt ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "is_unpaid"),
    [
        ("pending", True),
        ("failed", True),
        ("expired", True),
        ("abandoned", True),
        ("discarded", True),
        ("processing", False),
        ("review", False),
        ("closed", False),
    ],
)
def test_amounts_of_orders_that_are_not_paid_say_so(
    buyer: Buyer, status: str, is_unpaid: bool
) -> None:
    purchase = buyer.order()
    Purchase.objects.update(status=status, looked_at=timezone.now())
    for address in ("/account/billing", "/account/billing/purchases", path(purchase)):
        assert ("not paid</span>" in words(buyer.client.get(address))) is is_unpaid


def test_the_amount_of_a_paid_order_is_an_amount(buyer: Buyer) -> None:
    buyer.land(buyer.bought())
    assert "not paid</span>" not in words(buyer.client.get("/account/billing/purchases"))


# --- continued ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ask_first", [False, True])
def test_an_open_order_is_continued_where_it_was_begun(buyer: Buyer, ask_first: bool) -> None:
    purchase = buyer.order()
    if ask_first:
        some_time_ago(purchase)
    assert path(purchase, "continue") in words(buyer.land(purchase))
    answer = act(buyer, purchase, "continue")
    assert (answer.status_code, answer["Location"]) == (303, purchase.checkout_url)
    assert len(buyer.sessions_of(purchase)) == 1


def test_an_order_whose_page_was_never_made_is_continued_with_one(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    stripe_away(True)
    buyer.submit()
    stripe_away(False)
    purchase = Purchase.objects.get()
    answer = act(buyer, purchase, "continue")
    assert (answer.status_code, answer["Location"]) == (303, purchase.checkout_url)


def test_an_order_that_has_expired_since_leads_to_its_own_page(buyer: Buyer) -> None:
    purchase = buyer.order()
    some_time_ago(purchase)
    buyer.expire(purchase)
    assert act(buyer, purchase, "continue")["Location"] == path(purchase)
    assert purchase.status == "expired"
    page = words(buyer.land(purchase))
    assert "The checkout has expired" in page
    assert path(purchase, "continue") not in page


def test_the_form_that_was_sent_again_after_the_session_expired_leads_there_too(
    buyer: Buyer,
) -> None:
    purchase = buyer.order()
    some_time_ago(purchase)
    buyer.expire(purchase)
    again = buyer.submit(submission=purchase.submission)
    assert again["Location"] == path(purchase)


def test_an_order_that_was_paid_meanwhile_is_not_paid_again(buyer: Buyer) -> None:
    purchase = buyer.bought()
    some_time_ago(purchase)
    assert act(buyer, purchase, "continue")["Location"] == path(purchase)
    assert (purchase.status, Boost.objects.count()) == ("paid", 1)


def test_while_stripe_gives_no_answer_the_known_page_is_led_to(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    purchase = buyer.order()
    some_time_ago(purchase)
    stripe_away(True)
    answer = act(buyer, purchase, "continue")
    # The policy is about where Stripe is, which this test moved.
    assert purchase.checkout_url in (answer.get("Location") or words(answer))


def test_what_could_not_be_used_is_not_continued(buyer: Buyer) -> None:
    purchase = buyer.order()
    entitled.move_to_plan(purchase.account, "pro")
    assert act(buyer, purchase, "continue")["Location"] == path(purchase)
    assert "a boost would not be used" in words(buyer.land(purchase))


# --- discarded ----------------------------------------------------------------------------------


def test_a_discarded_order_cannot_be_paid_any_more(buyer: Buyer) -> None:
    purchase = buyer.order()
    for _ in range(3):
        assert act(buyer, purchase, "discard")["Location"] == path(purchase)
        assert purchase.status == "discarded"
    assert session_of(buyer, purchase).status == "expired"
    page = words(buyer.land(purchase))
    assert "This order was discarded" in page
    for name in ("continue", "discard"):
        assert path(purchase, name) not in page
    assert act(buyer, purchase, "continue")["Location"] == path(purchase)
    assert "Discarded" in words(buyer.client.get("/account/billing/purchases"))


def test_an_order_that_was_paid_meanwhile_is_fulfilled_instead(buyer: Buyer) -> None:
    purchase = buyer.bought()
    act(buyer, purchase, "discard")
    assert (purchase.status, Boost.objects.count()) == ("paid", 1)
    act(buyer, purchase, "discard")
    assert (purchase.status, Boost.objects.count()) == ("paid", 1)


def test_a_payment_on_its_way_is_not_discarded(buyer: Buyer) -> None:
    purchase = buyer.order()
    buyer.pay(purchase, number=DEBIT_THAT_SETTLES)
    act(buyer, purchase, "discard")
    assert purchase.status == "processing"
    act(buyer, purchase, "discard")
    assert purchase.status == "processing"
    assert path(purchase, "discard") not in words(buyer.land(purchase))


def test_an_order_whose_page_was_never_made_is_discarded_without_stripe(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    stripe_away(True)
    buyer.submit()
    purchase = Purchase.objects.get()
    act(buyer, purchase, "discard")
    assert purchase.status == "discarded"


def test_while_stripe_is_away_the_order_stays_and_that_is_said(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    purchase = buyer.order()
    stripe_away(True)
    act(buyer, purchase, "discard")
    assert purchase.status == "pending"
    assert "cannot be discarded at the moment" in words(buyer.land(purchase))
    stripe_away(False)
    act(buyer, purchase, "discard")
    assert purchase.status == "discarded"


def test_stripes_word_that_it_has_expired_may_come_first(buyer: Buyer) -> None:
    purchase = buyer.order()
    # As an event tells it between the end of the session and our writing it down.
    stale = Purchase.objects.get(pk=purchase.pk)
    session = sessions.expire(purchase.stripe_session_id or "")
    fulfilment.settle(session, at=timezone.now())
    checkout.discard(stale, at=timezone.now())
    assert stale.status == "discarded"


def test_discarding_and_paying_at_once_ends_as_stripe_decides(buyer: Buyer, owner: User) -> None:
    purchase = buyer.order()

    def click(turn: int) -> None:
        client = Client()
        client.force_login(owner)
        try:
            if turn == 1:
                buyer.pay(purchase)
            else:
                client.post(path(purchase, "discard"))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(click, range(4)))
    buyer.wait(purchase)
    buyer.land(purchase)
    purchase.refresh_from_db()
    is_paid = session_of(buyer, purchase).payment_status == "paid"
    assert purchase.status == ("paid" if is_paid else "discarded")
    assert Boost.objects.count() == is_paid


def test_a_page_that_was_made_while_the_order_was_discarded_is_not_led_to(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = sessions.create

    def meanwhile(order: Purchase, **more: Any) -> sessions.CheckoutSession:
        session = create(order, **more)
        checkout.discard(Purchase.objects.get(pk=order.pk), at=timezone.now())
        return session

    monkeypatch.setattr(sessions, "create", meanwhile)
    answer = buyer.submit()
    purchase = Purchase.objects.get()
    assert answer["Location"] == path(purchase)
    assert purchase.status == "discarded"
    # Who has its address may still pay: then it is fulfilled.
    buyer.sandbox.browser.post(purchase.checkout_url)
    assert purchase.stripe_session_id


def test_nothing_is_held_while_stripe_is_asked_to_end_it(buyer: Buyer) -> None:
    purchase = buyer.order()
    with pytest.raises(HoldsATransaction), transaction.atomic():
        checkout.discard(purchase, at=timezone.now())
    purchase.refresh_from_db()
    assert purchase.status == "pending"
    checkout.discard(purchase, at=timezone.now())


def test_only_its_own_account_and_only_forms_do_it(buyer: Buyer, outsider_client: Client) -> None:
    purchase = buyer.order()
    for name in ("continue", "discard"):
        assert outsider_client.post(path(purchase, name)).status_code == 404
        assert buyer.client.get(path(purchase, name)).status_code == 405
        assert Client().post(path(purchase, name)).status_code == 302
    purchase.refresh_from_db()
    assert purchase.status == "pending"


# --- left ---------------------------------------------------------------------------------------


def left(buyer: Buyer, purchase: Purchase) -> str:
    """The page that the way back of the payment page leads to."""
    back = session_of(buyer, purchase).cancel_url or ""
    return words(buyer.client.get("/" + back.split("/", 3)[3], follow=True))


def test_who_left_the_payment_page_reads_that_nothing_was_charged_and_what_to_do(
    buyer: Buyer,
) -> None:
    purchase = buyer.order()
    page = left(buyer, purchase)
    assert NOTHING_CHARGED in page
    for name in ("continue", "discard"):
        assert path(purchase, name) in page


def test_who_paid_in_another_tab_does_not_read_that_nothing_was_charged(buyer: Buyer) -> None:
    page = left(buyer, buyer.bought())
    assert "Payment received" in page
    assert "Nothing was charged" not in page


def test_while_it_is_not_known_nothing_is_said_of_charges(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    purchase = buyer.bought()
    stripe_away(True)
    page = buyer.client.get(f"/account/billing/cancelled?purchase={purchase.pk}", follow=True)
    assert "Nothing was charged" not in words(page)
    assert "Below is what we know of this order." in words(page)


def test_a_way_back_without_an_order_leads_to_billing_and_promises_nothing(buyer: Buyer) -> None:
    buyer.bought()
    for asked in ("", "?purchase=", "?purchase=x"):
        answer = buyer.client.get(f"/account/billing/cancelled{asked}", follow=True)
        assert answer.redirect_chain == [("/account/billing", 302)]
        assert "Nothing was charged" not in words(answer)


def test_a_way_back_of_somebody_elses_order_is_not_there(
    buyer: Buyer, outsider_client: Client
) -> None:
    for pk in (buyer.order().pk, uuid4()):
        answer = outsider_client.get(f"/account/billing/cancelled?purchase={pk}")
        assert answer.status_code == 404
