"""A customer of plans: chooses on our pages, pays on the sandbox's, whose clock is put ahead."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import stripe
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing import events
from billing.models import StripeEvent
from billing.subscriptions import prices
from billing.subscriptions.models import PlanOrder, Subscription
from quotas import entitlements
from quotas.models.plans import Plan
from tests.billing.buyer import deliver
from tests.stripe_sandbox.running_sandbox import CARD, Running
from tests.stripe_sandbox.subscriber import put_ahead, use_card

GRACE = timedelta(days=settings.SUBSCRIPTION_GRACE_DAYS)


class Subscriber:
    """One signed-in owner and a sandbox of their own."""

    def __init__(self, client: Client, sandbox: Running, user: User) -> None:
        self.client = client
        self.sandbox = sandbox
        self.account = user.personal_account

    def choose(self, plan: str, interval: str = "month", **fields: Any) -> HttpResponse:
        """Send the form of a plan's page."""
        row = Plan.objects.get(slug=plan)
        cost = prices.cost_of(row, interval, seats=fields.get("seats", 1))
        sent = {
            "interval": interval,
            "terms": cost.terms if cost else "1-1",
            "submission": uuid4(),
            **fields,
        }
        answer: HttpResponse = self.client.post(f"/account/billing/plans/{plan}", sent)  # type: ignore[assignment]
        return answer

    def order(self, plan: str, interval: str = "month", **fields: Any) -> PlanOrder:
        """An order that waits for its payment."""
        assert self.choose(plan, interval, **fields).status_code == 303
        return PlanOrder.objects.filter(account=self.account).latest("created_at")

    def pay(self, order: PlanOrder, **typed: str) -> httpx.Response:
        """Fill in the hosted page."""
        return self.sandbox.browser.post(order.checkout_url, data={**CARD, **typed})

    def land(self, order: PlanOrder, query: str = "?session=1") -> HttpResponse:
        """Open the page that the customer lands on after paying."""
        PlanOrder.objects.filter(pk=order.pk).update(looked_at=None)
        page: HttpResponse = self.client.get(f"/account/billing/plans/orders/{order.pk}{query}")  # type: ignore[assignment]
        return page

    def subscribe(self, plan: str, interval: str = "month", **fields: Any) -> Subscription:
        """Order, pay and land."""
        order = self.order(plan, interval, **fields)
        assert self.pay(order).status_code == 303
        assert self.land(order).status_code == 200
        return self.subscription

    @property
    def subscription(self) -> Subscription:
        """The newest, as it was last kept."""
        return Subscription.objects.filter(account=self.account).latest("created_at")

    def at_stripe(self) -> stripe.Subscription:
        """The same as Stripe has it."""
        return self.sandbox.api.v1.subscriptions.retrieve(self.subscription.stripe_subscription_id)

    def plan(self, at: datetime | None = None) -> str:
        """The plan that counts at a moment."""
        return entitlements.plan_of(self.account, at=at or timezone.now()).slug

    def months_pass(self, months: int = 1) -> None:
        """Put Stripe's clock ahead; what it says of that is not heard yet."""
        for _ in range(months):
            put_ahead(self.sandbox, days=31)

    def card_fails(self) -> None:
        """From now on no payment of the subscription goes through."""
        use_card(self.sandbox, self.at_stripe(), "pm_card_chargeCustomerFail")

    def said(self) -> list[dict[str, Any]]:
        """Everything that Stripe would tell us of, the oldest first."""
        listed = self.sandbox.api.v1.events.list(params={"limit": 100})
        return [json.loads(str(event)) for event in listed.auto_paging_iter()][::-1]

    def hear(self, said: list[dict[str, Any]] | None = None) -> None:
        """Have events delivered and handled, by default all there are."""
        for event in self.said() if said is None else said:
            assert deliver(event).status_code == 200
            stored = StripeEvent.objects.get(event_id=event["id"])
            events.handle(stored.pk, at=timezone.now())
