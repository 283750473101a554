"""What a payer's bank does after a charge: it disputes, inquires or warns of fraud."""

from typing import Literal

from stripe_sandbox.books import Books, Json
from stripe_sandbox.objects import aftermath as objects
from stripe_sandbox.objects.aftermath import left_of
from stripe_sandbox.webhooks import announce, save_changed

FEE = 1500
OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
Outcome = Literal["won", "lost", "warning_closed"]


def open_dispute(books: Books, charge_id: str) -> None:
    """The bank takes the money back, and asks."""
    charge = books.known("charge", charge_id)
    dispute = _open(books, charge, status="needs_response")
    if dispute:
        _withdraw(books, dispute)


def open_inquiry(books: Books, charge_id: str) -> None:
    """The bank only asks: no money moves."""
    _open(books, books.known("charge", charge_id), status="warning_needs_response")


def escalate(books: Books, dispute: Json) -> None:
    """An inquiry that became a dispute: now the money is taken."""
    dispute.update(status="needs_response", is_charge_refundable=False)
    dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    save_changed(books, "charge.dispute.updated", dispute)
    _withdraw(books, dispute)


def warn(books: Books, charge_id: str) -> None:
    """The issuer reports a charge as fraud; a dispute may follow, and nothing is taken yet."""
    charge = books.known("charge", charge_id)
    warning = objects.early_fraud_warning(at=int(books.now), charge=charge)
    books.add(warning, parent=charge_id)
    announce(books, "radar.early_fraud_warning.created", warning)


def decide(books: Books, dispute: Json, outcome: Outcome) -> None:
    """It is over: won brings the money back, lost does not, an inquiry is just closed."""
    was_withdrawn = not dispute["status"].startswith("warning")
    dispute["status"] = outcome
    dispute["is_charge_refundable"] = outcome != "lost"
    if outcome == "won" and was_withdrawn:
        dispute["balance_transactions"].append(
            objects.balance_transaction(
                at=int(books.now), dispute=dispute, amount=dispute["amount"], fee=-FEE
            )
        )
    books.save(dispute)
    announce(books, "charge.dispute.closed", dispute)
    if outcome == "won" and was_withdrawn:
        announce(books, "charge.dispute.funds_reinstated", dispute)


def answer(books: Books, dispute: Json, *, submitted: bool) -> None:
    """Evidence was given; submitted, the bank looks at it."""
    details = dispute["evidence_details"]
    details["has_evidence"] = True
    if submitted:
        details["submission_count"] += 1
        details["submission_method"] = "manual"
        is_inquiry = dispute["status"].startswith("warning")
        dispute["status"] = "warning_under_review" if is_inquiry else "under_review"
    save_changed(books, "charge.dispute.updated", dispute)


def everything_was_refunded(books: Books, charge: Json) -> None:
    """Nothing is left to ask about: inquiries end, and a warning needs no answer any more."""
    for dispute in books.children("dispute", charge["id"]):
        if dispute["status"].startswith("warning") and dispute["status"] in OPEN:
            decide(books, dispute, "warning_closed")
    for warning in books.children("radar.early_fraud_warning", charge["id"]):
        warning["actionable"] = False
        save_changed(books, "radar.early_fraud_warning.updated", warning)


def _open(books: Books, charge: Json, *, status: str) -> Json | None:
    amount = left_of(charge)
    if charge["disputed"] or not amount or charge["status"] != "succeeded":
        return None
    dispute = objects.dispute(at=int(books.now), charge=charge, amount=amount, status=status)
    books.add(dispute, parent=charge["id"])
    charge["disputed"] = True
    save_changed(books, "charge.updated", charge)
    announce(books, "charge.dispute.created", dispute)
    return dispute


def _withdraw(books: Books, dispute: Json) -> None:
    dispute["balance_transactions"].append(
        objects.balance_transaction(
            at=int(books.now), dispute=dispute, amount=-dispute["amount"], fee=FEE
        )
    )
    books.save(dispute)
    announce(books, "charge.dispute.funds_withdrawn", dispute)
