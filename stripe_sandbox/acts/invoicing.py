"""What becomes of an invoice: made, finalized, paid or not, and tried again."""

from stripe_sandbox.acts import charging, pricing
from stripe_sandbox.acts.charging import Answer
from stripe_sandbox.books import Books, Json
from stripe_sandbox.objects import invoices as objects
from stripe_sandbox.objects.payments import payment_intent
from stripe_sandbox.webhooks import announce, save_changed

DAY = 24 * 3600
# Days from one try to the next; after the last of them it is over.
RETRIES_DAYS = (3, 5, 7)


def make(
    books: Books,
    *,
    customer: Json,
    lines: list[Json],
    reason: str,
    currency: str,
    subscription: Json | None = None,
    period: tuple[int, int] | None = None,
    takes_balance: bool = True,
    off: int = 0,
    tax: int | None = None,
) -> Json:
    """A finalized invoice, with nothing tried on it yet.

    What was paid at checkout takes nothing from the customer's balance, for it is paid in full.
    tax: None works it out.
    """
    at = int(books.billing_now)
    start, end = period or (at, at)
    invoice = objects.invoice(
        at=at,
        customer=customer if takes_balance else {**customer, "balance": 0},
        lines=lines,
        reason=reason,
        currency=currency,
        subscription=subscription,
        period_start=start,
        period_end=end,
        off=off,
        tax=pricing.tax_of(subscription, lines) if tax is None else tax,
    )
    books.add(invoice, parent=subscription["id"] if subscription else None)
    announce(books, "invoice.created", invoice)
    _finalize(books, invoice, customer, takes_balance=takes_balance)
    return invoice


def collect(books: Books, invoice: Json, method: Json | None) -> Answer:
    """Try to have it paid without its payer being there."""
    if invoice["amount_due"] == 0:
        _paid(books, invoice, amount=0)
        return Answer(kind="paid")
    intent = intent_of(books, invoice)
    if method is None:
        return Answer(kind="declined", error={"message": "There is no payment method."})
    answer = charging.take(books, intent, method, off_session=True)
    if answer.kind == "paid":
        paid_with(books, invoice, intent)
    return answer


def intent_of(books: Books, invoice: Json) -> Json:
    """The payment intent that an invoice is paid with, made when it is first needed."""
    for payment in books.children("invoice_payment", invoice["id"]):
        return books.known("payment_intent", payment["payment"]["payment_intent"])
    intent = payment_intent(
        at=int(books.now),
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        methods=["card"],
        metadata={},
    )
    intent.update(
        customer=invoice["customer"], description=_description(invoice), setup_future_usage=None
    )
    books.add(intent, parent=invoice["id"])
    _bind(books, invoice, intent)
    return intent


def paid_with(books: Books, invoice: Json, intent: Json) -> None:
    """Its payment intent succeeded."""
    payments = books.children("invoice_payment", invoice["id"])
    payment = payments[0] if payments else _bind(books, invoice, intent)
    payment.update(amount_paid=invoice["amount_due"], status="paid")
    payment["status_transitions"]["paid_at"] = int(books.billing_now)
    books.save(payment)
    announce(books, "invoice_payment.paid", payment)
    _paid(books, invoice, amount=invoice["amount_due"])


def failed(books: Books, invoice: Json, answer: Answer) -> None:
    """A try failed; the next one follows in days, or none."""
    invoice["attempt_count"] += 1
    invoice["attempted"] = True
    tries = invoice["attempt_count"]
    is_last = tries > len(RETRIES_DAYS)
    due_at = None if is_last else int(books.billing_now) + RETRIES_DAYS[tries - 1] * DAY
    invoice["next_payment_attempt"] = due_at
    books.save(invoice)
    if due_at is not None:
        books.timers.set("retry", invoice["id"], due_at=due_at, clock="billing")
    announce(books, "invoice.payment_failed", invoice)
    if (answer.error or {}).get("code") == "authentication_required":
        announce(books, "invoice.payment_action_required", invoice)


def void(books: Books, invoice: Json) -> None:
    """It is not to be paid any more."""
    invoice.update(status="void", next_payment_attempt=None, auto_advance=False)
    invoice["status_transitions"]["voided_at"] = int(books.billing_now)
    books.save(invoice)
    books.timers.clear(invoice["id"])
    for payment in books.children("invoice_payment", invoice["id"]):
        intent = books.known("payment_intent", payment["payment"]["payment_intent"])
        charging.cancel(books, intent, reason="void_invoice")
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = int(books.billing_now)
        books.save(payment)
    announce(books, "invoice.voided", invoice)


def method_for(books: Books, *, customer: Json, subscription: Json | None) -> Json | None:
    """What an invoice is paid with: the subscription's own method, or the customer's."""
    own = subscription["default_payment_method"] if subscription else None
    named = own or customer["invoice_settings"]["default_payment_method"]
    method = books.get("payment_method", named)
    return method if method and method["customer"] == customer["id"] else None


def _finalize(books: Books, invoice: Json, customer: Json, *, takes_balance: bool) -> None:
    sequence = customer["next_invoice_sequence"]
    # Nobody is told of the next number, as nobody is by Stripe.
    customer["next_invoice_sequence"] = sequence + 1
    books.save(customer)
    customer["currency"] = customer["currency"] or invoice["currency"]
    if takes_balance:
        # What is not worth a payment is carried over, as is a credit.
        carried_over = invoice["starting_balance"] + invoice["total"]
        customer["balance"] = 0 if invoice["amount_due"] else carried_over
    save_changed(books, "customer.updated", customer)
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{sequence:04d}",
        effective_at=int(books.billing_now),
        ending_balance=customer["balance"] if takes_balance else 0,
        hosted_invoice_url=books.configuration.url("invoices", invoice["id"]),
        invoice_pdf=books.configuration.url("invoices", invoice["id"], "pdf"),
    )
    invoice["status_transitions"]["finalized_at"] = int(books.billing_now)
    books.save(invoice)
    announce(books, "invoice.finalized", invoice)


def _paid(books: Books, invoice: Json, *, amount: int) -> None:
    invoice.update(
        status="paid",
        amount_paid=amount,
        amount_remaining=0,
        attempted=True,
        attempt_count=invoice["attempt_count"] + (1 if amount else 0),
        next_payment_attempt=None,
        auto_advance=False,
    )
    invoice["status_transitions"]["paid_at"] = int(books.billing_now)
    books.save(invoice)
    books.timers.clear(invoice["id"])
    announce(books, "invoice.paid", invoice)
    announce(books, "invoice.payment_succeeded", invoice)


def _bind(books: Books, invoice: Json, intent: Json) -> Json:
    payment = objects.invoice_payment(at=int(books.billing_now), invoice=invoice, intent=intent)
    books.add(payment, parent=invoice["id"])
    return payment


def _description(invoice: Json) -> str:
    words = {
        "subscription_create": "Subscription creation",
        "subscription_cycle": "Subscription update",
        "subscription_update": "Subscription update",
    }
    return words.get(invoice["billing_reason"], "Invoice")
