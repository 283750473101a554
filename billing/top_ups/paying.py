"""Buying credits by themselves: the order first, then the card, then what Stripe says of it.

The same call is repeated under the same key until its answer is known, so that an answer that was
lost charges nobody twice. Whatever is not a payment ends the wish, and a person is told.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q, Sum

from billing import fulfilment, selling
from billing.models import Product, Purchase, StripeEvent
from billing.stripe_client import intents
from billing.stripe_client.errors import (
    AskedOtherwiseBefore,
    CardRefused,
    StripeRefuses,
    StripeRefusesUs,
    StripeUnavailable,
)
from billing.stripe_client.intents import Intent
from billing.subscriptions.models import Customer
from billing.top_ups import telling
from billing.top_ups.models import AutoTopUp
from quotas import entitlements, statement

logger = logging.getLogger(__name__)

_AT_ONCE = 50
_LOOK_AGAIN = timedelta(seconds=15)
COOLDOWN = timedelta(minutes=5)
# Of what is not paid for lack of an answer; and how long Stripe repeats its answer to a key.
_ASK_AGAIN = timedelta(minutes=1)
_KEYS_ARE_KNOWN_FOR = timedelta(hours=23)
_OPEN = (Purchase.Status.PENDING, Purchase.Status.PROCESSING)
_COUNTS = (*_OPEN, Purchase.Status.PAID, Purchase.Status.REVIEW)
EVENTS = {
    *("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled"),
    *("payment_intent.processing", "payment_intent.requires_action"),
}
_FAILED = {"requires_payment_method", "canceled"}
_Stopped = AutoTopUp.Stopped


def buy_what_is_due(*, at: datetime) -> int:
    """Look at every wish whose time has come; answers how many purchases were begun."""
    due = AutoTopUp.objects.filter(is_on=True, next_at__lte=at).order_by("next_at")
    begun = 0
    for wish in list(due.select_related("account", "product")[:_AT_ONCE]):
        try:
            purchase = _begin(wish, at=at)
        except Exception:
            logger.exception("the top-up of account %s failed", wish.account.handle)
            wish.wait(COOLDOWN, at=at)
            continue
        if purchase is not None:
            begun += 1
            _pay(purchase, at=at)
    return begun


def ask_about_open(*, at: datetime) -> int:
    """Ask about purchases whose answer is not known yet; answers how many those were."""
    waiting = Purchase.objects.filter(is_top_up=True, status__in=_OPEN, ask_at__lte=at)
    asked = 0
    for purchase in list(waiting.select_related("account").order_by("ask_at")[:_AT_ONCE]):
        mine = Purchase.objects.filter(pk=purchase.pk, ask_at=purchase.ask_at)
        if mine.update(ask_at=at + _ASK_AGAIN):
            asked += 1
            _pay(purchase, at=at)
    return asked


def intent_of(event: StripeEvent) -> Intent | None:
    """The payment that an event is about, as Stripe knows it now; None when it is none of these.

    Raises StripeUnavailable when it must be repeated, UnknownToStripe when that does not help.
    """
    if event.type not in EVENTS:
        return None
    try:
        named = UUID(str(event.says("metadata", "purchase")))
        is_ours = Purchase.objects.filter(pk=named, is_top_up=True).exists()
    except ValueError:
        is_ours = False
    # What comes by a session has events of its own.
    return intents.retrieve(str(event.says("id"))) if is_ours else None


def _begin(wish: AutoTopUp, *, at: datetime) -> Purchase | None:
    """The order of a wish that holds, written down; None where nothing is to be bought now."""
    balance = statement.balance_of(wish.account)
    with transaction.atomic():
        locked = (
            AutoTopUp.objects.select_for_update(of=("self",))
            .select_related("account", "product")
            .get(pk=wish.pk)
        )
        if not locked.is_on or locked.next_at > at or balance >= locked.below_credits:
            if locked.is_on and locked.next_at <= at:
                locked.wait(_LOOK_AGAIN, at=at)
            return None
        product = locked.product
        if product is None or not product.is_active:
            _stop(locked, _Stopped.NOT_ON_SALE, at=at)
        elif product.terms != locked.terms:
            _stop(locked, _Stopped.CHANGED, at=at)
        elif not _may(locked, product, at=at):
            locked.wait(COOLDOWN, at=at)
        else:
            locked.wait(COOLDOWN, at=at)
            return _ordered(locked, product, at=at)
    return None


def _may(wish: AutoTopUp, product: Product, *, at: datetime) -> bool:
    """Whether it is within the month's bound, alone, and of use."""
    if entitlements.suspension_of(wish.account) is not None:
        return False
    if selling.caps_now(wish.account, at=at).has_none_now:
        return False
    month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    bought = Purchase.objects.filter(account=wish.account, is_top_up=True, status__in=_COUNTS)
    if bought.filter(status__in=_OPEN).exists():
        return False
    # A bound in another currency was another one.
    spent = bought.filter(created_at__gte=month, currency=wish.currency).aggregate(
        cents=Sum("amount_cents", default=0)
    )
    return bool(spent["cents"] + product.price_cents <= wish.month_cents)


def _ordered(wish: AutoTopUp, product: Product, *, at: datetime) -> Purchase:
    return Purchase.objects.create(
        account=wish.account,
        user=wish.changed_by,
        product=product,
        product_name=product.name,
        kind=product.kind,
        amount_cents=product.price_cents,
        currency=wish.currency,
        credits=product.credits,
        submission=uuid4(),
        is_top_up=True,
        opened_at=at,
        created_at=at,
        ask_at=at + _ASK_AGAIN,
    )


