"""Ordering a plan: written down before the customer is sent to pay, and never two at once."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.models import Account, User
from accounts.numbers import thousands
from billing import checkout, looking
from billing.checkout import CannotCheckout, NotOpen, TermsChanged
from billing.stripe_client import asking, sessions, subscriptions
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.stripe_client.sessions import CheckoutSession
from billing.subscriptions import customers, keeping, prices
from billing.subscriptions.booked import seats_needed
from billing.subscriptions.models import PlanOrder, Subscription
from billing.subscriptions.prices import Cost
from quotas import catalogue, entitlements
from quotas.entitlements import Span

# Longer than a page waits for Stripe.
_OPENING = timedelta(seconds=2 * asking.PAGE_SECONDS)

_ENDED = _("This order was completed or has expired. Choose the plan again.")
_HAS_ONE = _("This account has a subscription already: change it instead of ordering another.")
_HAS_IT = _("This account has that plan, or a better one, already: it would be paid for nothing.")
_TOO_FEW = _("%(count)s people are in this account, and each needs a seat.")
_OTHER_OPEN = _(
    "Another order of a plan is being paid this very moment. Finish it, or try again in a minute."
)


def require_sellable(account: Account, cost: Cost, *, at: datetime) -> None:
    """Raises CannotCheckout where a plan could not be used by the account, or is paid already."""
    checkout.require_selling(account)
    require_seats(account, cost)
    if Subscription.objects.of(account) is not None:
        raise CannotCheckout(_HAS_ONE)
    if why := why_not_sold(cost, entitlements.spans_of([account], since=at)[account.pk][0]):
        raise CannotCheckout(why)


def require_seats(account: Account, cost: Cost) -> None:
    """Raises CannotCheckout where more people are in the account than there would be seats."""
    if not cost.plan.is_per_seat:
        return
    needed = seats_needed(account)
    if cost.seats < needed:
        raise CannotCheckout(_TOO_FEW % {"count": thousands(needed)})


def why_not_sold(cost: Cost, has: Span) -> StrOrPromise:
    """Why a plan is of no use to whoever has another without paying for it; "" where it is."""
    # What ends by itself may be followed by what is bought.
    if has.ends_at is not None:
        return ""
    is_enough = has.plan.pk == cost.plan.pk or catalogue.is_better(has.plan, cost.plan)
    return _HAS_IT if is_enough else ""


def begin(
    *, account: Account, user: User, cost: Cost, terms: str, submission: UUID, at: datetime
) -> PlanOrder:
    """Write the order down, once per submitted form; an earlier one that is open ends first.

    terms: what the customer was shown. Raises CannotCheckout, TermsChanged among it.
    """
    require_sellable(account, cost, at=at)
    before = PlanOrder.objects.filter(account=account, submission=submission).first()
    if before is not None:
        return before
    if terms != cost.terms:
        raise TermsChanged
    earlier = PlanOrder.objects.filter(account=account, status=PlanOrder.Status.OPEN).first()
    if earlier is not None:
        if _is_the_same(earlier, cost) and not _was_not_opened(earlier, at=at):
            return earlier
        discard(earlier, at=at)
    try:
        with transaction.atomic():
            order, _is_new = PlanOrder.objects.get_or_create(
                account=account,
                submission=submission,
                defaults={
                    "user": user,
                    "plan": cost.plan,
                    "plan_name": cost.plan.name,
                    "interval": cost.interval,
                    "amount_cents": cost.amount_cents,
                    "currency": cost.currency,
                    "seats": cost.seats,
                },
            )
    except IntegrityError as error:
        raise CannotCheckout(_OTHER_OPEN) from error
    return order


def _was_not_opened(order: PlanOrder, *, at: datetime) -> bool:
    """Whether Stripe gave no payment page for it: it may say the same of this order for a day.

    Should there be one all the same, nobody knows its address.
    """
    asked = order.opened_at is not None and order.opened_at + _OPENING < at
    return asked and not order.checkout_url


def _is_the_same(order: PlanOrder, cost: Cost) -> bool:
    return (
        order.plan_id == cost.plan.pk
        and order.interval == cost.interval
        and order.amount_cents == cost.amount_cents
        and order.currency == cost.currency
        and order.seats == cost.seats
    )


def payment_page(
    order: PlanOrder, *, email: str, success_url: str, cancel_url: str, at: datetime
) -> str:
    """The address where the order is paid. Raises CannotCheckout: NotOpen, or in words."""
    try:
        if order.checkout_url:
            session = look(order, at=at, is_page=True)
            if not order.is_open:
                raise NotOpen(_ENDED)
            return (session and session.url) or order.checkout_url
        customer = customers.customer_of(order.account, email=email)
        price_id = prices.price_id_of(prices.cost_as_ordered(order))
        waiting = PlanOrder.objects.filter(pk=order.pk, status=PlanOrder.Status.OPEN)
        # Written down before the call: should its answer be lost, the sweep knows where to look.
        if not waiting.update(opened_at=at):
            raise NotOpen(_ENDED)
        session = sessions.create_for_plan(
            order,
            customer_id=customer.stripe_customer_id or "",
            price_id=price_id,
            success_url=success_url,
            cancel_url=cancel_url,
        )
    except (StripeUnavailable, StripeRefuses) as error:
        checkout.raise_in_words(error)
    PlanOrder.objects.filter(pk=order.pk).update(
        stripe_session_id=session.session_id, checkout_url=session.url or ""
    )
    order.refresh_from_db()
    if not order.checkout_url or not order.is_open:
        raise NotOpen(_ENDED)
    return order.checkout_url


def look(order: PlanOrder, *, at: datetime, is_page: bool) -> CheckoutSession | None:
    """Bring an open order up to date, and what it subscribed to; None where nobody was asked.

    Raises StripeUnavailable or StripeRefuses.
    """
    if not (order.is_open and order.stripe_session_id and looking.claim(order, at=at)):
        return None
    within = asking.PAGE_SECONDS if is_page else asking.WORKER_SECONDS
    session = sessions.retrieve(order.stripe_session_id, within_seconds=within)
    take(session, within_seconds=within, at=at)
    order.refresh_from_db()
    return session


def take(session: CheckoutSession, *, within_seconds: float, at: datetime) -> None:
    """Write down what a session of a plan came to. Raises StripeUnavailable or StripeRefuses."""
    known = None
    if session.subscription_id:
        known = subscriptions.retrieve(session.subscription_id, within_seconds=within_seconds)
    with transaction.atomic():
        settle(session, at=at)
        if known is not None:
            keeping.keep(known, at=at)


def settle(session: CheckoutSession, *, at: datetime) -> str:
    """Bring the order of a session to its end, if it has one; what is subscribed, `keeping` keeps.

    Answers why that had no effect where the session is of no order; "" otherwise.
    """
    if session.mode != "subscription":
        return "the session buys nothing of ours"
    try:
        order_id = UUID(session.client_reference_id or "")
    except ValueError:
        return "the session is of no order of ours"
    with transaction.atomic():
        order = PlanOrder.objects.select_for_update().filter(pk=order_id).first()
        if order is None:
            return "the session is of an order that is not known"
        if order.stripe_session_id is None:
            order.stripe_session_id = session.session_id
            order.save(update_fields=["stripe_session_id"])
        if session.status == "complete" and order.status != PlanOrder.Status.SUBSCRIBED:
            order.end(PlanOrder.Status.SUBSCRIBED, at=at)
        elif session.status == "expired" and order.is_open:
            order.end(PlanOrder.Status.EXPIRED, at=at)
    return ""


def discard(order: PlanOrder, *, at: datetime) -> None:
    """End an order so that nobody can pay it any more. Raises CannotCheckout where it was paid."""
    if order.stripe_session_id:
        try:
            session = sessions.expire(order.stripe_session_id)
            if session.status != "expired":
                take(session, within_seconds=asking.PAGE_SECONDS, at=at)
                raise CannotCheckout(_HAS_ONE)
        except (StripeUnavailable, StripeRefuses) as error:
            checkout.raise_in_words(error)
    with transaction.atomic():
        locked = PlanOrder.objects.select_for_update().get(pk=order.pk)
        if locked.stripe_session_id != order.stripe_session_id:
            # Its page was made this very moment, and can be paid.
            raise CannotCheckout(_OTHER_OPEN)
        if locked.is_open:
            locked.end(PlanOrder.Status.DISCARDED, at=at)
