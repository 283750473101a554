"""Wanting credits to be bought by themselves, changing that, and saving the card for it."""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.models import Account, User
from accounts.money import amount
from billing import checkout
from billing.checkout import CannotCheckout
from billing.models import Product
from billing.stripe_client import intents
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.subscriptions import customers
from billing.top_ups.models import AutoTopUp

_NO_CARD = _("Save a card first: nothing can be bought by itself without one.")
_CHANGED = _("This pack was changed since you opened the page. Look at it, and choose again.")
_TOO_LITTLE = _("The month’s bound is below the price of the pack: nothing would ever be bought.")


def wish_of(account: Account) -> AutoTopUp | None:
    """What an account wants, on or off; None where nobody ever wanted anything."""
    return AutoTopUp.objects.filter(account=account).select_related("product").first()


def want(
    *,
    account: Account,
    by: User,
    product: Product,
    terms: str,
    currency: str,
    below_credits: int,
    month_cents: int,
    at: datetime,
) -> None:
    """Switch it on, or change what is wanted. Raises CannotCheckout.

    currency: in which it was asked for; "" of a form from before it was said, in US dollars.
    """
    checkout.require_selling(account)
    if terms != product.terms or (currency or "usd") != settings.STRIPE_CURRENCY:
        raise CannotCheckout(_CHANGED)
    if month_cents < product.price_cents:
        raise CannotCheckout(_TOO_LITTLE)
    with transaction.atomic():
        wish = AutoTopUp.objects.select_for_update().filter(account=account).first()
        if wish is None or not wish.stripe_payment_method_id:
            raise CannotCheckout(_NO_CARD)
        wish.is_on, wish.stopped, wish.stopped_at = True, "", None
        wish.product, wish.terms = product, product.terms
        wish.below_credits, wish.month_cents = below_credits, month_cents
        wish.changed_at, wish.changed_by = at, by
        # Not sooner: switching it off and on again is no way around the cooldown.
        wish.next_at = max(wish.next_at, at)
        wish.save()
        audit.record(
            account,
            audit.Kind.MONEY,
            "top-up wanted",
            thing=product.name,
            changes={
                "below_credits": (None, below_credits),
                "month": (None, amount(month_cents, settings.STRIPE_CURRENCY)),
            },
            by=by,
        )


def want_nothing(*, account: Account, by: User, at: datetime) -> None:
    """Switch it off; a purchase that is under way goes on."""
    off = {"is_on": False, "stopped": "", "stopped_at": None}
    with transaction.atomic():
        if AutoTopUp.objects.filter(account=account, is_on=True).exists():
            audit.record(account, audit.Kind.MONEY, "top-up off", by=by)
        AutoTopUp.objects.filter(account=account).update(**off, changed_at=at, changed_by=by)


def forget_card(*, account: Account, by: User, at: datetime) -> None:
    """Use no card any more, and so buy nothing."""
    with transaction.atomic():
        want_nothing(account=account, by=by, at=at)
        wish = AutoTopUp.objects.filter(account=account).first()
        if wish is not None and wish.card:
            audit.record(account, audit.Kind.MONEY, "card forgotten", thing=wish.card, by=by)
        AutoTopUp.objects.filter(account=account).update(stripe_payment_method_id="", card="")


def saving_page(
    *,
    account: Account,
    email: str,
    submission: UUID,
    success_url: str,
    cancel_url: str,
) -> str:
    """Where a card is saved. Raises CannotCheckout."""
    checkout.require_selling(account)
    try:
        customer = customers.customer_of(account, email=email)
        return intents.saving_page(
            customer_id=customer.stripe_customer_id or "",
            currency=settings.STRIPE_CURRENCY,
            success_url=success_url,
            cancel_url=cancel_url,
            key=f"card-{submission}",
        )
    except (StripeUnavailable, StripeRefuses) as error:
        checkout.raise_in_words(error)


def keep_card(*, account: Account, email: str, session_id: str) -> bool:
    """Take the card that a session saved; False where it saved none of this account.

    Raises StripeUnavailable or StripeRefuses.
    """
    customer = customers.customer_of(account, email=email)
    card = intents.saved_by(session_id, customer_id=customer.stripe_customer_id or "")
    if card is None:
        return False
    AutoTopUp.objects.update_or_create(
        account=account,
        defaults={"stripe_payment_method_id": card.method_id, "card": card.shown},
    )
    return True