def _pay(purchase: Purchase, *, at: datetime) -> None:
    """Charge the card, or ask what became of it, and write down what Stripe says."""
    customer = Customer.objects.filter(account=purchase.account).first()
    wish = AutoTopUp.objects.filter(account=purchase.account).first()
    if customer is None or customer.stripe_customer_id is None or wish is None:
        _failed(purchase, _Stopped.NO_CARD, at=at)
        return
    try:
        settle(_answer(purchase, wish, customer.stripe_customer_id, at=at), at=at)
    except CardRefused as error:
        asks = error.code == "authentication_required"
        _failed(purchase, _Stopped.BANK_ASKS if asks else _Stopped.CARD_REFUSED, at=at)
    except StripeRefusesUs:
        logger.error("top-up %s waits: Stripe refuses our key", purchase.pk)
    except StripeUnavailable as error:
        logger.warning("top-up %s: Stripe gave no answer: %s", purchase.pk, error)
    except StripeRefuses as error:
        logger.error("top-up %s is refused: %s", purchase.pk, error)
        _failed(purchase, _Stopped.NO_CARD, at=at)


def _answer(purchase: Purchase, wish: AutoTopUp, customer_id: str, *, at: datetime) -> Intent:
    if purchase.stripe_payment_intent_id:
        return intents.retrieve(purchase.stripe_payment_intent_id)
    if purchase.created_at < at - _KEYS_ARE_KNOWN_FOR:
        found = intents.made_for(purchase, customer_id=customer_id)
        if found is None:
            raise CardRefused("it was never begun")
        return intents.retrieve(found)
    try:
        return intents.pay(
            purchase, customer_id=customer_id, method_id=wish.stripe_payment_method_id
        )
    except AskedOtherwiseBefore:
        # It was heard, and the card was exchanged or forgotten since.
        found = intents.made_for(purchase, customer_id=customer_id)
        if found is None:
            raise
        return intents.retrieve(found)


def settle(intent: Intent, *, at: datetime) -> str:
    """Bring the purchase of a payment up to date; answers why that had no effect, if so."""
    try:
        purchase_id = UUID(intent.purchase or "")
    except ValueError:
        return "the payment is of no purchase of ours"
    with transaction.atomic():
        purchase = (
            Purchase.objects.select_for_update(of=("self",))
            .select_related("account")
            .filter(pk=purchase_id, is_top_up=True)
            .first()
        )
        if purchase is None:
            # What came by a session is settled with that.
            return "the payment is of no top-up"
        if purchase.stripe_payment_intent_id is None:
            purchase.stripe_payment_intent_id = intent.intent_id
            purchase.save(update_fields=["stripe_payment_intent_id"])
        is_paid = intent.status == "succeeded"
        if not (purchase.is_open or (purchase.ended_unpaid and is_paid)):
            return ""
        problem = _mismatch(purchase, intent)
        if problem:
            fulfilment.set_aside(
                purchase,
                problem,
                received_cents=intent.amount_cents if is_paid else None,
                received_currency=intent.currency if is_paid else "",
                at=at,
            )
            _stop_of(purchase, _Stopped.UNKNOWN, at=at)
        elif is_paid:
            purchase.note_payment(
                paid_cents=intent.amount_cents,
                discount_cents=0,
                tax_cents=0,
                receipt_url=intent.receipt_url,
                invoice_url="",
                invoice_pdf_url="",
            )
            fulfilment.grant(purchase, at=at)
            purchase.mark(Purchase.Status.PAID, at=at)
            fulfilment.note_if_closed(purchase)
        elif intent.status in _FAILED:
            purchase.mark(Purchase.Status.FAILED, at=at)
            _stop_of(purchase, _Stopped.CARD_REFUSED, at=at)
        elif intent.status == "requires_action":
            purchase.mark(Purchase.Status.FAILED, at=at)
            _stop_of(purchase, _Stopped.BANK_ASKS, at=at)
        elif intent.status == "processing":
            purchase.mark(Purchase.Status.PROCESSING, at=at)
    return ""


def _mismatch(purchase: Purchase, intent: Intent) -> str:
    if intent.amount_cents != purchase.amount_cents:
        return f"paid {intent.amount_cents} cents instead of {purchase.amount_cents}"
    return fulfilment.unlike(
        purchase, currency=intent.currency, account=intent.account, is_live=intent.is_live
    )


def _failed(purchase: Purchase, why: str, *, at: datetime) -> None:
    with transaction.atomic():
        locked = Purchase.objects.select_for_update().get(pk=purchase.pk)
        if locked.is_open:
            locked.mark(Purchase.Status.FAILED, at=at)
            _stop_of(locked, why, at=at)


def _stop_of(purchase: Purchase, why: str, *, at: datetime) -> None:
    mine = Q(account=purchase.account_id, is_on=True)
    wish = AutoTopUp.objects.select_for_update(of=("self",)).select_related("account").filter(mine)
    for found in wish:
        _stop(found, why, at=at)


def _stop(wish: AutoTopUp, why: str, *, at: datetime) -> None:
    logger.warning("auto top-up of account %s stops: %s", wish.account.handle, why)
    wish.stop(why, at=at)
    telling.of_stop(wish, at=at)
