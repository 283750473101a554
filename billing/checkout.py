"""Starting a purchase: the order is written down before the customer is sent to pay.

Going on with one that is open, and discarding it, ask Stripe first: it may be paid meanwhile.
"""

import logging
from datetime import datetime, timedelta
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit
from uuid import UUID, uuid5

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from billing import fulfilment, selling
from billing.models import Product, Purchase
from billing.stripe_client import asking, sessions
from billing.stripe_client.errors import (
    AskedOtherwiseBefore,
    StripeRefuses,
    StripeRefusesUs,
    StripeUnavailable,
    UnknownToStripe,
)
from quotas import entitlements

logger = logging.getLogger(__name__)

SUSPENDED = _("This account is suspended: chats would be refused, so nothing can be bought for it.")
NOT_SET_UP = _("Payments are not set up correctly here; we have been told. Nothing was charged.")
_ENDED = _("This order was completed or has expired. Start a new one.")
_AWAY = _(
    "The payment page cannot be opened at the moment. Nothing was charged; try again in a minute."
)
_ASKED_OTHERWISE = _(
    "This order was begun before, with other details, and cannot be gone on with. Nothing was "
    "charged: start a new one."
)
_REFUSED = _(
    "Stripe does not take this order as it is; we have been told. Nothing was charged by it."
)
_EMAIL_REFUSED = _(
    "Stripe does not take your e-mail address, so no payment page was opened and nothing was "
    "charged. Change the address here, then buy again."
)
# A page that was opened so lately is led to without a look whether it is still there.
_STILL_THERE_FOR = timedelta(minutes=1)
_PORTS = {"http": 80, "https": 443}


class CannotCheckout(Exception):
    """No payment page could be opened; nothing was charged."""


class TermsChanged(CannotCheckout):
    """The product is not what the customer was shown; nothing was begun."""


class EmailRefused(CannotCheckout):
    """Stripe does not take the address of whoever buys."""


class NotOpen(CannotCheckout):
    """The order has ended, or is paid: its own page says how."""


class CannotDiscard(Exception):
    """The order stays as it is; the message says why."""


def begin(
    *,
    account: Account,
    user: User,
    product: Product,
    terms: str,
    submission: UUID,
    amount_cents: int | None = None,
    at: datetime,
) -> Purchase:
    """Write the order down, once per submitted form, with the product's terms of now.

    terms: what the customer was shown of the product. amount_cents: what they chose to pay, where
    that is theirs to choose. Raises CannotCheckout, TermsChanged among it.
    """
    if product.is_open_amount:
        # Whoever goes back and sends another amount by the same form wants another order.
        submission = uuid5(submission, str(amount_cents))
    require_sellable(account, product, at=at)
    if terms != product.terms:
        before = Purchase.objects.filter(account=account, submission=submission).first()
        if before is None:
            raise TermsChanged
        return before
    cents, credits = product.price_cents, product.credits
    if product.is_open_amount:
        if amount_cents is None or not product.least_cents <= amount_cents <= product.most_cents:
            raise TermsChanged
        cents, credits = amount_cents, product.credits_for(amount_cents)
    try:
        with transaction.atomic():
            purchase, _is_new = Purchase.objects.get_or_create(
                account=account,
                submission=submission,
                defaults={
                    "user": user,
                    "product": product,
                    "product_name": product.name,
                    "kind": product.kind,
                    "amount_cents": cents,
                    "currency": settings.STRIPE_CURRENCY,
                    "chats": product.chats,
                    "valid_days": product.valid_days,
                    "credits": credits,
                },
            )
    except IntegrityError as error:
        raise CannotCheckout(_("The order could not be written down. Try again.")) from error
    return purchase


def require_selling(account: Account) -> None:
    """Raises CannotCheckout where nothing is sold: what is bought could not be used."""
    if entitlements.suspension_of(account) is not None:
        raise CannotCheckout(SUSPENDED)


def require_sellable(account: Account, product: Product, *, at: datetime) -> None:
    """The same for one product."""
    require_selling(account)
    if why := selling.why_not_sold(product, selling.caps_now(account, at=at), at=at):
        raise CannotCheckout(why)


