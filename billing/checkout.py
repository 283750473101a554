"""Starting a purchase: the order is written down before the customer is sent to pay."""

from uuid import UUID

from django.db import IntegrityError, transaction

from accounts.models import Account, User
from billing import stripe_client
from billing.models import Product, Purchase


class CannotCheckout(Exception):
    """No payment page could be opened; nothing was charged."""


def begin(*, account: Account, user: User, product: Product, submission: UUID) -> Purchase:
    """Write the order down, once per submitted form, with the product's terms of now."""
    try:
        with transaction.atomic():
            purchase, _ = Purchase.objects.get_or_create(
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
        raise CannotCheckout("The order could not be written down. Try again.") from error
    return purchase


def payment_page(purchase: Purchase, *, email: str, success_url: str, cancel_url: str) -> str:
    """The address where the purchase is paid. Raises CannotCheckout when Stripe is away."""
    if purchase.checkout_url:
        return purchase.checkout_url
    try:
        session = stripe_client.create_checkout_session(
            purchase, email=email, success_url=success_url, cancel_url=cancel_url
        )
    except stripe_client.StripeUnavailable as error:
        raise CannotCheckout(
            "The payment page cannot be opened at the moment. Nothing was charged; "
            "try again in a minute."
        ) from error
    if session.url is None:
        raise CannotCheckout("This order was completed or has expired. Start a new one.")
    purchase.stripe_session_id = session.session_id
    purchase.checkout_url = session.url
    purchase.save(update_fields=["stripe_session_id", "checkout_url"])
    return session.url
