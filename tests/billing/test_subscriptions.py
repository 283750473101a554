"""Plans by the month: subscribed, renewed, changed, cancelled, unpaid. Stripe's word is kept."""

import random
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import signing
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from billing import reconciling
from billing.models import StripeEvent
from billing.subscriptions import sweeping
from billing.subscriptions.models import Customer, PlanOrder, PlanPrice, Subscription
from quotas import grants
from quotas.models.entitlements import PlanGrant
from quotas.models.plans import Plan
from tests.billing.mishaps import answers_lost
from tests.billing.subscriber import GRACE, Subscriber
from tests.quotas.live_gate import LiveGate
from tests.stripe_sandbox.subscriber import put_ahead, switch

DAY = timedelta(days=1)


def test_a_paid_plan_is_there_until_its_period_ends_and_some_days_of_grace(
    subscriber: Subscriber,
) -> None:
    row = subscriber.subscribe("plus")
    assert (row.plan and row.plan.slug, row.status) == ("plus", "active")
    assert subscriber.plan() == "plus"
    assert subscriber.plan(row.renews_at + GRACE - DAY) == "plus"
    assert subscriber.plan(row.renews_at + GRACE + DAY) == "free"
    page = subscriber.client.get("/account/billing").content.decode()
    assert "Renews on" in page
    assert "for $19." in page


@pytest.mark.django_db(transaction=True)
def test_a_bought_plan_counts_for_the_very_next_chat(
    subscriber: Subscriber, gate: LiveGate, key: str
) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    subscriber.subscribe("core")
    assert gate.check(key).allowed
    gate.use(key, 449)
    assert not gate.check(key).allowed
    subscriber.choose("pro")
    assert gate.check(key).allowed


def test_nothing_is_granted_before_it_is_paid(subscriber: Subscriber) -> None:
    order = subscriber.order("plus")
    page = subscriber.land(order, query="").content.decode()
    assert "Nothing was charged so far" in page
    assert subscriber.plan() == "free"
    assert order.status == PlanOrder.Status.OPEN


def test_events_alone_bring_a_plan_and_twice_or_in_any_order_bring_it_once(
    subscriber: Subscriber,
) -> None:
    order = subscriber.order("plus")
    subscriber.pay(order)
    said = subscriber.said()
    random.Random(7).shuffle(said)
    subscriber.hear(said)
    subscriber.hear([{**event, "id": f"evt_{uuid4().hex}"} for event in said])
    assert subscriber.plan() == "plus"
    grants_of_it = PlanGrant.objects.filter(source="subscription")
    assert grants_of_it.count() == 1
    order.refresh_from_db()
    assert order.status == PlanOrder.Status.SUBSCRIBED
    assert not StripeEvent.objects.filter(handled_at=None).exists()


def test_with_every_event_lost_and_the_page_closed_the_sweep_finds_the_plan(
    subscriber: Subscriber,
) -> None:
    order = subscriber.order("plus")
    subscriber.pay(order)
    assert sweeping.ask_about_due(at=timezone.now()) == 1
    assert subscriber.plan() == "plus"


def test_an_order_that_stripe_failed_to_open_is_none_that_bars_the_next(
    subscriber: Subscriber,
) -> None:
    with answers_lost(subscriber.sandbox, only=["POST /v1/checkout/sessions"]):
        subscriber.choose("plus")
    stuck = PlanOrder.objects.get()
    assert (stuck.status, stuck.checkout_url) == (PlanOrder.Status.OPEN, "")
    PlanOrder.objects.update(opened_at=timezone.now() - timedelta(seconds=11))
    row = subscriber.subscribe("plus")
    assert row.status == "active"
    stuck.refresh_from_db()
    assert stuck.status == PlanOrder.Status.DISCARDED
    assert subscriber.plan() == "plus"


def test_a_session_whose_answer_was_lost_is_found_by_the_sweep(subscriber: Subscriber) -> None:
    order = subscriber.order("plus")
    subscriber.pay(order)
    PlanOrder.objects.filter(pk=order.pk).update(stripe_session_id=None, checkout_url="")
    sweeping.ask_about_due(at=timezone.now())
    assert subscriber.plan() == "plus"


def test_a_renewal_goes_on_by_event_or_by_the_sweep(subscriber: Subscriber) -> None:
    first = subscriber.subscribe("plus").renews_at
    subscriber.months_pass()
    subscriber.hear()
    second = subscriber.subscription.renews_at
    assert second >= first + 28 * DAY
    assert subscriber.plan(second + GRACE - DAY) == "plus"
    subscriber.months_pass()
    sweeping.ask_about_due(at=subscriber.subscription.ask_at)
    assert subscriber.subscription.renews_at >= second + 28 * DAY


