"""A plan by the seat: bought for so many people, more at once, fewer from the next period on."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import User
from alerts.models import Alert, Kind
from alerts.wording import heading_of, sentences_of
from billing.subscriptions.models import PlanOrder
from quotas import entitlements, grants
from quotas.models.entitlements import PlanGrant
from quotas.models.plans import Plan
from tests.billing.subscriber import GRACE, Subscriber

MINUTE = timedelta(minutes=1)


def seats(subscriber: Subscriber, **later: float) -> int | None:
    return entitlements.seats_of(subscriber.account, at=timezone.now() + timedelta(**later))


def page_of(subscriber: Subscriber, path: str = "/account/billing/plans/teams") -> str:
    return subscriber.client.get(path).content.decode()


def invoiced(subscriber: Subscriber) -> int:
    (latest, *_rest) = subscriber.sandbox.api.v1.invoices.list(params={"limit": 1}).data
    return latest.total


def test_a_plan_is_bought_for_so_many_people_and_costs_so_much_for_each(
    subscriber: Subscriber,
) -> None:
    shown = page_of(subscriber, "/account/billing/plans/teams?seats=5")
    assert "Teams, 5 seats for $295 a month" in shown
    assert "Teams, 5 seats for $2,950 a year" in shown
    row = subscriber.subscribe("teams", seats=5)
    assert (row.quantity, row.amount_cents) == (5, 29_500)
    assert invoiced(subscriber) == 29_500
    assert (subscriber.plan(), seats(subscriber)) == ("teams", 5)
    order = PlanOrder.objects.get()
    assert "$295 a month" in subscriber.land(order).content.decode()
    billing = page_of(subscriber, "/account/billing")
    assert "1 of 5 seats are taken" in billing
    assert "for $295." in billing
    assert "This is your plan" in page_of(subscriber)
    assert re.search(r'name="seats"\s+value="5"', page_of(subscriber))


def test_more_seats_are_paid_for_the_rest_of_the_period_and_are_there_at_once(
    subscriber: Subscriber,
) -> None:
    subscriber.subscribe("teams", seats=2)
    shown = page_of(subscriber, "/account/billing/plans/teams?seats=3")
    assert "You pay $59 now" in shown
    subscriber.choose("teams", seats=3)
    assert invoiced(subscriber) == 5_900
    assert seats(subscriber) == 3
    assert subscriber.at_stripe()["items"]["data"][0]["quantity"] == 3
    alert = Alert.objects.filter(kind=Kind.PLAN).latest("occurred_at")
    assert heading_of(alert) == "You are on Teams, 3 seats now"


def test_fewer_seats_begin_with_the_next_period_and_until_then_all_stay(
    subscriber: Subscriber,
) -> None:
    paid_until = subscriber.subscribe("teams", seats=4).renews_at
    shown = page_of(subscriber, "/account/billing/plans/teams?seats=2")
    assert "Nothing is paid now. Teams, 4 seats stays until" in shown
    subscriber.choose("teams", seats=2)
    assert seats(subscriber) == 4
    account = subscriber.account
    assert entitlements.seats_of(account, at=paid_until - MINUTE) == 4
    assert entitlements.seats_of(account, at=paid_until + MINUTE) == 2
    assert "then Teams, 2 seats for $118" in page_of(subscriber, "/account/billing")
    (said, *_rest) = sentences_of(Alert.objects.filter(kind=Kind.PLAN).latest("occurred_at"))
    assert said.startswith("Teams, 4 seats stays until")
    subscriber.months_pass()
    subscriber.hear()
    assert invoiced(subscriber) == 11_800
    assert seats(subscriber) == 2


def test_who_was_to_have_fewer_seats_may_keep_them_or_take_more(subscriber: Subscriber) -> None:
    subscriber.subscribe("teams", seats=4)
    subscriber.choose("teams", seats=2)
    before = len(subscriber.sandbox.api.v1.invoices.list().data)
    subscriber.choose("teams", seats=4)
    assert len(subscriber.sandbox.api.v1.invoices.list().data) == before
    subscriber.choose("teams", seats=2)
    subscriber.choose("teams", seats=5)
    # What was paid for four is not paid again.
    assert invoiced(subscriber) == 5_900
    assert seats(subscriber) == 5


def test_a_preview_of_some_seats_is_no_price_of_more(subscriber: Subscriber) -> None:
    subscriber.subscribe("teams", seats=2)
    shown = page_of(subscriber, "/account/billing/plans/teams?seats=3")
    (signed,) = set(re.findall(r'name="shown" value="([^"]{20,})"', shown)[:1])
    subscriber.choose("teams", seats=9, shown=signed)
    assert seats(subscriber) == 2
    assert "was changed since" in page_of(subscriber)


def test_everybody_in_the_account_needs_a_seat(subscriber: Subscriber, team_mate: User) -> None:
    assert team_mate.memberships.filter(account=subscriber.account).exists()
    refusal = "2 people are in this account, and each needs a seat."
    assert "Teams, 2 seats for $118 a month" in page_of(subscriber)
    assert refusal in page_of(subscriber, "/account/billing/plans/teams?seats=1")
    subscriber.choose("teams", seats=1)
    assert refusal in page_of(subscriber)
    assert not PlanOrder.objects.exists()
    subscriber.subscribe("teams", seats=3)
    subscriber.choose("teams", seats=1)
    assert refusal in page_of(subscriber)
    assert subscriber.at_stripe()["items"]["data"][0]["quantity"] == 3


@pytest.mark.parametrize("typed", ["0", "-1", "1.5", "many", "1001", "9" * 30, ""])
def test_a_number_of_seats_that_is_none_is_said_at_its_field_and_orders_nothing(
    subscriber: Subscriber, typed: str
) -> None:
    shown = page_of(subscriber, f"/account/billing/plans/teams?seats={typed}")
    assert "errorlist" in shown
    assert "Teams, 1 seat for $59 a month" in shown
    if typed:
        subscriber.client.post(
            "/account/billing/plans/teams",
            {
                "interval": "month",
                "terms": "5900-0",
                "submission": "4a0b8b8e-9f0e-4c44-8b8e-0d0f0d0f0d0f",
                "seats": typed,
            },
        )
        assert not PlanOrder.objects.exists()


def test_another_number_of_seats_is_another_order_and_the_first_cannot_be_paid_any_more(
    subscriber: Subscriber,
) -> None:
    first = subscriber.order("teams", seats=2)
    second = subscriber.order("teams", seats=3)
    assert first.pk != second.pk
    first.refresh_from_db()
    assert first.status == PlanOrder.Status.DISCARDED
    subscriber.pay(second)
    subscriber.land(second)
    assert seats(subscriber) == 3


def test_a_plan_that_is_not_sold_by_the_seat_has_one_price_whatever_is_sent(
    subscriber: Subscriber,
) -> None:
    assert 'name="seats" value="1"' in page_of(subscriber, "/account/billing/plans/pro?seats=7")
    row = subscriber.subscribe("pro", seats=7)
    assert (row.quantity, row.amount_cents) == (1, 4_900)
    assert seats(subscriber) is None


def test_a_plan_that_staff_gives_is_for_as_many_people_as_they_say(subscriber: Subscriber) -> None:
    teams = Plan.objects.get(slug="teams")
    said: Any = {"account": subscriber.account, "plan": teams, "source": PlanGrant.Source.ADMIN}
    now = timezone.now()
    grants.grant_plan(**said, at=now, seats=6, source_ref="admin:1")
    assert seats(subscriber) == 6
    grants.grant_plan(**said, at=now, source_ref="admin:2")
    assert seats(subscriber) is None
    with pytest.raises(ValidationError):
        PlanGrant(**said, starts_at=now, seats=0, source_ref="admin:3").full_clean()


def test_after_its_end_the_seats_are_gone_with_the_plan(subscriber: Subscriber) -> None:
    ends = subscriber.subscribe("teams", seats=2).renews_at + GRACE
    assert entitlements.seats_of(subscriber.account, at=ends - MINUTE) == 2
    assert entitlements.seats_of(subscriber.account, at=ends + MINUTE) is None
