"""What happens to a session: it is paid, declined, authenticated, settled later, or it expires.

Each function acts inside the caller's write transaction, so a session is completed exactly once
however many tabs and processes try.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from stripe_sandbox import objects
from stripe_sandbox.cards import AUTHENTICATED, Card, SandboxNumber
from stripe_sandbox.store import Books, Json
from stripe_sandbox.webhooks import ON_THE_PAGE, Cause, announce

AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method "
    "and try again."
)


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who pays, as typed on the page."""

    email: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a try: `session` as it now is, and what the page should do next."""

    kind: Literal["complete", "declined", "authenticate", "closed"]
    session: Json
    message: str = ""
    field: Literal["number", "expiry"] = "number"
    attempt_id: str = ""


def pay(
    books: Books,
    session: Json,
    *,
    number: SandboxNumber,
    card: Card,
    buyer: Buyer,
    settle_after_seconds: float,
) -> Verdict:
    """Try to pay an open session with a test number."""
    closed = _closed(books, session)
    if closed:
        return closed
    intent = _start(books, session)
    if number.outcome == "asks":
        return _ask(books, session, intent, card=card, buyer=buyer)
    return _take(
        books,
        session,
        intent,
        number=number,
        card=card,
        buyer=buyer,
        settle_after_seconds=settle_after_seconds,
    )


def authenticate(books: Books, session: Json, *, attempt_id: str, passed: bool) -> Verdict:
    """Finish a try that asked for 3-D Secure; only the latest try of a session can be."""
    closed = _closed(books, session)
    if closed:
        return closed
    attempt = waiting_attempt(books, session["id"])
    if attempt is None or attempt["id"] != attempt_id:
        return Verdict(
            kind="declined", session=session, message="This authentication is no longer valid."
        )
    intent = _start(books, session)
    if not passed:
        intent["last_payment_error"] = objects.payment_error(
            code="payment_intent_authentication_failure", message=AUTHENTICATION_FAILED
        )
        books.save(intent)
        announce(books, "payment_intent.payment_failed", intent)
        return Verdict(kind="declined", session=session, message=AUTHENTICATION_FAILED)
    return _take(
        books,
        session,
        intent,
        number=AUTHENTICATED,
        card=Card(**attempt["card"]),
        buyer=Buyer(**attempt["buyer"]),
        settle_after_seconds=0,
    )


def waiting_attempt(books: Books, session_id: str) -> Json | None:
    """The try that waits for authentication, if one does."""
    waiting = [
        attempt
        for attempt in books.children("attempt", session_id)
        if attempt["status"] == "waiting"
    ]
    return waiting[-1] if waiting else None


def settle(books: Books) -> None:
    """Decide the bank debits whose time has come."""
    for session_id, outcome in books.take_settlements():
        session = books.get("checkout.session", session_id)
        intent = books.get("payment_intent", session["payment_intent"]) if session else None
        charge = books.get("charge", intent["latest_charge"]) if intent else None
        if session is None or intent is None or charge is None:
            continue
        if outcome == "settles":
            charge.update(status="succeeded", paid=True)
            books.save(charge)
            _succeed(books, intent, charge)
            session["payment_status"] = "paid"
            books.save(session)
            announce(books, "checkout.session.async_payment_succeeded", session)
        else:
            message = "The customer's bank could not take the money: insufficient funds."
            code = "payment_method_bank_account_insufficient_funds"
            charge.update(status="failed", failure_code="insufficient_funds")
            charge.update(failure_message=message, captured=False, amount_captured=0)
            books.save(charge)
            _fail(
                books,
                intent,
                charge,
                error=objects.payment_error(
                    code=code, message=message, charge_id=charge["id"], method="us_bank_account"
                ),
            )
            announce(books, "checkout.session.async_payment_failed", session)


def expire_overdue(books: Books) -> None:
    """Expire the open sessions whose time is over."""
    for session in books.sessions_past_their_time():
        expire(books, session)


def expire(books: Books, session: Json, *, cause: Cause = ON_THE_PAGE) -> None:
    """Close an open session for good."""
    session.update(status="expired", url=None)
    books.save(session)
    for intent in books.children("payment_intent", session["id"]):
        intent.update(
            status="canceled",
            canceled_at=int(books.now),
            cancellation_reason="abandoned",
            next_action=None,
        )
        books.save(intent)
    announce(books, "checkout.session.expired", session, cause=cause)


def is_over(books: Books, session: Json) -> bool:
    """Whether the session can no longer be paid; expires it when its time has just come."""
    if session["status"] == "open" and session["expires_at"] <= books.now:
        expire(books, session)
    return bool(session["status"] != "open")


def _closed(books: Books, session: Json) -> Verdict | None:
    if not is_over(books, session):
        return None
    kind: Literal["complete", "closed"] = (
        "complete" if session["status"] == "complete" else "closed"
    )
    return Verdict(kind=kind, session=session)


def _start(books: Books, session: Json) -> Json:
    """The session's intent, ready for a try; whatever waited for authentication is dropped."""
    for attempt in books.children("attempt", session["id"]):
        if attempt["status"] == "waiting":
            books.save({**attempt, "status": "over"})
    (intent,) = books.children("payment_intent", session["id"])
    intent.update(status="requires_payment_method", next_action=None)
    if session["payment_intent"] is None:
        session["payment_intent"] = intent["id"]
        books.save(session)
    return intent