def test_an_older_answer_of_stripe_changes_nothing(subscriber: Subscriber) -> None:
    row = subscriber.subscribe("plus")
    later = timezone.now() + DAY
    Subscription.objects.filter(pk=row.pk).update(asked_at=later, status="past_due")
    subscriber.hear()
    assert subscriber.subscription.status == "past_due"


def test_a_failed_renewal_leaves_the_grace_and_then_the_free_plan_by_the_clock(
    subscriber: Subscriber,
) -> None:
    paid_until = subscriber.subscribe("plus").renews_at
    subscriber.card_fails()
    subscriber.months_pass()
    subscriber.hear()
    row = subscriber.subscription
    assert row.status == "past_due"
    assert subscriber.plan(paid_until + GRACE - DAY) == "plus"
    assert subscriber.plan(paid_until + GRACE + DAY) == "free"
    page = subscriber.client.get("/account/billing").content.decode()
    assert "The last payment did not go through" in page
    assert row.pay_url
    assert row.pay_url in page.replace("&amp;", "&")


def test_a_late_payment_brings_the_period_back(subscriber: Subscriber) -> None:
    subscriber.subscribe("plus")
    subscriber.card_fails()
    subscriber.months_pass()
    subscriber.hear()
    (open_invoice,) = subscriber.sandbox.api.v1.invoices.list(params={"status": "open"}).data
    method = subscriber.sandbox.api.v1.payment_methods.attach(
        "pm_card_visa", params={"customer": str(open_invoice.customer)}
    )
    subscriber.sandbox.api.v1.invoices.pay(open_invoice.id, params={"payment_method": method.id})
    subscriber.hear()
    row = subscriber.subscription
    assert row.status == "active"
    assert subscriber.plan(row.renews_at + GRACE - DAY) == "plus"


def test_a_subscription_that_stripe_ends_is_over_at_once(subscriber: Subscriber) -> None:
    row = subscriber.subscribe("plus")
    subscriber.sandbox.api.v1.subscriptions.cancel(row.stripe_subscription_id)
    subscriber.hear()
    assert subscriber.plan() == "free"
    assert subscriber.subscription.ended_at
    assert Subscription.objects.of(subscriber.account) is None


def test_a_better_plan_is_paid_now_and_counts_now(subscriber: Subscriber) -> None:
    subscriber.subscribe("core")
    page = subscriber.client.get("/account/billing/plans/pro").content.decode()
    assert "You pay $" in page
    subscriber.choose("pro")
    assert subscriber.plan() == "pro"
    (latest, *_rest) = subscriber.sandbox.api.v1.invoices.list(params={"limit": 1}).data
    assert latest.status == "paid"
    assert 3900 <= latest.total <= 4000
    # What was held before is over: there is one plan that it pays for.
    row = subscriber.subscription
    held = grants.plans_held(row.account, row.holder, at=timezone.now())
    assert [one.plan.slug for one in held] == ["pro"]
    assert subscriber.plan(row.renews_at + GRACE + DAY) == "free"


def test_what_a_change_costs_is_charged_as_it_was_shown_and_not_at_a_chosen_moment(
    subscriber: Subscriber,
) -> None:
    row = subscriber.subscribe("core")
    page = subscriber.client.get("/account/billing/plans/pro")
    month = page.context["choices"][0]
    put_ahead(subscriber.sandbox, days=3)
    nearly_over = int(row.renews_at.timestamp()) - 60
    forged = [row.stripe_subscription_id, "pro", "month", 4900, nearly_over]
    subscriber.choose("pro", shown=signing.dumps(forged, salt="another"))
    assert subscriber.plan() == "core"
    subscriber.choose("pro", shown=month.shown)
    assert subscriber.plan() == "pro"
    (latest, *_rest) = subscriber.sandbox.api.v1.invoices.list(params={"limit": 1}).data
    assert latest.total == month.cents


