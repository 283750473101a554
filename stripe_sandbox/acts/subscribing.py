"""The life of a subscription: begun at checkout, changed, cancelled, resumed, ended."""

from dataclasses import dataclass
from typing import Any

from stripe_sandbox.acts import invoicing, periods, proration, saving
from stripe_sandbox.acts.charging import Answer
from stripe_sandbox.acts.proration import Period, Wanted
from stripe_sandbox.books import Books, Json
from stripe_sandbox.objects import invoices as invoice_shapes
from stripe_sandbox.objects import subscriptions as shapes
from stripe_sandbox.objects.catalogue import plan
from stripe_sandbox.webhooks import announce, save_changed

PENDING_SECONDS = 23 * 3600


class PaymentFailed(Exception):
    """A change that was to be paid at once could not be; nothing of it is to stay."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the payment failed")
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class Change:
    """How the items of a subscription are to change, and how that is paid."""

    wanted: list[Wanted]
    proration: str = "create_prorations"
    payment: str = "allow_incomplete"
    at: int | None = None


def begin(books: Books, session: Json, intent: Json, method: Json, *, customer: Json) -> None:
    """What a paid session in subscription mode brings: subscription, invoice, saved card."""
    wishes = books.known("wishes", f"wishes_of_{session['id']}")
    at = int(books.billing_now)
    saving.set_up(books, method)
    saving.attach(books, method, customer["id"])
    subscription = shapes.subscription(
        at=at,
        customer=customer["id"],
        currency=session["currency"],
        method=method["id"],
        metadata=wishes["subscription_metadata"],
        description=wishes["subscription_description"],
    )
    items = books.children("item", session["id"])
    recurring = [item for item in items if item["price"]["recurring"]]
    end = periods.end_of(at, recurring=recurring[0]["price"]["recurring"], anchor=at)
    subscription["items"]["data"] = [
        shapes.subscription_item(
            at=at,
            subscription=subscription["id"],
            price=item["price"],
            quantity=item["quantity"],
            start=at,
            end=end,
        )
        for item in recurring
    ]
    taxes = session["automatic_tax"]
    subscription["automatic_tax"].update(enabled=taxes["enabled"], liability=taxes["liability"])
    books.add(subscription)
    lines = proration.lines_of_period(
        books, subscription, proration.as_it_is(subscription), period=Period(start=at, end=end)
    )
    lines += _once_only([item for item in items if not item["price"]["recurring"]], at=at)
    intent.update(customer=customer["id"], description="Subscription creation")
    intent.update(setup_future_usage="off_session")
    books.save(intent)
    invoice = invoicing.make(
        books,
        customer=books.known("customer", customer["id"]),
        lines=lines,
        reason="subscription_create",
        currency=session["currency"],
        subscription=subscription,
        period=(at, at),
        takes_balance=False,
        **_off_and_tax(session),
    )
    invoicing.paid_with(books, invoice, intent)
    subscription["latest_invoice"] = invoice["id"]
    books.save(subscription)
    announce(books, "customer.subscription.created", subscription)
    books.timers.set("renew", subscription["id"], due_at=end, clock="billing")
    session.update(subscription=subscription["id"], invoice=invoice["id"])


def invoice_of_purchase(books: Books, session: Json, intent: Json, *, customer: Json) -> None:
    """The invoice of a session that asked for one after a single payment."""
    at = int(books.billing_now)
    invoice = invoicing.make(
        books,
        customer=books.known("customer", customer["id"]),
        lines=_once_only(books.children("item", session["id"]), at=at),
        reason="manual",
        currency=session["currency"],
        takes_balance=False,
        **_off_and_tax(session),
    )
    wanted = session["invoice_creation"]["invoice_data"]
    invoice.update(metadata=wanted["metadata"] or {}, description=wanted["description"])
    invoice.update(footer=wanted["footer"])
    invoicing.paid_with(books, invoice, intent)
    session["invoice"] = invoice["id"]


def change(books: Books, subscription: Json, wish: Change) -> None:
    """Change prices or quantities now; raises PaymentFailed where nothing is to stay then."""
    at = wish.at or int(books.billing_now)
    anew = proration.begins_anew(subscription, wish.wanted)
    lines = []
    if wish.proration != "none":
        lines = proration.lines_of_change(books, subscription, wish.wanted, at=at)
    before = [dict(item) for item in subscription["items"]["data"]]
    _put_items(books, subscription, wish.wanted, anew_at=at if anew else None)
    if anew:
        period = proration.period_of(subscription)
        lines += proration.lines_of_period(
            books, subscription, proration.as_it_is(subscription), period=period
        )
    if not anew and wish.proration != "always_invoice":
        for line in lines:
            books.add(line, kind="pending_line", parent=subscription["id"])
        _announce_change(books, subscription)
        return
    _announce_change(books, subscription)
    if lines:
        _invoice_change(books, subscription, lines, wish=wish, before=before)


def cancel_later(books: Books, subscription: Json, *, cancels: bool) -> None:
    """Let it end with its period, or let it go on after all."""
    if subscription["cancel_at_period_end"] == cancels:
        return
    end = proration.period_of(subscription).end
    subscription.update(
        cancel_at_period_end=cancels,
        cancel_at=end if cancels else None,
        canceled_at=int(books.billing_now) if cancels else None,
    )
    subscription["cancellation_details"].update(
        reason="cancellation_requested" if cancels else None
    )
    _announce_change(books, subscription)


def end(books: Books, subscription: Json, *, reason: str) -> None:
    """It is over, now."""
    now = int(books.billing_now)
    subscription.update(status="canceled", ended_at=now)
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["cancellation_details"]["reason"] = reason
    books.save(subscription)
    books.timers.clear(subscription["id"])
    for invoice in books.children("invoice", subscription["id"]):
        books.timers.clear(invoice["id"])
        if invoice["status"] == "open" and invoice["next_payment_attempt"]:
            invoice.update(next_payment_attempt=None, auto_advance=False)
            books.save(invoice)
    announce(books, "customer.subscription.deleted", subscription)


def credit_unused(books: Books, subscription: Json, *, invoice_now: bool) -> None:
    """Give back what was paid for the rest of the period, on the next invoice or one of now."""
    at = int(books.billing_now)
    lines = [
        line
        for line in proration.lines_of_change(books, subscription, [], at=at)
        if line["amount"] < 0
    ]
    if not invoice_now:
        for line in lines:
            books.add(line, kind="pending_line", parent=subscription["id"])
        return
    invoice_pending(books, subscription, lines)


def invoice_pending(books: Books, subscription: Json, lines: list[Json]) -> None:
    """Invoice what was waiting for the next period, with these lines."""
    lines = [*take_pending(books, subscription), *lines]
    if lines:
        _invoice(books, subscription, lines)


def take_pending(books: Books, subscription: Json) -> list[Json]:
    """The prorations that waited for the next invoice, which is now."""
    waiting = books.children("pending_line", subscription["id"])
    pending = [line for line in waiting if line["invoice"] is None]
    for line in pending:
        # Its copy on the invoice gets the invoice's id; this one is only marked.
        books.save({**line, "invoice": "taken"})
    return pending


def set_status(books: Books, subscription: Json, status: str) -> None:
    """It is active, past_due or unpaid from now on."""
    subscription["status"] = status
    _announce_change(books, subscription)


def invoice_was_paid(books: Books, invoice: Json) -> None:
    """An open invoice was paid after all: its subscription is in order again."""
    parent = invoice["parent"] or {}
    details = parent.get("subscription_details") or {}
    subscription = books.get("subscription", details.get("subscription"))
    if subscription is None or subscription["ended_at"]:
        return
    pending = subscription["pending_update"]
    if pending and subscription["latest_invoice"] == invoice["id"]:
        subscription["pending_update"] = None
        _restore_items(subscription, pending["subscription_items"])
    still_open = [
        one for one in books.children("invoice", subscription["id"]) if one["status"] == "open"
    ]
    if not still_open and subscription["status"] in ("past_due", "unpaid"):
        subscription["status"] = "active"
    _announce_change(books, subscription)


def _invoice(books: Books, subscription: Json, lines: list[Json]) -> tuple[Json, Answer]:
    customer = books.known("customer", subscription["customer"])
    at = int(books.billing_now)
    invoice = invoicing.make(
        books,
        customer=customer,
        lines=lines,
        reason="subscription_update",
        currency=subscription["currency"],
        subscription=subscription,
        period=(at, at),
    )
    subscription["latest_invoice"] = invoice["id"]
    method = invoicing.method_for(books, customer=customer, subscription=subscription)
    return invoice, invoicing.collect(books, invoice, method)


def _invoice_change(
    books: Books, subscription: Json, lines: list[Json], *, wish: Change, before: list[Json]
) -> None:
    lines = [*take_pending(books, subscription), *lines]
    invoice, answer = _invoice(books, subscription, lines)
    if answer.kind == "paid":
        _announce_change(books, subscription)
        return
    if wish.payment == "error_if_incomplete":
        raise PaymentFailed(answer)
    invoicing.failed(books, invoice, answer)
    if wish.payment == "pending_if_incomplete":
        wanted = subscription["items"]["data"]
        subscription["pending_update"] = {
            "billing_cycle_anchor": None,
            "discount": None,
            "discounts": None,
            "expires_at": int(books.billing_now) + PENDING_SECONDS,
            "metadata": None,
            "subscription_items": wanted,
            "trial_end": None,
            "trial_from_plan": None,
        }
        _restore_items(subscription, before)
    else:
        subscription["status"] = "past_due"
    _announce_change(books, subscription)


def _restore_items(subscription: Json, items: list[Json]) -> None:
    subscription["items"]["data"] = items


def _put_items(
    books: Books, subscription: Json, wanted: list[Wanted], *, anew_at: int | None
) -> None:
    known = {item["id"]: item for item in subscription["items"]["data"]}
    period = proration.period_of(subscription)
    if anew_at is not None:
        period = proration.next_period(subscription, wanted, at=anew_at)
        subscription["billing_cycle_anchor"] = anew_at
        books.timers.set("renew", subscription["id"], due_at=period.end, clock="billing")
    items = []
    for one in wanted:
        item = known.get(one.item_id or "")
        if item is None:
            item = shapes.subscription_item(
                at=int(books.billing_now),
                subscription=subscription["id"],
                price=one.price,
                quantity=one.quantity,
                start=period.start,
                end=period.end,
            )
        item.update(price=one.price, plan=plan(one.price), quantity=one.quantity)
        item.update(current_period_start=period.start, current_period_end=period.end)
        items.append(item)
    subscription["items"]["data"] = items


def _off_and_tax(session: Json) -> dict[str, Any]:
    """What a session came to besides the prices of its lines."""
    details = session["total_details"]
    return {"off": details["amount_discount"], "tax": details["amount_tax"]}


def _once_only(items: list[Json], *, at: int) -> list[Json]:
    return [
        invoice_shapes.line(
            amount=item["amount_subtotal"],
            price=item["price"],
            quantity=item["quantity"],
            description=item["description"],
            start=at,
            end=at,
        )
        for item in items
    ]


def _announce_change(books: Books, subscription: Json) -> None:
    save_changed(books, "customer.subscription.updated", subscription)
