"""Stripe's portal, where a customer keeps cards, billing address, tax id and invoices."""

from accounts.models import Account
from billing import checkout
from billing.stripe_client import customers as at_stripe
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.subscriptions import customers


def page_of(account: Account, *, email: str, return_url: str) -> str:
    """Where the account's portal is, for a few minutes. Raises CannotCheckout."""
    try:
        customer = customers.customer_of(account, email=email)
        return at_stripe.portal_url(customer.stripe_customer_id or "", return_url=return_url)
    except (StripeUnavailable, StripeRefuses) as error:
        checkout.raise_in_words(error)