def _ask(
    books: Books,
    session: Json,
    intent: Json,
    *,
    card: Card,
    buyer: Buyer,
) -> Verdict:
    """Wait for authentication, keeping of the card only what may be kept."""
    attempt: Json = {
        "id": objects.new_id("attempt_"),
        "object": "attempt",
        "status": "waiting",
        "card": asdict(card),
        "buyer": asdict(buyer),
    }
    books.add(attempt, parent=session["id"])
    intent.update(status="requires_action", next_action={"type": "use_stripe_sdk"})
    books.save(intent)
    return Verdict(kind="authenticate", session=session, attempt_id=attempt["id"])


def _take(
    books: Books,
    session: Json,
    intent: Json,
    *,
    number: SandboxNumber,
    card: Card,
    buyer: Buyer,
    settle_after_seconds: float,
) -> Verdict:
    intent["payment_method"] = objects.new_id("pm_1")
    charge = objects.charge(
        intent=intent,
        at=int(books.now),
        buyer=asdict(buyer),
        number=number,
        details=objects.payment_method_details(
            card=card, method=number.method, authenticated=number.outcome == "asks"
        ),
    )
    books.add(charge, parent=intent["id"])
    if number.outcome == "declined":
        error = objects.payment_error(
            code=number.code or "card_declined",
            message=number.message or "",
            decline_code=number.decline_code,
            charge_id=charge["id"],
        )
        _fail(books, intent, charge, error=error)
        return Verdict(
            kind="declined",
            session=session,
            message=number.message or "",
            field="expiry" if number.code == "expired_card" else "number",
        )
    later = number.outcome in ("settles", "bounces")
    if later:
        intent.update(status="processing", latest_charge=charge["id"], last_payment_error=None)
        books.save(intent)
        books.add_settlement(
            session["id"], outcome=number.outcome, due_at=books.now + settle_after_seconds
        )
    else:
        _succeed(books, intent, charge)
    _complete(books, session, buyer=buyer, payment_status="unpaid" if later else "paid")
    if number.outcome == "disputed":
        _dispute(books, charge)
    return Verdict(kind="complete", session=session)


def _succeed(books: Books, intent: Json, charge: Json) -> None:
    intent.update(
        status="succeeded",
        latest_charge=charge["id"],
        amount_received=intent["amount"],
        last_payment_error=None,
        next_action=None,
    )
    books.save(intent)
    announce(books, "charge.succeeded", charge)
    announce(books, "payment_intent.succeeded", intent)


def _dispute(books: Books, charge: Json) -> None:
    charge["disputed"] = True
    books.save(charge)
    dispute = objects.dispute(charge=charge, at=int(books.now))
    books.add(dispute, parent=charge["id"])
    announce(books, "charge.dispute.created", dispute)
    announce(books, "charge.dispute.funds_withdrawn", dispute)


def _fail(books: Books, intent: Json, charge: Json, *, error: Json) -> None:
    intent.update(
        status="requires_payment_method",
        latest_charge=charge["id"],
        last_payment_error=error,
        payment_method=None,
    )
    books.save(intent)
    announce(books, "payment_intent.payment_failed", intent)


def _complete(books: Books, session: Json, *, buyer: Buyer, payment_status: str) -> None:
    session.update(
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details=objects.customer_details(email=buyer.email, name=buyer.name),
    )
    books.save(session)
    announce(books, "checkout.session.completed", session)