def test_a_change_whose_answer_was_lost_is_known_before_another_one_is_made(
    subscriber: Subscriber,
) -> None:
    row = subscriber.subscribe("core")
    with answers_lost(subscriber.sandbox, only=["POST /v1/subscriptions/*"]):
        subscriber.choose("pro")
    told = subscriber.client.get("/account/billing").content.decode()
    assert "nobody knows yet whether this was done" in told
    assert "othing was charged" not in told
    assert subscriber.subscription.ask_at <= timezone.now() + timedelta(minutes=1)
    assert subscriber.plan() == "core"
    # On the page it was a better one that is paid now; it is a lesser one by now.
    answer = subscriber.choose("plus")
    assert answer["Location"] == "/account/billing/plans/plus"
    page = subscriber.client.get("/account/billing/plans/plus").content.decode()
    assert "was changed since you opened the page" in page
    assert subscriber.plan() == "pro"
    (item,) = subscriber.at_stripe()["items"].data
    assert item.price.unit_amount == 4900
    subscriber.choose("plus")
    assert subscriber.plan() == "pro"
    assert subscriber.plan(row.renews_at + DAY) == "plus"


def test_a_better_plan_whose_payment_fails_changes_nothing_yet(subscriber: Subscriber) -> None:
    subscriber.subscribe("core")
    subscriber.card_fails()
    subscriber.choose("pro")
    assert subscriber.plan() == "core"
    assert subscriber.subscription.is_changing
    page = subscriber.client.get("/account/billing").content.decode()
    assert "A change waits for its payment" in page


def test_a_lesser_plan_begins_when_the_paid_period_is_over(subscriber: Subscriber) -> None:
    paid_until = subscriber.subscribe("pro").renews_at
    page = subscriber.client.get("/account/billing/plans/core").content.decode()
    assert "Nothing is paid now" in page
    subscriber.choose("core")
    assert subscriber.plan() == "pro"
    assert subscriber.plan(paid_until - timedelta(minutes=1)) == "pro"
    assert subscriber.plan(paid_until + timedelta(minutes=1)) == "core"
    assert "then Core for $9" in subscriber.client.get("/account/billing").content.decode()
    subscriber.months_pass()
    subscriber.hear()
    row = subscriber.subscription
    assert row.amount_cents == 900
    assert subscriber.plan(row.renews_at + GRACE - DAY) == "core"
    (latest, *_rest) = subscriber.sandbox.api.v1.invoices.list(params={"limit": 1}).data
    assert latest.total == 900


def test_a_lesser_plan_by_the_year_begins_at_once_and_what_was_left_is_credited_not_kept(
    subscriber: Subscriber,
) -> None:
    subscriber.subscribe("pro")
    put_ahead(subscriber.sandbox, days=1)
    subscriber.choose("core", "year")
    (latest, *_rest) = subscriber.sandbox.api.v1.invoices.list(params={"limit": 1}).data
    assert 4200 <= latest.total <= 4350
    row = subscriber.subscription
    held = grants.plans_held(row.account, row.holder, at=timezone.now())
    assert [one.plan.slug for one in held] == ["core"]
    assert subscriber.plan() == "core"


def test_who_was_to_go_to_a_lesser_plan_may_stay_for_nothing(subscriber: Subscriber) -> None:
    subscriber.subscribe("pro")
    subscriber.choose("core")
    before = len(subscriber.sandbox.api.v1.invoices.list().data)
    subscriber.choose("pro")
    row = subscriber.subscription
    assert row.plan
    assert row.plan.slug == "pro"
    assert subscriber.plan(row.renews_at + DAY) == "pro"
    assert len(subscriber.sandbox.api.v1.invoices.list().data) == before


def test_a_still_better_plan_takes_what_was_paid_into_account_not_what_was_to_follow(
    subscriber: Subscriber,
) -> None:
    subscriber.subscribe("plus")
    subscriber.choose("core")
    subscriber.choose("pro")
    (latest, *_rest) = subscriber.sandbox.api.v1.invoices.list(params={"limit": 1}).data
    assert 2900 <= latest.total <= 3000
    assert subscriber.plan() == "pro"


def test_a_cancelled_plan_stays_until_its_end_without_grace_and_can_go_on(
    subscriber: Subscriber,
) -> None:
    paid_until = subscriber.subscribe("plus").renews_at
    page = subscriber.client.get("/account/billing/plans/end").content.decode()
    assert "Free" in page
    subscriber.client.post("/account/billing/plans/end", {"submission": uuid4()})
    assert subscriber.plan(paid_until - timedelta(minutes=1)) == "plus"
    assert subscriber.plan(paid_until + timedelta(minutes=1)) == "free"
    assert "Cancelled" in subscriber.client.get("/account/billing").content.decode()
    subscriber.client.post("/account/billing/plans/resume", {"submission": uuid4()})
    assert subscriber.plan(paid_until + GRACE - DAY) == "plus"


