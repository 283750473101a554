"""A payment that is not what was ordered: an alarm for the admin, the truth for the customer."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing import events, fulfilment
from billing.models import Purchase, StripeEvent
from billing.stripe_client import sessions
from quotas.models.ledger import Boost
from tests.billing.buyer import Buyer, deliver, delivered, event_of
from tests.stripe_sandbox.running_sandbox import CARD, pay_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mismatched(buyer: Buyer) -> Purchase:
    """Paid with 5 dollars where 7 were ordered."""
    purchase = buyer.bought()
    Purchase.objects.update(amount_cents=700)
    buyer.land(purchase)
    purchase.refresh_from_db()
    return purchase


def page_of(purchase: Purchase) -> str:
    return f"/admin/billing/purchase/{purchase.pk}/resolve/"


def resolve(client: Client, purchase: Purchase, act: str, reason: str = "as agreed") -> Any:
    answer = client.post(page_of(purchase), {"act": act, "reason": reason})
    purchase.refresh_from_db()
    return answer


# --- what is told ------------------------------------------------------------------------------


def test_the_customer_is_told_what_arrived_and_that_nothing_was_added(
    buyer: Buyer, mismatched: Purchase
) -> None:
    page = buyer.land(mismatched).content.decode()
    assert mismatched.status == "review"
    assert "A payment of $5 arrived, but it does not match" in " ".join(page.split())
    assert "nothing was added yet" in page
    assert str(mismatched.pk) in page
    for promise in ("either way", "is added", "very next chat", "hx-get"):
        assert promise not in page
    assert "Being looked at" in buyer.client.get("/account/billing").content.decode()


def test_an_open_order_is_promised_only_for_a_payment(buyer: Buyer) -> None:
    page = buyer.land(buyer.order()).content.decode()
    assert "either way" not in page
    assert "Without a payment nothing is added" in page


def test_the_admin_sees_the_alarm_until_it_is_dealt_with(
    buyer: Buyer, mismatched: Purchase, admin_client: Client
) -> None:
    buyer.order()
    assert "One purchase needs a person" in admin_client.get("/admin/").content.decode()
    listed = "/admin/billing/purchase/?alarm=open"
    assert list(admin_client.get(listed).context["cl"].result_list) == [mismatched]
    one = admin_client.get(f"/admin/billing/purchase/{mismatched.pk}/change/")
    assert page_of(mismatched) in one.content.decode()
    resolve(admin_client, mismatched, "dismiss")
    assert "needs a person" not in admin_client.get("/admin/").content.decode()
    assert list(admin_client.get(listed).context["cl"].result_list) == []
    done = admin_client.get("/admin/billing/purchase/?alarm=resolved")
    assert list(done.context["cl"].result_list) == [mismatched]


def test_a_mismatch_is_asked_about_no_more(buyer: Buyer, mismatched: Purchase) -> None:
    Purchase.objects.update(amount_cents=500)
    delivered(mismatched)
    events.handle_pending(at=timezone.now())
    buyer.wait(mismatched)
    buyer.land(mismatched)
    assert not Boost.objects.exists()


def test_a_session_that_needed_no_payment_is_an_alarm(buyer: Buyer) -> None:
    purchase = buyer.order()
    session_id = purchase.stripe_session_id or ""
    buyer.pay(purchase)
    real = sessions.retrieve(session_id, within_seconds=20)
    free = {name: getattr(real, name) for name in real.__slots__}
    free["payment_status"] = "no_payment_required"
    fulfilment.settle(sessions.CheckoutSession(**free), at=timezone.now())
    purchase.refresh_from_db()
    assert (purchase.status, purchase.problem) == ("review", "completed without a payment")


# --- a second session, an unknown session ------------------------------------------------------


def paid_by_another_session(buyer: Buyer, purchase: Purchase) -> str:
    session = buyer.sandbox.session(client_reference_id=str(purchase.pk))
    buyer.sandbox.browser.post(pay_url(session), data=CARD)
    deliver(event_of(session.id))
    events.handle_pending(at=timezone.now())
    purchase.refresh_from_db()
    return session.id


def test_a_second_session_that_took_money_is_written_down_and_the_first_may_still_pay(
    buyer: Buyer,
) -> None:
    purchase = buyer.order()
    session_id = paid_by_another_session(buyer, purchase)
    assert purchase.problem == f"another session claims it: {session_id}"
    assert (purchase.status, purchase.received_cents) == ("pending", 500)
    assert not Boost.objects.exists()
    buyer.pay(purchase)
    buyer.land(purchase)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.is_alarm) == ("paid", True)
    assert Boost.objects.count() == 1


def test_a_paid_purchase_that_is_paid_again_is_an_alarm_once(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.bought()
    buyer.land(purchase)
    session_id = paid_by_another_session(buyer, purchase)
    assert purchase.is_alarm
    answer = resolve(admin_client, purchase, "grant")
    assert "was given already" in answer.content.decode()
    resolve(admin_client, purchase, "dismiss", "returned in Stripe")
    assert (purchase.status, purchase.is_alarm) == ("paid", False)
    # Stripe tells of it again.
    deliver(event_of(session_id, "checkout.session.async_payment_succeeded"))
    events.handle_pending(at=timezone.now())
    purchase.refresh_from_db()
    assert not purchase.is_alarm


def test_an_event_about_a_session_that_stripe_does_not_know_ends_with_a_reason(
    buyer: Buyer, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(event_of("cs_test_nobody_knows"))
    assert events.handle_pending(at=timezone.now()) == 1
    assert events.handle_pending(at=timezone.now() + events._CLAIM * 900) == 0
    stored = StripeEvent.objects.get()
    assert stored.handled_at is not None
    assert stored.error == "Stripe does not know this session"
    assert "ends without effect" in caplog.text


# --- what a person does ------------------------------------------------------------------------


def test_granting_gives_what_was_ordered_once(
    buyer: Buyer, mismatched: Purchase, admin_client: Client, admin_user: User
) -> None:
    assert resolve(admin_client, mismatched, "grant").status_code == 302
    assert (mismatched.status, mismatched.is_alarm) == ("paid", False)
    assert (mismatched.resolved_by, mismatched.resolution) == (admin_user, "as agreed")
    assert Boost.objects.get().source_ref == mismatched.source_ref
    for act in ("grant", "dismiss", "ask"):
        answer = resolve(admin_client, mismatched, act)
        assert "dealt with already" in answer.content.decode()
    assert Boost.objects.count() == 1
    assert "Payment received" in buyer.land(mismatched).content.decode()
    assert LogEntry.objects.get(object_id=str(mismatched.pk)).change_message == "grant: as agreed"


def test_dismissing_gives_nothing_and_the_customer_reads_why(
    buyer: Buyer, mismatched: Purchase, admin_client: Client
) -> None:
    resolve(admin_client, mismatched, "dismiss", "We returned your $5.00.")
    assert mismatched.status == "closed"
    page = buyer.land(mismatched).content.decode()
    assert "We returned your $5.00." in page
    assert "nothing was added" in page
    assert not Boost.objects.exists()


def test_asking_again_opens_the_order_and_settles_it_by_what_stripe_says(
    buyer: Buyer, mismatched: Purchase, admin_client: Client
) -> None:
    Purchase.objects.update(amount_cents=500)
    resolve(admin_client, mismatched, "ask", "the price was repaired")
    assert mismatched.status == "pending"
    buyer.wait(mismatched)
    assert "Payment received" in buyer.land(mismatched).content.decode()
    assert Boost.objects.count() == 1


def test_asking_again_about_what_is_still_wrong_is_the_alarm_again(
    buyer: Buyer, mismatched: Purchase, admin_client: Client
) -> None:
    resolve(admin_client, mismatched, "ask")
    buyer.wait(mismatched)
    buyer.land(mismatched)
    mismatched.refresh_from_db()
    assert (mismatched.status, mismatched.is_alarm) == ("review", True)


@pytest.mark.parametrize(
    "fields", [{}, {"act": "grant"}, {"reason": "x"}, {"act": "forget", "reason": "x"}]
)
def test_nothing_is_done_without_an_act_and_a_reason(
    mismatched: Purchase, admin_client: Client, fields: dict[str, str]
) -> None:
    answer = admin_client.post(page_of(mismatched), fields)
    assert answer.status_code == 200
    mismatched.refresh_from_db()
    assert mismatched.is_alarm


def test_only_staff_who_may_change_purchases_deal_with_problems(
    buyer: Buyer, mismatched: Purchase, outsider: User, outsider_client: Client
) -> None:
    for client in (Client(), buyer.client, outsider_client):
        assert resolve(client, mismatched, "grant").status_code == 302
    outsider.is_staff = True
    outsider.save()
    assert resolve(outsider_client, mismatched, "grant").status_code == 403
    assert mismatched.is_alarm
    assert not Boost.objects.exists()
