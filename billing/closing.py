"""Closing an account: Stripe first, then everything else at once, and done when the gate says so.

Nothing is held while Stripe is asked. If it gives no answer, nothing is closed: an account that
nobody uses must not go on being charged.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import audit, invitations
from accounts.models import Account, Membership, User
from accounts.owners import tell_owners
from billing.checkout import CannotCheckout
from billing.models import Purchase
from billing.stripe_client import asking, subscriptions
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable, UnknownToStripe
from billing.subscriptions import keeping, ordering
from billing.subscriptions.models import PlanOrder, Subscription
from billing.top_ups import choosing
from keys.models import ApiKey
from quotas import access, grants
from quotas.standing import Left, left_of

_AWAY = _(
    "Stripe did not answer, and it has to end the subscription first. Nothing was closed, and "
    "every key works as before. Try again in a minute."
)
_REFUSED = _(
    "Stripe does not end the subscription; we have been told. Nothing was closed, and every key "
    "works as before."
)
_ASKED_SOON = timedelta(minutes=1)
# Stripe has begun none, or ended it.
_NOTHING_TO_END = {"incomplete_expired", "canceled"}


class CannotClose(Exception):
    """The account is as it was; the message says why."""


class CannotConfirm(Exception):
    """The account is closed, and the gate does not know it yet; it is repeated by itself."""


@dataclass(frozen=True, slots=True)
class AtStake:
    """What is lost with an account, and ends with it.

    left: what may still be used, as the gate says; None where it gives no answer. subscription:
    what is paid for by the month or year; open_orders: what somebody may still pay.
    """

    keys: int
    left: Left | None
    subscription: Subscription | None
    has_top_up: bool
    others: int
    invitations: int
    open_orders: int


def at_stake(account: Account, *, by: User) -> AtStake:
    """What whoever closes an account is told first."""
    wish = choosing.wish_of(account)
    others = Membership.objects.filter(account=account).exclude(user=by)
    return AtStake(
        keys=ApiKey.objects.filter(account=account, revoked_at=None).count(),
        left=left_of(account),
        subscription=Subscription.objects.of(account),
        has_top_up=wish is not None and wish.is_on,
        others=others.count(),
        invitations=len(invitations.open_of(account)),
        open_orders=Purchase.objects.filter(
            account=account, status__in=(Purchase.Status.PENDING, Purchase.Status.PROCESSING)
        ).count(),
    )


def close(*, account: Account, by: User, at: datetime) -> None:
    """End all use of an account and everything that is charged for it.

    Raises CannotClose where nothing was closed, CannotConfirm where the gate gave no answer.
    """
    _end_at_stripe(account, by=by, at=at)
    before = access.access_of([account.pk])
    with transaction.atomic():
        if grants.close(account=account, at=at, by=by):
            invitations.withdraw_all(account, by=by, at=at)
            choosing.forget_card(account=account, by=by, at=at)
            account.refresh_from_db()
            tell_owners(account, "accounts/email/closed", by=by.get_full_name())
    if access.bring_to_gate(before).unconfirmed:
        raise CannotConfirm


def _end_at_stripe(account: Account, *, by: User, at: datetime) -> None:
    """Nothing that is charged again and again is left. Raises CannotClose."""
    order = PlanOrder.objects.filter(account=account, status=PlanOrder.Status.OPEN).first()
    if order is not None:
        try:
            ordering.discard(order, at=at)
        except CannotCheckout as error:
            order.refresh_from_db()
            # It was paid this very moment: what it began is ended below.
            if order.is_open:
                raise CannotClose(_AWAY) from error
    living = Subscription.objects.filter(account=account, ended_at=None)
    for row in living.exclude(status__in=_NOTHING_TO_END).order_by("pk"):
        _end(row, by=by, at=at)


def _end(row: Subscription, *, by: User, at: datetime) -> None:
    try:
        known = _ended_at_stripe(row)
    except StripeUnavailable as error:
        Subscription.objects.filter(pk=row.pk).update(ask_at=at + _ASKED_SOON)
        raise CannotClose(_AWAY) from error
    except StripeRefuses as error:
        raise CannotClose(_REFUSED) from error
    with transaction.atomic():
        keeping.keep(known, at=at)
        thing = row.plan.name if row.plan else ""
        audit.record(row.account, audit.Kind.PLAN, "cancelled at once", thing=thing, by=by)


def _ended_at_stripe(row: Subscription) -> subscriptions.StripeSubscription:
    try:
        return subscriptions.cancel(row.stripe_subscription_id)
    except UnknownToStripe:
        # The answer to an earlier try was lost: it is as it was left then.
        known = subscriptions.retrieve(
            row.stripe_subscription_id, within_seconds=asking.PAGE_SECONDS
        )
        if known.ended_at is None:
            raise
        return known
