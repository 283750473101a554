"""What people reported of Stripe billing in other projects, tried here; each names its report."""

from uuid import uuid4

from django.utils import timezone

from billing.models import StripeEvent
from billing.subscriptions.models import PlanOrder, Subscription
from quotas.models.entitlements import PlanGrant
from tests.billing.subscriber import Subscriber


def test_created_that_arrives_after_updated_leaves_nobody_incomplete(
    subscriber: Subscriber,
) -> None:
    """laravel/cashier-stripe 1201, pay-rails/pay 282, stripe/stripe-cli 418"""
    subscriber.pay(subscriber.order("plus"))
    said = [event for event in subscriber.said() if event["type"].startswith("customer.sub")]
    subscriber.hear(said[::-1])
    created = next(event for event in said if event["type"].endswith("created"))
    subscriber.hear([{**created, "id": f"evt_{uuid4().hex}"}])
    assert subscriber.subscription.status == "active"
    assert subscriber.plan() == "plus"


def test_what_the_page_shows_late_tempts_nobody_into_a_second_subscription(
    subscriber: Subscriber,
) -> None:
    """gitpod-io/gitpod 15246, laravel/cashier-stripe 1604"""
    subscriber.pay(subscriber.order("plus"))
    # Nothing was heard of it, and the customer tries again.
    subscriber.choose("plus")
    assert Subscription.objects.count() == 1
    listed = subscriber.sandbox.api.v1.subscriptions.list(params={"status": "all"})
    assert len(listed.data) == 1


def test_who_clicks_ten_times_is_one_customer_with_one_order(subscriber: Subscriber) -> None:
    """enupal/stripe 74"""
    for _ in range(10):
        subscriber.choose("plus")
    assert PlanOrder.objects.count() == 1
    assert len(subscriber.sandbox.api.v1.customers.list().data) == 1


def test_after_a_refused_card_the_way_out_is_the_invoice_not_another_subscription(
    subscriber: Subscriber,
) -> None:
    """restrictcontentpro/restrict-content-pro 779"""
    subscriber.subscribe("plus")
    subscriber.card_fails()
    subscriber.months_pass()
    subscriber.hear()
    subscriber.choose("plus")
    subscriber.choose("pro")
    assert PlanOrder.objects.count() == 1
    page = subscriber.client.get("/account/billing/plans/pro").content.decode()
    assert "Pay its invoice first" in page


def test_the_same_plan_chosen_again_is_neither_a_second_one_nor_charged(
    subscriber: Subscriber,
) -> None:
    """restrictcontentpro/restrict-content-pro 453"""
    subscriber.subscribe("plus")
    subscriber.choose("plus")
    assert Subscription.objects.count() == 1
    assert len(subscriber.sandbox.api.v1.invoices.list().data) == 1


def test_a_subscription_that_was_never_paid_gives_nothing_and_stands_in_nobodys_way(
    subscriber: Subscriber,
) -> None:
    """FlutterFlow/flutterflow-issues 843"""
    first = subscriber.order("plus")
    assert subscriber.pay(first, number="4000000000000002").status_code != 303
    assert subscriber.plan() == "free"
    second = subscriber.order("plus")
    assert subscriber.pay(second).status_code == 303
    subscriber.land(second)
    assert subscriber.plan() == "plus"
    listed = subscriber.sandbox.api.v1.subscriptions.list(params={"status": "all"})
    assert len(listed.data) == 1


def test_two_sessions_of_one_visit_are_of_one_customer_who_is_known(
    subscriber: Subscriber,
) -> None:
    """invertase/stripe-firebase-extensions 80"""
    subscriber.order("core")
    order = subscriber.order("plus")
    subscriber.pay(order)
    subscriber.hear()
    assert subscriber.plan() == "plus"
    assert len(subscriber.sandbox.api.v1.customers.list().data) == 1


def test_who_cancelled_at_stripe_keeps_nothing_that_is_not_paid(subscriber: Subscriber) -> None:
    """rushikesh-bobade/FlipTrack 148"""
    row = subscriber.subscribe("pro")
    subscriber.sandbox.api.v1.subscriptions.cancel(row.stripe_subscription_id)
    deleted = [event for event in subscriber.said() if event["type"].endswith(".deleted")]
    subscriber.hear(deleted)
    assert subscriber.plan() == "free"
    assert not PlanGrant.objects.filter(source="subscription", ended_at=None).exists()


def test_a_stale_event_restores_no_older_plan(subscriber: Subscriber) -> None:
    """unkeyed/unkey 6988, umami-software/umami 4481"""
    subscriber.subscribe("core")
    of_core = subscriber.said()
    subscriber.choose("pro")
    subscriber.hear([{**event, "id": f"evt_{uuid4().hex}"} for event in of_core])
    assert subscriber.plan() == "pro"
    assert not StripeEvent.objects.filter(handled_at=None, retry_at__gt=timezone.now()).exists()


def test_a_replayed_payment_tops_up_once(subscriber: Subscriber) -> None:
    """chatwoot/chatwoot 12988"""
    subscriber.pay(subscriber.order("plus"))
    said = subscriber.said()
    for _ in range(3):
        subscriber.hear([{**event, "id": f"evt_{uuid4().hex}"} for event in said])
    assert PlanGrant.objects.filter(source="subscription").count() == 1
