"""Starting a purchase: the order is written down first, and a double click is one order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from accounts.models import Account, User
from billing.models import Product, Purchase
from quotas.models.ledger import Boost, CreditEntry
from tests.billing.buyer import Buyer

pytestmark = pytest.mark.django_db(transaction=True)


def told(answer: HttpResponse) -> str:
    """The message that the next page shows."""
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))  # type: ignore[attr-defined]


def test_the_order_has_the_terms_of_the_product_and_leads_to_its_payment_page(
    buyer: Buyer, account: Account, owner: User
) -> None:
    submission = uuid4()
    answer = buyer.submit(submission=submission)
    (purchase,) = Purchase.objects.all()
    assert answer.status_code == 303
    assert answer["Location"] == purchase.checkout_url
    assert (purchase.account, purchase.user, purchase.submission) == (account, owner, submission)
    assert (purchase.product_name, purchase.kind) == ("Weekly Boost", "boost")
    assert (purchase.amount_cents, purchase.currency) == (500, "usd")
    assert (purchase.chats, purchase.valid_days, purchase.credits) == (500, 7, 0)
    assert (purchase.status, purchase.paid_at, purchase.problem) == ("pending", None, "")


def test_stripe_is_told_what_the_order_says(buyer: Buyer, account: Account) -> None:
    purchase = buyer.order("credits-20")
    (session,) = buyer.sessions_of(purchase)
    assert session.id == purchase.stripe_session_id
    assert (session.amount_total, session.currency) == (2000, "usd")
    assert session.customer_email == "owner@example.com"
    assert session.metadata is not None
    assert session.metadata["purchase"] == str(purchase.pk)
    assert session.metadata["account"] == account.handle
    landing = urlsplit(session.success_url or "")
    assert landing.path == f"/account/billing/purchases/{purchase.pk}"
    assert landing.query == "session={CHECKOUT_SESSION_ID}"
    left = urlsplit(session.cancel_url or "")
    assert (left.path, left.query) == ("/account/billing/cancelled", f"purchase={purchase.pk}")


def test_a_form_sent_twice_is_one_order_and_one_session(buyer: Buyer) -> None:
    submission = uuid4()
    pages = {buyer.submit(submission=submission)["Location"] for _ in range(3)}
    (purchase,) = Purchase.objects.all()
    assert pages == {purchase.checkout_url}
    assert len(buyer.sessions_of(purchase)) == 1


def test_a_double_click_is_one_order_and_one_session(buyer: Buyer, owner: User) -> None:
    submission = uuid4()

    def click(_: int) -> str:
        client = Client()
        client.force_login(owner)
        try:
            return Buyer(client, buyer.sandbox).submit(submission=submission)["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        pages = set(pool.map(click, range(6)))
    (purchase,) = Purchase.objects.all()
    assert pages == {purchase.checkout_url}
    assert len(buyer.sessions_of(purchase)) == 1


def test_another_form_is_another_order(buyer: Buyer) -> None:
    first, second = buyer.order(), buyer.order()
    assert first != second
    assert first.checkout_url != second.checkout_url


def test_the_same_submission_of_another_account_is_its_own_order(
    buyer: Buyer, outsider: User, outsider_client: Client
) -> None:
    mine = buyer.order()
    stranger = Buyer(outsider_client, buyer.sandbox)
    assert stranger.submit(submission=mine.submission).status_code == 303
    theirs = Purchase.objects.exclude(pk=mine.pk).get()
    assert theirs.account == outsider.personal_account
    assert theirs.checkout_url != mine.checkout_url


@pytest.mark.parametrize("product", ["weekly-boost", "no-such-thing", ""])
def test_what_is_not_on_sale_cannot_be_ordered(buyer: Buyer, product: str) -> None:
    Product.objects.filter(slug="weekly-boost").update(is_active=False)
    answer = buyer.submit(product)
    assert (answer.status_code, answer["Location"]) == (302, "/account/billing")
    assert "not on sale" in told(answer)
    assert not Purchase.objects.exists()


@pytest.mark.parametrize("submission", ["", "1", "not-a-uuid"])
def test_a_form_without_its_submission_orders_nothing(buyer: Buyer, submission: str) -> None:
    answer = buyer.submit(submission=submission)
    assert (answer.status_code, answer["Location"]) == (302, "/account/billing")
    assert "incomplete" in told(answer)
    assert not Purchase.objects.exists()


def test_what_else_is_sent_with_the_form_has_no_effect(
    buyer: Buyer, account: Account, outsider: User
) -> None:
    purchase = buyer.order(
        account=outsider.personal_account.pk,
        amount_cents=1,
        price_cents=1,
        chats=100_000,
        credits=100_000,
        status="paid",
        currency="eur",
    )
    assert purchase.account == account
    assert (purchase.amount_cents, purchase.chats, purchase.credits) == (500, 500, 0)
    assert (purchase.status, purchase.currency) == ("pending", "usd")


def test_while_stripe_is_away_nothing_is_lost_and_trying_again_works(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    submission = uuid4()
    stripe_away(True)
    answer = buyer.submit(submission=submission)
    assert (answer.status_code, answer["Location"]) == (302, "/account/billing")
    assert "Nothing was charged" in told(answer)
    # The order row came before the call.
    (purchase,) = Purchase.objects.all()
    assert (purchase.status, purchase.checkout_url) == ("pending", "")
    stripe_away(False)
    assert buyer.order(submission=submission) == purchase
    assert len(buyer.sessions_of(purchase)) == 1


def test_an_answer_that_was_lost_leads_to_the_same_session(buyer: Buyer) -> None:
    purchase = buyer.order()
    # As if we had died after Stripe made the session and before we wrote its address down.
    Purchase.objects.update(checkout_url="", stripe_session_id=None)
    again = buyer.order(submission=purchase.submission)
    assert again.checkout_url == purchase.checkout_url
    assert len(buyer.sessions_of(purchase)) == 1


def test_a_form_sent_again_after_paying_leads_to_the_purchase(buyer: Buyer) -> None:
    purchase = buyer.bought()
    buyer.land(purchase)
    answer = buyer.submit(submission=purchase.submission)
    assert answer["Location"] == f"/account/billing/purchases/{purchase.pk}"
    assert Boost.objects.count() == 1


def test_ordering_alone_grants_nothing(buyer: Buyer) -> None:
    assert buyer.land(buyer.order()).status_code == 200
    assert not Boost.objects.exists()
    assert not CreditEntry.objects.exists()


# --- who may -----------------------------------------------------------------------------------


def test_somebody_elses_purchase_is_not_there(buyer: Buyer, outsider_client: Client) -> None:
    purchase = buyer.bought()
    page = Buyer(outsider_client, buyer.sandbox).land(purchase)
    assert page.status_code == 404
    assert not Boost.objects.exists()
    assert buyer.land(purchase).status_code == 200


def test_a_purchase_that_does_not_exist_is_not_there(buyer: Buyer) -> None:
    page = buyer.client.get(f"/account/billing/purchases/{UUID(int=7)}")
    assert page.status_code == 404


def test_who_is_not_signed_in_is_asked_to(buyer: Buyer) -> None:
    purchase = buyer.order()
    stranger = Buyer(Client(), buyer.sandbox)
    for answer in (stranger.submit(), stranger.land(purchase)):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/auth/login/")
    assert Purchase.objects.count() == 1


def test_a_purchase_is_never_begun_by_a_link(buyer: Buyer) -> None:
    link = f"/account/billing/checkout?product=weekly-boost&submission={uuid4()}"
    assert buyer.client.get(link).status_code == 405


def test_a_form_of_another_site_is_refused(buyer: Buyer, owner: User) -> None:
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(owner)
    assert Buyer(guarded, buyer.sandbox).submit().status_code == 403
    assert not Purchase.objects.exists()
