"""How money is taken: a payment intent, a payment method, and what the bank says."""

from dataclasses import dataclass
from typing import Literal

from stripe_sandbox.acts import saving
from stripe_sandbox.books import Books, Json
from stripe_sandbox.cards import SandboxNumber
from stripe_sandbox.objects import payments as objects
from stripe_sandbox.objects.customers import payment_method_details
from stripe_sandbox.webhooks import announce

AUTHENTICATION_FAILED = (
    "We are unable to authenticate your payment method. Please choose a different payment method "
    "and try again."
)
BANK_REFUSED = "The customer's bank could not take the money: insufficient funds."
BOUNCED = "payment_method_bank_account_insufficient_funds"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a try: `later` is a debit, `asks` wants the payer; `error` is of a decline."""

    kind: Literal["paid", "later", "declined", "asks"]
    error: Json | None = None
    number: SandboxNumber | None = None


def take(
    books: Books,
    intent: Json,
    method: Json,
    *,
    authenticated: bool = False,
    off_session: bool = False,
) -> Answer:
    """Try to take the money of an intent; everything but `asks` leaves a charge."""
    number = saving.number_of(books, method)
    intent.update(payment_method=method["id"], next_action=None)
    if _asks(books, method, number) and not authenticated:
        return _ask(books, intent, method, number, off_session=off_session)
    if number.outcome in ("declined", "declined_later"):
        return _decline(
            books,
            intent,
            method,
            number,
            code=number.code or "card_declined",
            decline_code=number.decline_code,
            message=number.message or "Your card was declined.",
        )
    later = number.outcome in ("settles", "bounces")
    charge = _charge(books, intent, method, "pending" if later else "succeeded", authenticated)
    if later:
        intent.update(status="processing", latest_charge=charge["id"], last_payment_error=None)
        books.save(intent)
        due_at = books.now + books.configuration.settle_after_seconds
        books.timers.set(number.outcome, intent["id"], due_at=due_at)
        return Answer(kind="later", number=number)
    succeed(books, intent, charge)
    if number.aftermath:
        due_at = books.now + books.configuration.settle_after_seconds
        books.timers.set(number.aftermath, charge["id"], due_at=due_at)
    return Answer(kind="paid", number=number)


def succeed(books: Books, intent: Json, charge: Json) -> None:
    """The money is there."""
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


def fail(books: Books, intent: Json, *, error: Json, charge: Json | None = None) -> None:
    """The money did not come; another try may follow."""
    if charge is not None:
        intent["latest_charge"] = charge["id"]
        announce(books, "charge.failed", charge)
    intent.update(
        status="requires_payment_method",
        last_payment_error=error,
        payment_method=None,
        next_action=None,
    )
    books.save(intent)
    announce(books, "payment_intent.payment_failed", intent)


def bounce(books: Books, intent: Json, charge: Json) -> None:
    """The bank gave no money for a debit."""
    charge.update(status="failed", failure_code="insufficient_funds", failure_message=BANK_REFUSED)
    charge.update(captured=False, amount_captured=0, paid=False)
    books.save(charge)
    error = objects.payment_error(
        code=BOUNCED, message=BANK_REFUSED, kind="invalid_request_error", charge=charge["id"]
    )
    fail(books, intent, error=error, charge=charge)


def cancel(books: Books, intent: Json, *, reason: str | None) -> None:
    """Nothing more is taken with this intent; who cancels says whether that is announced."""
    intent.update(
        status="canceled",
        canceled_at=int(books.now),
        cancellation_reason=reason,
        next_action=None,
    )
    books.save(intent)


def _asks(books: Books, method: Json, number: SandboxNumber) -> bool:
    if number.asks == "until_set_up":
        return not saving.is_set_up(books, method)
    return number.asks == "always"


def _ask(
    books: Books, intent: Json, method: Json, number: SandboxNumber, *, off_session: bool
) -> Answer:
    if off_session:
        return _decline(
            books,
            intent,
            method,
            number,
            code="authentication_required",
            decline_code="authentication_required",
            message="Your card was declined. This transaction requires authentication.",
        )
    intent.update(status="requires_action", next_action={"type": "use_stripe_sdk"})
    books.save(intent)
    return Answer(kind="asks", number=number)


def _decline(
    books: Books,
    intent: Json,
    method: Json,
    number: SandboxNumber,
    *,
    code: str,
    decline_code: str | None,
    message: str,
) -> Answer:
    charge = _charge(books, intent, method, "failed", authenticated=False)
    charge.update(failure_code=code, failure_message=message)
    charge["outcome"] = objects.outcome(reason=decline_code, message=message)
    books.save(charge)
    error = objects.payment_error(
        code=code,
        message=message,
        decline_code=decline_code,
        charge=charge["id"],
        method=method,
    )
    fail(books, intent, error=error, charge=charge)
    return Answer(kind="declined", error=error, number=number)


def _charge(books: Books, intent: Json, method: Json, status: str, authenticated: bool) -> Json:
    charge = objects.charge(
        intent=intent,
        at=int(books.now),
        status=status,
        method=method,
        details=payment_method_details(method, authenticated=authenticated),
        receipt_url="",
    )
    if status != "failed":
        charge["receipt_url"] = books.configuration.url("receipts", charge["id"])
    books.add(charge, parent=intent["id"])
    return charge