def payment_page(
    purchase: Purchase, *, email: str, success_url: str, cancel_url: str, at: datetime
) -> str:
    """The address where the purchase is paid.

    Raises CannotCheckout: NotOpen where nothing is to be paid, EmailRefused, or in words.
    """
    if purchase.is_top_up:
        raise NotOpen(_ENDED)
    if purchase.checkout_url:
        return _opened_before(purchase, at=at)
    waiting = Purchase.objects.filter(pk=purchase.pk, status=Purchase.Status.PENDING)
    # Written down before the call: should its answer be lost, the sweep knows where to look.
    if not waiting.update(opened_at=at):
        raise NotOpen(_ENDED)
    try:
        session = sessions.create(
            purchase, email=email, success_url=success_url, cancel_url=cancel_url
        )
    except (StripeUnavailable, StripeRefuses) as error:
        raise_in_words(error)
    url = session.url or ""
    Purchase.objects.filter(pk=purchase.pk).update(
        stripe_session_id=session.session_id, checkout_url=url
    )
    purchase.refresh_from_db()
    # It may have been discarded while its page was being made: then nobody is led there.
    if not url or not purchase.is_open:
        raise NotOpen(_ENDED)
    return url


def _opened_before(purchase: Purchase, *, at: datetime) -> str:
    """The address of a page that was made before, unless it has ended since."""
    if purchase.opened_at and purchase.opened_at > at - _STILL_THERE_FOR:
        return purchase.checkout_url
    try:
        session = _ask(purchase, at=at)
    except StripeRefuses as error:
        raise_in_words(error)
    except StripeRefusesUs as error:
        raise_in_words(error)
    except StripeUnavailable:
        # The page itself says whether it is still there.
        return purchase.checkout_url
    if not purchase.is_open or session.url is None:
        raise NotOpen(_ENDED)
    return session.url


def discard(purchase: Purchase, *, at: datetime) -> None:
    """End an order that is not paid, so that nobody can pay it any more; as often as one likes.

    If it was paid meanwhile, it is fulfilled instead. Raises CannotDiscard.
    """
    if purchase.status != Purchase.Status.PENDING:
        return
    if purchase.is_top_up:
        raise CannotDiscard(_("Your card is being charged for it this very moment."))
    if purchase.stripe_session_id:
        try:
            session = sessions.expire(purchase.stripe_session_id)
        except StripeRefusesUs as error:
            raise CannotDiscard(NOT_SET_UP) from error
        except (StripeUnavailable, StripeRefuses) as error:
            raise CannotDiscard(
                _("The order cannot be discarded at the moment: Stripe gives no answer about it.")
            ) from error
        if session.status != "expired":
            fulfilment.settle(session, at=at)
            purchase.refresh_from_db()
            return
    with transaction.atomic():
        locked = Purchase.objects.select_for_update().get(pk=purchase.pk)
        # Stripe's own word that it has ended may have come before ours.
        may_be = {Purchase.Status.PENDING, Purchase.Status.EXPIRED}
        # A page that was made this very moment is to be ended first.
        is_same = locked.stripe_session_id == purchase.stripe_session_id
        if locked.status in may_be and is_same:
            locked.mark(Purchase.Status.DISCARDED, at=at)
    purchase.refresh_from_db()
    if purchase.status == Purchase.Status.PENDING:
        raise CannotDiscard(_("The payment page was opened this very moment. Try again."))


def _ask(purchase: Purchase, *, at: datetime) -> sessions.CheckoutSession:
    """The session of an order now, and with it the order. Raises what stripe_client does."""
    session = sessions.retrieve(
        purchase.stripe_session_id or "", within_seconds=asking.PAGE_SECONDS
    )
    fulfilment.settle(session, at=at)
    purchase.refresh_from_db()
    return session


def raise_in_words(error: Exception) -> NoReturn:
    """What the customer reads about an error of Stripe, by whom it can be mended."""
    if isinstance(error, StripeRefusesUs):
        raise CannotCheckout(NOT_SET_UP) from error
    if isinstance(error, AskedOtherwiseBefore):
        raise CannotCheckout(_ASKED_OTHERWISE) from error
    if isinstance(error, UnknownToStripe):
        raise CannotCheckout(_ENDED) from error
    if isinstance(error, StripeRefuses):
        if error.param in {"customer_email", "email"}:
            raise EmailRefused(_EMAIL_REFUSED) from error
        raise CannotCheckout(_REFUSED) from error
    raise CannotCheckout(_AWAY) from error


def is_where_forms_may_lead(url: str) -> bool:
    """Whether browsers follow a form of ours to this address, as the content policy says."""
    places = (settings.STRIPE_CHECKOUT_ORIGIN, settings.STRIPE_PORTAL_ORIGIN)
    return _origin(urlsplit(url)) in {_origin(urlsplit(place)) for place in places}


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """As browsers compare them: in small letters, and with the port that goes without saying."""
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