def test_boosts_and_credits_survive_every_change_of_plan(subscriber: Subscriber) -> None:
    now = timezone.now()
    grants.grant_boost(
        account=subscriber.account,
        chats=500,
        at=now,
        expires_at=now + 7 * DAY,
        source_ref="test:boost",
    )
    grants.grant_credits(
        account=subscriber.account,
        credits=300,
        kind=grants.CreditKind.GRANT,
        at=now,
        source_ref="test:credits",
    )
    subscriber.subscribe("plus")
    subscriber.choose("pro")
    subscriber.choose("core")
    subscriber.sandbox.api.v1.subscriptions.cancel(subscriber.subscription.stripe_subscription_id)
    subscriber.hear()
    page = subscriber.client.get("/account/billing").content.decode()
    assert "300" in page
    assert "500" in page


def test_a_double_click_makes_one_order_and_one_session(subscriber: Subscriber) -> None:
    submission = uuid4()
    first = subscriber.choose("plus", submission=submission)
    second = subscriber.choose("plus", submission=submission)
    assert first["Location"] == second["Location"]
    assert PlanOrder.objects.count() == 1


def test_two_open_orders_are_never_payable_at_once(subscriber: Subscriber) -> None:
    first = subscriber.order("core")
    second = subscriber.order("plus")
    assert first.pk != second.pk
    first.refresh_from_db()
    assert first.status == PlanOrder.Status.DISCARDED
    assert subscriber.pay(first).status_code != 303
    assert subscriber.pay(second).status_code == 303


def test_an_order_that_was_paid_in_another_tab_is_not_replaced(subscriber: Subscriber) -> None:
    first = subscriber.order("core")
    subscriber.pay(first)
    answer = subscriber.choose("plus")
    assert answer["Location"] == "/account/billing/plans/plus"
    assert Subscription.objects.count() == 1
    assert subscriber.plan() == "core"


def test_an_account_is_one_customer_at_stripe(subscriber: Subscriber) -> None:
    subscriber.subscribe("core")
    subscriber.sandbox.api.v1.subscriptions.cancel(subscriber.subscription.stripe_subscription_id)
    subscriber.hear()
    subscriber.subscribe("plus")
    subscriber.client.post("/account/billing/portal")
    assert len(subscriber.sandbox.api.v1.customers.list().data) == 1


def test_a_customer_whose_answer_was_lost_is_found_days_later(subscriber: Subscriber) -> None:
    subscriber.order("core")
    known = Customer.objects.get()
    Customer.objects.update(stripe_customer_id=None, created_at=timezone.now() - 2 * DAY)
    subscriber.client.post("/account/billing/portal")
    assert Customer.objects.get().stripe_customer_id == known.stripe_customer_id


def test_a_customer_whose_answer_was_lost_is_found_at_the_next_try(
    subscriber: Subscriber,
) -> None:
    with answers_lost(subscriber.sandbox, only=["POST /v1/customers"]):
        subscriber.choose("core")
    subscriber.order("core")
    assert len(subscriber.sandbox.api.v1.customers.list().data) == 1


def test_prices_are_made_once_and_found_again(subscriber: Subscriber) -> None:
    subscriber.order("plus")
    PlanPrice.objects.all().delete()
    subscriber.order("plus", "year")
    subscriber.order("plus")
    assert len(subscriber.sandbox.api.v1.prices.list().data) == 2
    assert len(subscriber.sandbox.api.v1.products.list().data) == 1


def test_a_changed_price_is_said_before_anything_is_paid(subscriber: Subscriber) -> None:
    answer = subscriber.choose("plus", terms="900-1500")
    assert answer["Location"] == "/account/billing/plans/plus"
    assert not PlanOrder.objects.exists()
    page = subscriber.client.get("/account/billing/plans/plus").content.decode()
    assert "was changed since you opened the page" in page


def test_a_period_that_begins_unpaid_after_another_brings_no_second_grace(
    subscriber: Subscriber,
) -> None:
    switch(subscriber.sandbox, when_retries_end="unpaid")
    paid_until = subscriber.subscribe("plus").renews_at
    subscriber.card_fails()
    for _ in range(3):
        subscriber.months_pass()
        subscriber.hear()
    assert subscriber.subscription.status == "unpaid"
    assert subscriber.subscription.starts_at > paid_until + GRACE
    assert subscriber.plan(subscriber.subscription.starts_at + DAY) == "free"


@pytest.mark.parametrize("plan", ["free", "enterprise"])
def test_what_is_not_sold_cannot_be_bought(subscriber: Subscriber, plan: str) -> None:
    Plan.objects.filter(slug="enterprise").update(monthly_price_cents=None, yearly_price_cents=None)
    assert subscriber.choose(plan)["Location"] == "/pricing"
    assert not PlanOrder.objects.exists()


