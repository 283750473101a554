"""What a subscription's clock brings: the next period, another try, or the end."""

from stripe_sandbox.acts import invoicing, proration, subscribing
from stripe_sandbox.books import Books, Json
from stripe_sandbox.webhooks import save_changed


def renew(books: Books, subscription_id: str) -> None:
    """A period is over: the next one is invoiced, or the subscription ends with it."""
    subscription = books.known("subscription", subscription_id)
    if subscription["ended_at"]:
        return
    if subscription["cancel_at_period_end"]:
        subscribing.end(books, subscription, reason="cancellation_requested")
        return
    items = proration.as_it_is(subscription)
    period = proration.next_period(subscription, items)
    lines = [
        *subscribing.take_pending(books, subscription),
        *proration.lines_of_period(books, subscription, items, period=period),
    ]
    before = proration.period_of(subscription)
    for item in subscription["items"]["data"]:
        item.update(current_period_start=period.start, current_period_end=period.end)
    save_changed(books, "customer.subscription.updated", subscription)
    books.timers.set("renew", subscription_id, due_at=period.end, clock="billing")
    customer = books.known("customer", subscription["customer"])
    invoice = invoicing.make(
        books,
        customer=customer,
        lines=lines,
        reason="subscription_cycle",
        currency=subscription["currency"],
        subscription=subscription,
        period=(before.start, before.end),
    )
    subscription["latest_invoice"] = invoice["id"]
    _collect(books, subscription, invoice)


def retry(books: Books, invoice_id: str) -> None:
    """An invoice that could not be paid is tried again; after the last try it is over."""
    invoice = books.known("invoice", invoice_id)
    parent = (invoice["parent"] or {}).get("subscription_details") or {}
    subscription = books.get("subscription", parent.get("subscription"))
    if subscription is None or subscription["ended_at"] or invoice["status"] != "open":
        return
    _collect(books, subscription, invoice)


def _collect(books: Books, subscription: Json, invoice: Json) -> None:
    customer = books.known("customer", subscription["customer"])
    method = invoicing.method_for(books, customer=customer, subscription=subscription)
    # An unpaid subscription is invoiced, but nothing is tried any more.
    if subscription["status"] == "unpaid":
        books.save(subscription)
        return
    answer = invoicing.collect(books, invoice, method)
    if answer.kind == "paid":
        books.save({**books.known("subscription", subscription["id"]), **_latest(subscription)})
        subscribing.invoice_was_paid(books, invoice)
        return
    invoicing.failed(books, invoice, answer)
    if invoice["next_payment_attempt"] is not None:
        subscription["status"] = "past_due"
        save_changed(books, "customer.subscription.updated", subscription)
    elif books.setting("when_retries_end") == "unpaid":
        subscription["status"] = "unpaid"
        save_changed(books, "customer.subscription.updated", subscription)
    else:
        subscribing.end(books, subscription, reason="payment_failed")


def _latest(subscription: Json) -> Json:
    return {"latest_invoice": subscription["latest_invoice"]}
