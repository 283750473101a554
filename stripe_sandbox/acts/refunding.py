"""How money goes back: all of a charge or a part, at once, later, or not after all."""

from stripe_sandbox.acts import disputing, saving
from stripe_sandbox.books import Books, Json
from stripe_sandbox.objects import aftermath as objects
from stripe_sandbox.objects.aftermath import left_of
from stripe_sandbox.webhooks import announce, save_changed


def refund(
    books: Books, charge: Json, *, amount: int, reason: str | None, metadata: dict[str, str]
) -> Json:
    """Give back an amount that the caller has found to be there."""
    made = objects.refund(
        at=int(books.now), charge=charge, amount=amount, reason=reason, metadata=metadata
    )
    # A charge of an older file may have a method that was not kept.
    method = books.get("payment_method", charge["payment_method"])
    fate = saving.number_of(books, method).refunds if method else None
    due_at = books.now + books.configuration.settle_after_seconds
    if fate == "waits":
        made["status"] = "pending"
        made["destination_details"] = None
        books.timers.set("refund_succeeds", made["id"], due_at=due_at)
    elif fate == "fails":
        books.timers.set("refund_fails", made["id"], due_at=due_at)
    books.add(made, parent=charge["id"])
    announce(books, "refund.created", made)
    _count(books, charge, amount)
    return made


def succeed(books: Books, refund_id: str) -> None:
    """A pending refund arrived."""
    made = books.known("refund", refund_id)
    if made["status"] != "pending":
        return
    charge = books.known("charge", made["charge"])
    made.update(status="succeeded", destination_details=objects.destination(charge))
    _updated(books, made)


def fail(books: Books, refund_id: str) -> None:
    """A refund came back: the money is ours again, and the charge says so."""
    made = books.known("refund", refund_id)
    if made["status"] not in ("pending", "succeeded"):
        return
    made.update(status="failed", failure_reason="lost_or_stolen_card")
    _updated(books, made)
    announce(books, "refund.failed", made)
    _count(books, books.known("charge", made["charge"]), -made["amount"])


def cancel(books: Books, made: Json) -> None:
    """A pending refund is called back."""
    made["status"] = "canceled"
    books.timers.clear(made["id"])
    _updated(books, made)
    _count(books, books.known("charge", made["charge"]), -made["amount"])


def _updated(books: Books, made: Json) -> None:
    save_changed(books, "refund.updated", made)
    announce(books, "charge.refund.updated", made)


def _count(books: Books, charge: Json, amount: int) -> None:
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = left_of(charge) == 0
    books.save(charge)
    kind = "charge.refunded" if amount > 0 else "charge.updated"
    announce(books, kind, charge, previous=before)
    if charge["refunded"]:
        disputing.everything_was_refunded(books, charge)
