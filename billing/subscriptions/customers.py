"""The one customer that an account is at Stripe."""

from accounts.models import Account
from billing.stripe_client import customers
from billing.stripe_client.errors import StripeRefuses
from billing.subscriptions.models import Customer


def customer_of(account: Account, *, email: str) -> Customer:
    """The account's customer, made at Stripe if there is none; the same whoever asks at once.

    What is sent is what the row says, so that a repeated call is the same call. Raises
    StripeUnavailable or StripeRefuses.
    """
    customer, is_new = Customer.objects.get_or_create(account=account, defaults={"email": email})
    if customer.stripe_customer_id:
        return customer
    found = None
    if not is_new:
        # Somebody asked before and got no answer, which Stripe may repeat under the same key.
        found = customers.made_for(account=account.handle, email=customer.email)
    if found is None:
        try:
            found = customers.create(
                account=account.handle, email=customer.email, key=f"customer-{account.handle}"
            )
        except StripeRefuses:
            # Nothing was made of this address: the next one to ask may have a better one.
            Customer.objects.filter(pk=customer.pk, stripe_customer_id=None).delete()
            raise
    Customer.objects.filter(pk=customer.pk, stripe_customer_id=None).update(
        stripe_customer_id=found
    )
    customer.refresh_from_db()
    return customer
