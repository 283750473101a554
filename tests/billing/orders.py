"""Orders as they stand before anybody was sent to pay."""

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from accounts.models import Account, User
from billing.subscriptions.models import Interval, PlanOrder, Subscription
from quotas import grants
from quotas.models.plans import Plan


def plan_order_of(account: Account, user: User, slug: str = "plus") -> PlanOrder:
    """An order of a plan by the month that was not paid yet."""
    plan = Plan.objects.get(slug=slug)
    return PlanOrder.objects.create(
        account=account,
        user=user,
        plan=plan,
        plan_name=plan.name,
        interval=Interval.MONTH,
        amount_cents=plan.monthly_price_cents or 0,
        submission=uuid4(),
    )


def subscriber_of_plus() -> User:
    """Somebody whose account pays for Plus, which Stripe last said today."""
    user = User.objects.create_user(
        "subscriber@example.com", "correct horse battery staple", name="Olga Owner"
    )
    subscription_of_plus(user.personal_account, subscription_id="sub_1")
    return user


def subscription_of_plus(account: Account, *, subscription_id: str = "") -> Subscription:
    """That an account pays for Plus, which Stripe last said today."""
    now = timezone.now()
    plan = Plan.objects.get(slug="plus")
    row = Subscription.objects.create(
        account=account,
        stripe_subscription_id=subscription_id or f"sub_{uuid4().hex}",
        plan=plan,
        interval=Interval.MONTH,
        amount_cents=plan.monthly_price_cents or 0,
        status="active",
        starts_at=now,
        renews_at=now + timedelta(days=30),
        created_at=now,
        asked_at=now,
        ask_at=now + timedelta(hours=6),
    )
    grants.bring_plans_to(
        account=row.account,
        holder=row.holder,
        wanted=[grants.PlanUntil(plan, now + timedelta(days=37))],
        source=grants.PlanSource.SUBSCRIPTION,
        at=now,
    )
    return row
