"""The page of an invoice: what it is for, and where an open one is paid."""

from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox import card_form, cards
from stripe_sandbox.acts import charging, invoicing, saving, subscribing
from stripe_sandbox.books import Books, Json
from stripe_sandbox.card_form import Typed
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.pages import frame
from stripe_sandbox.pages.frame import form_of, see_other
from stripe_sandbox.pages.receipts import day
from stripe_sandbox.store import Store


def invoice_page(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """An invoice, or a try to pay it."""
    with store.write(configuration) as books:
        invoice = books.get("invoice", request.path_params["invoice_id"])
        if invoice is None:
            return frame.missing(configuration)
        if request.method == "POST" and invoice["status"] == "open":
            return _pay(books, invoice, form_of(body))
        return _show(books, invoice)


def _pay(books: Books, invoice: Json, form: dict[str, str]) -> Response:
    typed = card_form.read({"email": invoice["customer_email"] or "", **form}, at=books.now)
    if typed.problems:
        return _show(books, invoice, typed, status=422)
    method = keep_typed(books, typed)
    intent = invoicing.intent_of(books, invoice)
    # Whoever pays here is asked by their bank on the spot, and says yes.
    answer = charging.take(books, intent, method, authenticated=True)
    if answer.kind == "declined":
        error = answer.error or {}
        typed.problems = {"number": error.get("message", "")}
        return _show(books, invoice, typed, status=402)
    saving.set_up(books, method)
    saving.attach(books, method, invoice["customer"])
    invoicing.paid_with(books, invoice, intent)
    subscribing.invoice_was_paid(books, invoice)
    return see_other(books.configuration.path("invoices", invoice["id"]))


def keep_typed(books: Books, typed: Typed) -> Json:
    """A payment method made of what was typed."""
    number = cards.digits(typed.values["number"])
    known = cards.known(number)
    if known.method != "card":
        known = cards.NOT_A_TEST_NUMBER
    month, year = cards.read_expiry(typed.values["expiry"]) or (12, 2034)
    card = cards.Card(last4=number[-4:], brand=cards.brand(number), exp_month=month, exp_year=year)
    return saving.keep_method(
        books, card=card, number=known, email=typed.values["email"], name=typed.values["name"]
    )


def _show(
    books: Books, invoice: Json, typed: Typed | None = None, *, status: int = 200
) -> Response:
    values = {"email": invoice["customer_email"] or "", "name": invoice["customer_name"] or ""}
    return frame.page(
        "invoice.html",
        status=status,
        configuration=books.configuration,
        invoice=invoice,
        day=day(invoice["created"]),
        path=books.configuration.path("invoices", invoice["id"]),
        fields=card_form.FIELDS,
        typed=typed or Typed(values=values),
        test_cards=[one for one in cards.SANDBOX_NUMBERS if one.method == "card"],
        act="Pay",
    )
