"""Having an account's plans follow its subscription at Stripe.

What is paid is a plan until a moment, and a grace after it in which a renewal may be paid late:
both stand in the grant, so a subscription that ends, ends by the clock, whatever events come. A
period that is not paid is not granted, although Stripe has begun it.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from billing.models import StripeEvent
from billing.stripe_client import asking, subscriptions
from billing.stripe_client.sessions import CheckoutSession
from billing.stripe_client.subscriptions import StripeSubscription
from billing.subscriptions import telling
from billing.subscriptions.booked import Booked, is_more
from billing.subscriptions.models import Customer, Subscription
from billing.subscriptions.telling import Before
from quotas import grants
from quotas.grants import PlanSource, PlanUntil
from quotas.models.plans import Plan

logger = logging.getLogger(__name__)

SUBSCRIPTION_EVENTS = "customer.subscription."
INVOICE_EVENTS = {
    *("invoice.paid", "invoice.payment_failed", "invoice.payment_action_required"),
    *("invoice.voided", "invoice.marked_uncollectible"),
}
_PAID = {"active", "trialing"}
_ENDED = {"canceled", "incomplete_expired"}
_BEGINNING = {"incomplete"}
# Stripe is asked again at least so often, and soon after a period has ended or was not paid.
_LATEST = timedelta(hours=6)
_SOON = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Held:
    """What a subscription gives at a moment: what is paid for, and until when.

    Both are None where it gives nothing.
    """

    paid: Booked | None
    ends_at: datetime | None


def held_by(row: Subscription, *, at: datetime) -> Held:
    """What a subscription gives; one query."""
    held = grants.plans_held(row.account, row.holder, at=at)
    return Held(
        paid=max(
            (Booked.of(one.plan, one.seats) for one in held),
            key=lambda one: one.rank,
            default=None,
        ),
        ends_at=max((one.ends_at for one in held), default=None),
    )


def subscription_of(
    event: StripeEvent, session: CheckoutSession | None
) -> StripeSubscription | None:
    """The subscription that an event is about, as Stripe knows it now; None when it is about none.

    Raises StripeUnavailable when it must be repeated, UnknownToStripe when that does not help.
    """
    subscription_id = session.subscription_id if session else _named_by(event)
    if subscription_id is None:
        return None
    return subscriptions.retrieve(subscription_id, within_seconds=asking.WORKER_SECONDS)


def _named_by(event: StripeEvent) -> str | None:
    if event.type.startswith(SUBSCRIPTION_EVENTS):
        found = event.says("id")
    elif event.type in INVOICE_EVENTS:
        found = event.says("parent", "subscription_details", "subscription")
    else:
        return None
    return found if isinstance(found, str) and found.startswith("sub_") else None


def keep(known: StripeSubscription, *, at: datetime) -> str:
    """Write a subscription down and have the account's plans follow it.

    Answers why that had no effect; "" where it had one, or had it before.
    """
    with transaction.atomic():
        customer = (
            Customer.objects.select_for_update(of=("self",))
            .select_related("account")
            .filter(stripe_customer_id=known.customer_id)
            .first()
        )
        if customer is None:
            # The Stripe account may sell other things than ours.
            logger.warning("stripe subscription %s is of no customer", known.subscription_id)
            return "the subscription is of no customer of ours"
        before = (
            Subscription.objects.filter(stripe_subscription_id=known.subscription_id)
            .select_related("account", "plan")
            .first()
        )
        if before is not None and before.asked_at > known.asked_at:
            return ""
        known_before = _as_known(before, at=at)
        plan = Plan.objects.filter(slug=known.plan).first() if known.plan else None
        problem = _problem_of(known, plan, customer=customer)
        row, _is_new = Subscription.objects.update_or_create(
            stripe_subscription_id=known.subscription_id,
            defaults={
                "account": customer.account,
                "plan": plan,
                "interval": known.interval,
                "amount_cents": known.amount_cents,
                "currency": known.currency,
                "quantity": known.quantity,
                "status": known.status,
                "starts_at": known.starts_at,
                "renews_at": known.renews_at,
                "is_ending": known.is_ending,
                "is_changing": known.is_changing,
                "is_taxed": known.is_taxed,
                "is_discounted": known.is_discounted,
                "pay_url": known.pay_url,
                "created_at": known.created_at,
                "ended_at": known.ended_at or (at if known.status in _ENDED else None),
                "asked_at": known.asked_at,
                "ask_at": _ask_again_at(known, at=at),
                "problem": problem,
            },
        )
        if problem and (before is None or before.problem != problem):
            logger.error("subscription %s: %s", row.stripe_subscription_id, problem)
        grants.bring_plans_to(
            account=customer.account,
            holder=row.holder,
            wanted=_wanted(row, plan, before=known_before, at=at),
            source=PlanSource.SUBSCRIPTION,
            at=at,
            note=known.status,
        )
        held = held_by(row, at=at)
        telling.of_change(known_before, row, paid=held.paid, plan_ends_at=held.ends_at, at=at)
    return ""


def _as_known(row: Subscription | None, *, at: datetime) -> Before | None:
    if row is None:
        return None
    return Before(
        status=row.status,
        has_ended=row.ended_at is not None,
        is_ending=row.is_ending,
        booked=row.booked,
        renews_at=row.renews_at,
        paid=held_by(row, at=at).paid,
    )


def _problem_of(known: StripeSubscription, plan: Plan | None, *, customer: Customer) -> str:
    """What a person has to look at, in English; "" where nothing is."""
    if known.status in _ENDED or known.status in _BEGINNING:
        return ""
    if customer.account.closed_at is not None:
        return "its account is closed"
    if known.is_live is not asking.is_live():
        return "test and live mode do not match"
    if plan is None:
        return "its price is of no plan"
    others = Subscription.objects.filter(account=customer.account, ended_at=None)
    others = others.exclude(stripe_subscription_id=known.subscription_id)
    if others.exclude(status__in=_BEGINNING).exists():
        return "the account has another subscription as well"
    return ""


def _wanted(
    row: Subscription, plan: Plan | None, *, before: Before | None, at: datetime
) -> list[PlanUntil]:
    """The plans that a subscription pays for, and until when."""
    is_granted = row.ended_at is None and row.status not in _BEGINNING
    if plan is None or plan.is_default or not is_granted or "mode" in row.problem:
        return []
    # Stripe begins a period before it is paid.
    paid_until = row.renews_at if row.status in _PAID else row.starts_at
    grace = timedelta() if row.is_ending else timedelta(days=settings.SUBSCRIPTION_GRACE_DAYS)
    ends_at = paid_until + grace
    if row.is_unpaid and before is not None and before.is_unpaid:
        # Stripe may let one period after another begin unpaid; each would have a grace of its own.
        promised = grants.promised_until(row.account, row.holder)
        ends_at = ends_at if promised is None else min(ends_at, promised)
    # It went to a lesser plan or fewer seats, which the next period is of: this one was paid as it
    # was. Where a period began early instead, Stripe has credited what was left of the one before.
    is_same_period = before is not None and before.renews_at == row.renews_at
    still = [
        PlanUntil(held.plan, min(held.ends_at, paid_until), held.seats)
        for held in grants.plans_held(row.account, row.holder, at=at)
        if is_same_period and is_more(Booked.of(held.plan, held.seats), row.booked)
    ]
    return [PlanUntil(plan, ends_at, Booked.of(plan, row.quantity).limit), *still]


def _ask_again_at(known: StripeSubscription, *, at: datetime) -> datetime:
    if known.status in _PAID and not known.is_changing:
        soon_after = known.renews_at + _SOON
        return min(soon_after, at + _LATEST) if soon_after > at else at + _SOON
    return at + _SOON