def test_a_plan_that_an_admin_gave_is_not_sold_again(subscriber: Subscriber) -> None:
    grants.grant_plan(
        account=subscriber.account,
        plan=Plan.objects.get(slug="pro"),
        source=grants.PlanSource.ADMIN,
        at=timezone.now(),
        source_ref="test:pro",
    )
    subscriber.choose("plus")
    assert not PlanOrder.objects.exists()
    page = subscriber.client.get("/account/billing/plans/plus").content.decode()
    assert "or a better one, already" in page


def test_a_suspended_account_is_sold_no_plan(subscriber: Subscriber) -> None:
    grants.suspend(account=subscriber.account, at=timezone.now())
    subscriber.choose("plus")
    assert not PlanOrder.objects.exists()


def test_a_subscription_of_somebody_else_at_the_same_stripe_is_left_alone(
    subscriber: Subscriber,
) -> None:
    row = subscriber.subscribe("plus")
    Customer.objects.all().update(stripe_customer_id="cus_another")
    Subscription.objects.all().delete()
    subscriber.hear()
    assert not Subscription.objects.filter(pk=row.pk).exists()
    assert StripeEvent.objects.filter(error__contains="no customer of ours").exists()


def test_a_price_of_no_plan_grants_nothing_and_is_an_alarm(
    subscriber: Subscriber, caplog: pytest.LogCaptureFixture
) -> None:
    row = subscriber.subscribe("plus")
    Plan.objects.filter(slug="plus").update(slug="plus-of-old")
    subscriber.hear()
    row.refresh_from_db()
    assert row.problem == "its price is of no plan"
    assert subscriber.plan() == "free"
    assert list(Subscription.objects.alarms()) == [row]
    assert "its price is of no plan" in caplog.text


def test_the_portal_keeps_cards_and_invoices_and_may_cancel(subscriber: Subscriber) -> None:
    subscriber.subscribe("plus")
    answer = subscriber.client.post("/account/billing/portal")
    assert answer.status_code == 303
    page = subscriber.sandbox.browser.get(answer["Location"])
    assert page.status_code == 200
    (configuration,) = subscriber.sandbox.api.v1.billing_portal.configurations.list().data
    assert configuration.features.subscription_cancel.mode == "at_period_end"
    subscriber.client.post("/account/billing/portal")
    assert len(subscriber.sandbox.api.v1.billing_portal.configurations.list().data) == 1


def test_orders_and_subscriptions_of_others_are_not_found(
    subscriber: Subscriber, outsider_client: Client
) -> None:
    order = subscriber.order("plus")
    assert outsider_client.get(f"/account/billing/plans/orders/{order.pk}").status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"interval": "week"},
        {"terms": "x"},
        {"terms": "9" * 60},
        {"submission": "x"},
        {"submission": ""},
    ],
)
def test_a_form_that_is_not_ours_does_nothing(
    subscriber: Subscriber, fields: dict[str, str]
) -> None:
    assert subscriber.choose("plus", **fields).status_code == 302
    assert not PlanOrder.objects.exists()


def test_from_the_year_to_the_month_is_told_how(subscriber: Subscriber) -> None:
    subscriber.subscribe("plus", "year")
    page = subscriber.client.get("/account/billing/plans/core").content.decode()
    assert "when the year is over" in page


def test_while_stripe_is_away_nothing_is_charged_and_the_page_says_so(
    subscriber: Subscriber, stripe_away: Callable[[bool], None]
) -> None:
    stripe_away(True)
    subscriber.choose("plus")
    page = subscriber.client.get("/account/billing/plans/plus").content.decode()
    assert "Nothing was charged; try again" in page


def test_the_command_that_maps_prices_can_be_repeated(
    subscriber: Subscriber, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("map_prices")
    first = capsys.readouterr().out
    PlanPrice.objects.all().delete()
    call_command("map_prices")
    assert capsys.readouterr().out == first
    assert "Plus a year: 19000 cents, price_" in first
    assert len(subscriber.sandbox.api.v1.prices.list(params={"limit": 100}).data) == 8


def test_the_reconciliation_finds_a_subscription_of_which_nobody_told(
    subscriber: Subscriber,
) -> None:
    order = subscriber.order("plus")
    subscriber.pay(order)
    PlanOrder.objects.all().delete()
    check = reconciling.reconcile(at=timezone.now() + timedelta(minutes=1))
    assert check.counts["subscriptions"] == 1
    assert subscriber.plan() == "plus"
    again = reconciling.reconcile(at=timezone.now() + timedelta(minutes=2))
    assert "subscriptions" not in again.counts
