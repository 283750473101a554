"""Who pays for a plan is told what becomes of it, once, and in time to pay."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import Account, User
from alerts.models import Alert, Delivery, Kind
from alerts.truth import is_still_so
from alerts.wording import heading_of, sentences_of
from billing.stripe_client.subscriptions import StripeSubscription
from billing.subscriptions import keeping
from billing.subscriptions.models import Customer
from quotas import entitlements
from tests.billing.subscriber import GRACE

NOW = timezone.now().replace(microsecond=0)
MONTH = timedelta(days=30)
Say = Callable[..., None]


@pytest.fixture
def say(account: Account, owner: User) -> Say:
    """Keep what Stripe says of the account's subscription at a moment."""
    Customer.objects.create(account=account, stripe_customer_id="cus_1", email=owner.email)
    cents = {"core": 900, "plus": 1900, "pro": 4900}

    def say(
        *, at: datetime = NOW, plan: str = "plus", starts_at: datetime = NOW, **more: object
    ) -> None:
        said = {
            "subscription_id": "sub_1",
            "customer_id": "cus_1",
            "item_id": "si_1",
            "plan": plan,
            "price_id": "price_1",
            "interval": "month",
            "amount_cents": cents[plan],
            "currency": "usd",
            "quantity": 1,
            "status": "active",
            "starts_at": starts_at,
            "renews_at": starts_at + MONTH,
            "is_ending": False,
            "is_changing": False,
            "is_taxed": False,
            "is_discounted": False,
            "pay_url": "",
            "created_at": NOW,
            "ended_at": None,
            "is_live": False,
            "asked_at": at,
            **more,
        }
        keeping.keep(StripeSubscription(**said), at=at)  # type: ignore[arg-type]

    return say


def told() -> list[str]:
    return [alert.data["what"] for alert in Alert.objects.order_by("occurred_at", "pk")]


def test_each_change_is_told_once_however_often_it_is_said(say: Say) -> None:
    days = iter(range(1, 20))

    def twice(**said: object) -> None:
        day = next(days)
        say(at=NOW + timedelta(days=day), **said)
        say(at=NOW + timedelta(days=day, minutes=1), **said)

    twice()
    twice(plan="pro")
    twice(plan="core")
    twice(plan="pro")
    twice(plan="pro", is_ending=True)
    twice(plan="pro")
    twice(plan="pro", status="canceled", ended_at=NOW + timedelta(days=7))
    assert told() == ["begun", "better", "lesser", "stays", "ending", "goes on", "over"]
    assert Delivery.objects.count() == 7


def test_a_renewal_that_is_paid_is_told_nobody(say: Say) -> None:
    say()
    say(at=NOW + MONTH, starts_at=NOW + MONTH)
    assert told() == ["begun"]


def test_an_unpaid_renewal_is_told_then_once_more_and_when_it_is_over(
    say: Say, account: Account
) -> None:
    say()
    second = NOW + MONTH
    unpaid = {"starts_at": second, "status": "past_due", "pay_url": "https://invoice.stripe.com/i"}
    for hours in range(0, 24 * (settings.SUBSCRIPTION_GRACE_DAYS + 2), 6):
        say(at=second + timedelta(hours=hours), **unpaid)
    assert told() == ["begun", "unpaid", "unpaid", "over"]
    unpaid_alert = Alert.objects.filter(kind=Kind.PLAN_UNPAID).earliest("occurred_at")
    assert heading_of(unpaid_alert) == "Plus could not be renewed"
    said = " ".join(sentences_of(unpaid_alert))
    assert "$19 a month could not be charged." in said
    assert "Plus goes on until" in said
    assert entitlements.plan_of(account, at=second + GRACE + timedelta(hours=1)).slug == "free"


def test_a_late_payment_is_told_and_what_was_said_before_is_not_sent_any_more(say: Say) -> None:
    say()
    second = NOW + MONTH
    say(at=second, starts_at=second, status="past_due")
    say(at=second + timedelta(hours=2), starts_at=second)
    assert told() == ["begun", "unpaid", "paid"]
    later = second + timedelta(hours=3)
    assert [is_still_so(alert, at=later) for alert in Alert.objects.order_by("occurred_at")] == [
        *(False, False, True)
    ]


def test_what_is_not_paid_yet_is_told_nobody(say: Say) -> None:
    say(status="incomplete")
    say(at=NOW + timedelta(hours=23), status="incomplete_expired")
    assert told() == []


def test_every_word_has_its_sentences(say: Say) -> None:
    say()
    alert = Alert.objects.get()
    for what in (
        "begun",
        "better",
        "lesser",
        "stays",
        "ending",
        "goes on",
        "paid",
        "over",
        "unpaid",
    ):
        alert.data["what"] = what
        assert heading_of(alert)
        assert all("%(" not in sentence for sentence in sentences_of(alert))
