"""How a way to pay is kept: what its card does, and whose it is."""

from stripe_sandbox import objects
from stripe_sandbox.books import Books, Json
from stripe_sandbox.cards import Card, SandboxNumber, with_fate
from stripe_sandbox.objects.customers import customer as new_customer
from stripe_sandbox.objects.customers import payment_method as new_payment_method
from stripe_sandbox.webhooks import announce, save_changed


def keep_method(
    books: Books, *, card: Card, number: SandboxNumber, email: str | None, name: str | None
) -> Json:
    """A new payment method; of the number only its fate is kept."""
    method = new_payment_method(
        at=int(books.now), card=card, method=number.method, email=email, name=name
    )
    books.add(method)
    books.add({"id": _fate_id(method), "object": "fate", "fate": number.fate, "set_up": False})
    return method


def keep_token(books: Books, *, token: str, number: SandboxNumber) -> Json:
    """The payment method behind one of Stripe's names for test cards."""
    brand = "mastercard" if token == "pm_card_mastercard" else "visa"  # noqa: S105 -- a name
    card = Card(last4=number.number[-4:], brand=brand, exp_month=12, exp_year=2034)
    return keep_method(books, card=card, number=number, email=None, name=None)


def number_of(books: Books, method: Json) -> SandboxNumber:
    """What the card of a payment method does."""
    return with_fate(books.known("fate", _fate_id(method))["fate"])


def is_set_up(books: Books, method: Json) -> bool:
    """Whether its owner agreed to be charged while away, and the bank knows."""
    return bool(books.known("fate", _fate_id(method))["set_up"])


def set_up(books: Books, method: Json) -> None:
    """Its owner agreed to be charged while away."""
    books.save({**books.known("fate", _fate_id(method)), "set_up": True})


def attach(books: Books, method: Json, customer_id: str) -> None:
    """It is this customer's from now on."""
    if method["customer"] == customer_id:
        return
    method["customer"] = customer_id
    books.save(method)
    announce(books, "payment_method.attached", method)


def detach(books: Books, method: Json) -> None:
    """It is nobody's, and cannot be used again."""
    customer = books.get("customer", method["customer"])
    before = {"customer": method["customer"]}
    method["customer"] = None
    books.save(method)
    announce(books, "payment_method.detached", method, previous=before)
    if customer and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        customer["invoice_settings"]["default_payment_method"] = None
        save_changed(books, "customer.updated", customer)


def make_customer(books: Books, *, email: str | None, name: str | None) -> Json:
    """A customer of whom a page asked these things."""
    customer = new_customer(at=int(books.now), email=email, name=name)
    books.add(customer)
    announce(books, "customer.created", customer)
    return customer


def finish_setup(books: Books, intent: Json, method: Json) -> None:
    """A setup intent that has got its method."""
    intent.update(status="succeeded", payment_method=method["id"], next_action=None)
    intent.update(last_setup_error=None)
    books.save(intent)
    set_up(books, method)
    if intent["customer"]:
        attach(books, method, intent["customer"])
    announce(books, "setup_intent.succeeded", intent)


def fail_setup(books: Books, intent: Json, error: Json) -> None:
    """A setup intent whose card was refused."""
    intent.update(status="requires_payment_method", last_setup_error=error, next_action=None)
    books.save(intent)
    announce(books, "setup_intent.setup_failed", intent)


def new_attempt_id() -> str:
    """Names a try that waits for the bank's question to be answered."""
    return objects.new_id("attempt_")


def _fate_id(method: Json) -> str:
    return f"fate_of_{method['id']}"
