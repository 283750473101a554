"""Starting a purchase: the order is written down before the customer is sent to pay."""

from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, User
from billing import selling, stripe_client
from billing.models import Product, Purchase
from quotas import entitlements

SUSPENDED = _("This account is suspended: chats would be refused, so nothing can be bought for it.")
ENDED = _("This order was completed or has expired. Start a new one.")


class CannotCheckout(Exception):
    """No payment page could be opened; nothing was charged."""


def begin(
    *, account: Account, user: User, product: Product, submission: UUID, at: datetime
) -> Purchase:
    """Write the order down, once per submitted form, with the product's terms of now.

    Raises CannotCheckout.
    """
    require_sellable(account, product, at=at)
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
                    "amount_cents": product.price_cents,
                    "chats": product.chats,
                    "valid_days": product.valid_days,
                    "credits": product.credits,
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
    """The address where the purchase is paid. Raises CannotCheckout when Stripe is away."""
    if purchase.checkout_url:
        return purchase.checkout_url
    waiting = Purchase.objects.filter(pk=purchase.pk, status=Purchase.Status.PENDING)
    # Written down before the call: should its answer be lost, the sweep knows where to look.
    if not waiting.update(opened_at=at):
        raise CannotCheckout(ENDED)
    try:
        session = stripe_client.create_checkout_session(
            purchase, email=email, success_url=success_url, cancel_url=cancel_url
        )
    except (stripe_client.StripeUnavailable, stripe_client.UnknownToStripe) as error:
        raise CannotCheckout(
            _(
                "The payment page cannot be opened at the moment. Nothing was charged; "
                "try again in a minute."
            )
        ) from error
    purchase.stripe_session_id = session.session_id
    purchase.checkout_url = session.url or ""
    purchase.save(update_fields=["stripe_session_id", "checkout_url"])
    if session.url is None:
        raise CannotCheckout(ENDED)
    return session.url


def is_where_forms_may_lead(url: str) -> bool:
    """Whether browsers follow a form of ours to this address, as the content policy says."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" == settings.STRIPE_CHECKOUT_ORIGIN
