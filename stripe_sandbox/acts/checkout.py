"""What happens to a session: it is paid, declined, authenticated, settled later, or it expires.

Each function acts inside the caller's write transaction, so a session is completed exactly once
however many tabs and processes try.
"""

from dataclasses import asdict, dataclass
from typing import Literal

from stripe_sandbox.acts import charging, saving, subscribing
from stripe_sandbox.acts.charging import AUTHENTICATION_FAILED, Answer
from stripe_sandbox.books import Books, Json
from stripe_sandbox.cards import Card, SandboxNumber
from stripe_sandbox.objects.customers import address
from stripe_sandbox.objects.payments import payment_error
from stripe_sandbox.objects.sessions import customer_details
from stripe_sandbox.webhooks import announce, save_changed

# Where every buyer of the sandbox lives, where a session asks for it.
BUYERS_ADDRESS = address(
    city="San Francisco", country="US", line1="1 Sandbox Street", postal_code="94103", state="CA"
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


def pay(books: Books, session: Json, *, number: SandboxNumber, card: Card, buyer: Buyer) -> Verdict:
    """Try to pay an open session, or save a card in it, with a test number."""
    closed = _closed(books, session)
    if closed:
        return closed
    intent = _start(books, session)
    method = saving.keep_method(books, card=card, number=number, email=buyer.email, name=buyer.name)
    answer = _try(books, session, intent, method, authenticated=False)
    return _after(books, session, intent, method, answer=answer, buyer=buyer)


def take_for_free(books: Books, session: Json, *, email: str, name: str) -> Verdict:
    """Complete a session of which a promotion code has left nothing to pay."""
    closed = _closed(books, session)
    if closed:
        return closed
    details = customer_details(email=email, name=name)
    session.update(
        status="complete",
        url=None,
        customer_details=details,
        payment_intent=None,
        payment_status="no_payment_required",
    )
    for intent in books.children("payment_intent", session["id"]):
        charging.cancel(books, intent, reason="abandoned")
    books.save(session)
    announce(books, "checkout.session.completed", session)
    return Verdict(kind="complete", session=session)


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
        _fail_authentication(books, intent)
        return Verdict(kind="declined", session=session, message=AUTHENTICATION_FAILED)
    method = books.known("payment_method", attempt["method"])
    answer = _try(books, session, intent, method, authenticated=True)
    buyer = Buyer(**attempt["buyer"])
    return _after(books, session, intent, method, answer=answer, buyer=buyer)


def waiting_attempt(books: Books, session_id: str) -> Json | None:
    """The try that waits for authentication, if one does."""
    waiting = [
        attempt
        for attempt in books.children("attempt", session_id)
        if attempt["status"] == "waiting" and "method" in attempt
    ]
    return waiting[-1] if waiting else None


def settle(books: Books, intent_id: str, *, paid: bool) -> None:
    """Decide a bank debit whose time has come."""
    intent = books.known("payment_intent", intent_id)
    charge = books.known("charge", intent["latest_charge"])
    sessions = books.every("checkout.session", payment_intent=intent_id)
    if paid:
        charge.update(status="succeeded", paid=True)
        books.save(charge)
        charging.succeed(books, intent, charge)
    else:
        charging.bounce(books, intent, charge)
    for session in sessions:
        if paid:
            session["payment_status"] = "paid"
            books.save(session)
        outcome = "succeeded" if paid else "failed"
        announce(books, f"checkout.session.async_payment_{outcome}", session)


def expire_overdue(books: Books) -> None:
    """Expire the open sessions whose time is over."""
    for session in books.sessions_past_their_time():
        expire(books, session)


def expire(books: Books, session: Json) -> None:
    """Close an open session for good."""
    session.update(status="expired", url=None)
    books.save(session)
    for intent in books.children("payment_intent", session["id"]):
        charging.cancel(books, intent, reason="abandoned")
    for intent in books.children("setup_intent", session["id"]):
        intent.update(status="canceled", cancellation_reason="abandoned", next_action=None)
        books.save(intent)
    announce(books, "checkout.session.expired", session)


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
    if session["mode"] == "setup":
        return books.known("setup_intent", session["setup_intent"])
    (intent,) = books.children("payment_intent", session["id"])
    intent.update(status="requires_payment_method", next_action=None)
    if session["mode"] == "payment" and session["payment_intent"] is None:
        session["payment_intent"] = intent["id"]
        books.save(session)
    return intent


def _try(books: Books, session: Json, intent: Json, method: Json, *, authenticated: bool) -> Answer:
    if session["mode"] != "setup":
        return charging.take(books, intent, method, authenticated=authenticated)
    number = saving.number_of(books, method)
    if number.outcome == "declined":
        error = payment_error(
            code=number.code or "card_declined",
            message=number.message or "",
            decline_code=number.decline_code,
            method=method,
        )
        saving.fail_setup(books, intent, error)
        return Answer(kind="declined", error=error, number=number)
    if number.asks and not authenticated:
        intent.update(status="requires_action", next_action={"type": "use_stripe_sdk"})
        books.save(intent)
        return Answer(kind="asks", number=number)
    return Answer(kind="paid", number=number)


def _fail_authentication(books: Books, intent: Json) -> None:
    kind = "setup" if intent["object"] == "setup_intent" else "payment"
    error = payment_error(
        code=f"{kind}_intent_authentication_failure",
        message=AUTHENTICATION_FAILED,
        kind="invalid_request_error",
    )
    if kind == "setup":
        saving.fail_setup(books, intent, error)
    else:
        charging.fail(books, intent, error=error)


def _after(
    books: Books, session: Json, intent: Json, method: Json, *, answer: Answer, buyer: Buyer
) -> Verdict:
    if answer.kind == "asks":
        attempt: Json = {
            "id": saving.new_attempt_id(),
            "object": "attempt",
            "status": "waiting",
            "method": method["id"],
            "buyer": asdict(buyer),
        }
        books.add(attempt, parent=session["id"])
        return Verdict(kind="authenticate", session=session, attempt_id=attempt["id"])
    if answer.kind == "declined":
        error = answer.error or {}
        return Verdict(
            kind="declined",
            session=session,
            message=error.get("message", ""),
            field="expiry" if error.get("code") == "expired_card" else "number",
        )
    _complete(books, session, intent, method, buyer=buyer, paid=answer.kind == "paid")
    return Verdict(kind="complete", session=session)


def _complete(
    books: Books, session: Json, intent: Json, method: Json, *, buyer: Buyer, paid: bool
) -> None:
    details = customer_details(email=buyer.email, name=buyer.name)
    if session["billing_address_collection"] == "required" or session["automatic_tax"]["enabled"]:
        details["address"] = BUYERS_ADDRESS
    session.update(status="complete", url=None, customer_details=details)
    customer = _customer(books, session, intent, details)
    if session["mode"] == "setup":
        intent["customer"] = customer["id"] if customer else None
        saving.finish_setup(books, intent, method)
    else:
        session["payment_status"] = "paid" if paid else "unpaid"
    if customer and session["mode"] == "payment":
        _keep_for_later(books, session, intent, method, customer)
    if customer and session["mode"] == "subscription":
        subscribing.begin(books, session, intent, method, customer=customer)
    books.save(session)
    announce(books, "checkout.session.completed", session)


def _customer(books: Books, session: Json, intent: Json, details: Json) -> Json | None:
    """The session's customer, made now where it needs one, and told what was typed."""
    if session["customer"]:
        customer = books.known("customer", session["customer"])
        wishes = books.get("wishes", f"wishes_of_{session['id']}") or {}
        wanted = wishes.get("customer_update", {})
        for name in ("name", "address"):
            if wanted.get(name) == "auto" and details[name]:
                customer[name] = details[name]
        save_changed(books, "customer.updated", customer)
        return customer
    is_needed = (
        session["mode"] == "subscription"
        or session["customer_creation"] == "always"
        or (session["mode"] == "payment" and intent["setup_future_usage"])
        or (session["invoice_creation"] or {}).get("enabled")
    )
    if not is_needed:
        return None
    customer = saving.make_customer(books, email=details["email"], name=details["name"])
    session["customer"] = customer["id"]
    return customer


def _keep_for_later(
    books: Books, session: Json, intent: Json, method: Json, customer: Json
) -> None:
    """A payment of a customer's: it names them, and its card is saved where that was wanted."""
    intent["customer"] = customer["id"]
    books.save(intent)
    charge = books.get("charge", intent["latest_charge"])
    if charge:
        books.save({**charge, "customer": customer["id"]})
    if intent["setup_future_usage"]:
        if intent["setup_future_usage"] == "off_session":
            saving.set_up(books, method)
        saving.attach(books, method, customer["id"])
    if (session["invoice_creation"] or {}).get("enabled"):
        subscribing.invoice_of_purchase(books, session, intent, customer=customer)
