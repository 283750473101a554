"""Going from one plan to another, ending a subscription, and going on after all.

A better plan is paid for the rest of the period and counts at once; a lesser one begins with the
next period, and until then the plan stays that was paid for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.core import signing
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import audit
from billing import checkout
from billing.checkout import CannotCheckout, TermsChanged
from billing.stripe_client import asking, subscriptions
from billing.stripe_client.errors import CardRefused, StripeRefuses, StripeUnavailable
from billing.stripe_client.subscriptions import StripeSubscription
from billing.subscriptions import keeping, ordering, prices
from billing.subscriptions.booked import Booked, is_more
from billing.subscriptions.models import Subscription
from billing.subscriptions.prices import Cost

_GONE = _("This subscription has ended, or is another one now. Look at it again.")
_CARD_REFUSED = _(
    "Your card was refused, so nothing was changed. Choose another card under “Cards and "
    "invoices”, then try again."
)
_TO_MONTHS = _(
    "A plan that is paid by the year goes to months when the year is over: cancel it, and choose "
    "the plan by the month when it has ended."
)
_OTHER_CURRENCY = _(
    "This subscription is paid in %(paid)s, and plans are sold in %(sold)s now: it stays as it is, "
    "or you cancel it and choose a plan again when it has ended."
)
_UNPAID = _("The last period is not paid yet. Pay its invoice first, then change the plan.")
_WAITS = _("A change waits for its payment already. Pay its invoice, or let it run out.")
_NOT_KNOWN = _(
    "Stripe did not answer in time, so nobody knows yet whether this was done. The billing page "
    "says it within minutes: look there before you try again."
)
_ASKED_SOON = timedelta(minutes=1)

_SALT = "billing.subscriptions.changing"
_SHOWN_FOR = timedelta(minutes=30)


class Kind(StrEnum):
    """What a change is."""

    NOW = "now"  # paid for the rest of the period; counts for the next chat
    LATER = "later"  # from the next period on
    KEEP = "keep"  # what was to change later stays as it is


@dataclass(frozen=True, slots=True)
class Change:
    """From what a subscription is to what it would be.

    cents: what is paid at once, None where nothing is or Stripe does not say; paid: what this
    period is of; shown: what forms carry, so that just that is charged; "" where nothing is.
    """

    kind: Kind
    cost: Cost
    cents: int | None
    paid: Booked
    shown: str = ""


def change_to(row: Subscription, cost: Cost, *, asks: bool = True, at: datetime) -> Change:
    """What going to a plan would be, with its price now; asks: unless Stripe is not to be asked.

    Raises CannotCheckout.
    """
    kind, paid = _kind_of(row, cost, at=at)
    if kind is not Kind.NOW or row.booked != paid or not asks:
        return Change(kind, cost, None, paid)
    try:
        known = _as_it_is(row, at=at)
        if _kind_of(row, cost, at=at) != (kind, paid):
            # Something was changed of which nobody has told us yet.
            return change_to(row, cost, asks=asks, at=at)
        foreseen = subscriptions.preview(
            known, price_id=prices.price_id_of(cost), quantity=cost.seats
        )
    except (StripeUnavailable, StripeRefuses):
        # What it costs is said as soon as Stripe says it: with the invoice, before all else.
        return Change(kind, cost, None, paid)
    shown = _signed(row, cost, foreseen.as_of)
    return Change(kind, cost, foreseen.cents, paid, shown)


def _signed(row: Subscription, cost: Cost, as_of: int) -> str:
    """The moment of a preview, so that nobody chooses one at which less is left to pay."""
    return signing.dumps([*_said(row, cost), as_of], salt=_SALT)


def _said(row: Subscription, cost: Cost) -> list[str | int]:
    to = (cost.plan.slug, str(cost.interval), cost.amount_cents, cost.seats)
    return [row.stripe_subscription_id, *to]


def _as_of(shown: str, row: Subscription, cost: Cost) -> int | None:
    """The moment that was shown; None where nothing was. Raises TermsChanged for what is old."""
    if not shown:
        return None
    try:
        *said, as_of = signing.loads(shown, salt=_SALT, max_age=_SHOWN_FOR)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise TermsChanged from error
    if said != _said(row, cost):
        raise TermsChanged
    return int(as_of)


def _kind_of(row: Subscription, cost: Cost, *, at: datetime) -> tuple[Kind, Booked]:
    paid = keeping.held_by(row, at=at).paid or row.booked
    if paid is None or row.problem:
        raise CannotCheckout(checkout.NOT_SET_UP)
    if row.is_unpaid:
        raise CannotCheckout(_UNPAID)
    if row.is_changing:
        raise CannotCheckout(_WAITS)
    if row.currency != cost.currency:
        # Stripe has one subscription, and one customer while it lives, in one currency.
        words = {"paid": row.currency.upper(), "sold": cost.currency.upper()}
        raise CannotCheckout(_OTHER_CURRENCY % words)
    if row.interval == "year" and cost.interval == "month":
        raise CannotCheckout(_TO_MONTHS)
    if cost.booked == paid and cost.interval == row.interval:
        return Kind.KEEP, paid
    if row.interval != cost.interval or is_more(cost.booked, paid):
        return Kind.NOW, paid
    return Kind.LATER, paid


def change(
    row: Subscription, cost: Cost, *, terms: str, shown: str, submission: str, at: datetime
) -> Change:
    """Go to a plan, as it was shown. What Stripe says then is kept at once.

    Raises CannotCheckout, TermsChanged among it; nothing was changed, unless it says otherwise.
    """
    checkout.require_selling(row.account)
    ordering.require_seats(row.account, cost)
    if terms != cost.terms:
        raise TermsChanged
    kind, paid = _kind_of(row, cost, at=at)
    as_of = _as_of(shown, row, cost) if kind is Kind.NOW else None
    try:
        price_id = prices.price_id_of(cost)
        known = _as_it_is(row, at=at)
        back_to = _what_was_paid(row, kind, paid)
    except (StripeUnavailable, StripeRefuses) as error:
        checkout.raise_in_words(error)
    if _kind_of(row, cost, at=at) != (kind, paid):
        # The answer to an earlier change was lost, or the portal was quicker.
        raise TermsChanged
    with _done_or_not_known(row, at=at):
        if back_to is not None:
            known = subscriptions.change_price(
                known,
                price_id=back_to,
                quantity=paid.seats,
                invoice_now=False,
                key=f"back-{submission}",
            )
        known = subscriptions.change_price(
            known,
            price_id=price_id,
            quantity=cost.seats,
            invoice_now=kind is Kind.NOW,
            as_of=as_of,
            key=f"change-{submission}",
        )
        if known.is_ending:
            known = subscriptions.set_ending(
                known.subscription_id, is_ending=False, key=f"goes-on-{submission}"
            )
    was = row.booked
    with transaction.atomic():
        keeping.keep(known, at=at)
        audit.record(
            row.account,
            audit.Kind.PLAN,
            "changed",
            thing=cost.booked.plan.name,
            changes={
                "plan": (was.plan.name if was else None, cost.booked.plan.name),
                "seats": (was.seats if was else None, cost.seats),
                "interval": (row.interval, cost.interval),
            },
        )
    return Change(kind, cost, None, paid)


def _what_was_paid(row: Subscription, kind: Kind, paid: Booked) -> str | None:
    """Where a lesser plan was to follow, the price to go back to before a better one is paid for.

    What was paid for is what the rest of the period is worth.
    """
    if kind is not Kind.NOW or row.booked == paid:
        return None
    own = prices.cost_of(paid.plan, row.interval, seats=paid.seats)
    return None if own is None else prices.price_id_of(own)


def set_ending(row: Subscription, *, is_ending: bool, submission: str, at: datetime) -> None:
    """End a subscription with its period, or let it go on after all. Raises CannotCheckout."""
    with _done_or_not_known(row, at=at):
        known = subscriptions.set_ending(
            row.stripe_subscription_id,
            is_ending=is_ending,
            key=f"{'ends' if is_ending else 'goes-on'}-{submission}",
        )
    with transaction.atomic():
        keeping.keep(known, at=at)
        act = "cancelled" if is_ending else "resumed"
        audit.record(row.account, audit.Kind.PLAN, act, thing=row.plan.name if row.plan else "")


@contextmanager
def _done_or_not_known(row: Subscription, *, at: datetime) -> Iterator[None]:
    """What Stripe was told to do, and did not answer, it may have done. Raises CannotCheckout."""
    try:
        yield
    except CardRefused as error:
        raise CannotCheckout(_CARD_REFUSED) from error
    except StripeRefuses as error:
        checkout.raise_in_words(error)
    except StripeUnavailable as error:
        Subscription.objects.filter(pk=row.pk).update(ask_at=at + _ASKED_SOON)
        raise CannotCheckout(_NOT_KNOWN) from error


def _as_it_is(row: Subscription, *, at: datetime) -> StripeSubscription:
    known = subscriptions.retrieve(row.stripe_subscription_id, within_seconds=asking.PAGE_SECONDS)
    keeping.keep(known, at=at)
    row.refresh_from_db()
    if row.ended_at is not None:
        raise CannotCheckout(_GONE)
    return known
