"""The hosted checkout: the page a buyer pays on, 3-D Secure, and the pages that say it is over.

Everything works without JavaScript, and nothing is loaded from anywhere else.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import parse_qsl, urlsplit

from stripe_sandbox import cards, payments
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.payments import Buyer, Verdict
from stripe_sandbox.store import Books, Json, Store
from stripe_sandbox.wire import Request, Response

HOSTED = Path(__file__).parent / "hosted"
PAY = re.compile(r"/pay/(cs_[A-Za-z0-9_]+)")
AUTHENTICATE = re.compile(r"/pay/(cs_[A-Za-z0-9_]+)/authenticate/(attempt_[A-Za-z0-9]+)")
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£"}
PLACEHOLDER = re.compile(r"\{CHECKOUT_SESSION_ID\}|%7BCHECKOUT_SESSION_ID%7D", re.IGNORECASE)
ONE_CLICK = {"expiry": "12 / 34", "cvc": "123", "name": "Sandbox Buyer"}
ONE_CLICK_EMAIL = "buyer@example.com"


@dataclass(kw_only=True)
class Typed:
    """What the buyer typed and, by field, what is wrong with it."""

    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def answer(request: Request, *, store: Store, configuration: Configuration) -> Response:
    """Answer one request for a page."""
    if request.path == "/checkout.css" and request.method in ("GET", "HEAD"):
        headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "max-age=300"}
        return Response(headers=headers, body=(HOSTED / "checkout.css").read_bytes())
    paying, authenticating = PAY.fullmatch(request.path), AUTHENTICATE.fullmatch(request.path)
    match = paying or authenticating
    with store.write() as books:
        session = books.get("checkout.session", match[1]) if match else None
        if session is None or match is None:
            return _missing(configuration)
        desk = Desk(books=books, session=session, configuration=configuration)
        if request.method in ("GET", "HEAD"):
            return desk.show_authentication(match[2]) if authenticating else desk.show()
        if request.method == "POST":
            form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
            return desk.authenticate(match[2], form) if authenticating else desk.pay(form)
    return Response(status=405, headers={"Allow": "GET, HEAD, POST"})


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One session's checkout, within one transaction."""

    books: Books
    session: Json
    configuration: Configuration

    def show(self, typed: Typed | None = None, *, status: int = 200) -> Response:
        """The payment page, or the page that says it is over."""
        if payments.is_over(self.books, self.session):
            return self._over()
        session = self.session
        typed = typed or Typed(values={"email": session["customer_email"] or ""})
        numbers = [n for n in cards.SANDBOX_NUMBERS if n.method in session["payment_method_types"]]
        total = money(session["amount_total"], session["currency"])
        cancel_url = session["cancel_url"]
        content = _fill(
            "checkout.html",
            merchant=self.configuration.merchant,
            total=total,
            action=self.configuration.pay_path(session["id"]),
        )
        return self._page(
            content.replace("<!-- lines -->", "".join(map(self._line, self._items())))
            .replace("<!-- fields -->", "".join(_field(f, typed) for f in FIELDS))
            .replace("<!-- tests -->", "".join(map(_test_card, numbers)))
            .replace("<!-- cancel -->", _fill("cancel.html", url=cancel_url) if cancel_url else ""),
            title=f"{'Error: ' if typed.problems else ''}Pay {total}",
            status=status,
        )

    def pay(self, form: dict[str, str]) -> Response:
        """Try to pay with what was typed, or with one of the test cards in one click."""
        at_once = cards.digits(form.get("test_card", ""))
        if at_once:
            email = form.get("email", "").strip() or ONE_CLICK_EMAIL
            form = {**form, **ONE_CLICK, "number": cards.known(at_once).spaced, "email": email}
        typed = Typed(values={name: form.get(name, "").strip() for name in TYPED})
        typed.problems = _problems(typed.values, at=self.books.now)
        if typed.problems and not payments.is_over(self.books, self.session):
            return self.show(typed, status=422)
        values = typed.values
        number = cards.digits(values["number"])
        known = cards.known(number)
        if known.method not in self.session["payment_method_types"]:
            known = cards.NOT_A_TEST_NUMBER
        month, year = cards.read_expiry(values["expiry"]) or (12, 2034)
        verdict = payments.pay(
            self.books,
            self.session,
            number=known,
            card=cards.Card(
                last4=number[-4:], brand=cards.brand(number), exp_month=month, exp_year=year
            ),
            buyer=Buyer(email=values["email"], name=values["name"]),
            settle_after_seconds=self.configuration.settle_after_seconds,
        )
        return self._after(verdict, typed)

    def show_authentication(self, attempt_id: str) -> Response:
        """The bank's question, as long as it waits for an answer."""
        if payments.is_over(self.books, self.session):
            return self._over()
        attempt = payments.waiting_attempt(self.books, self.session["id"])
        if attempt is None or attempt["id"] != attempt_id:
            return _see_other(self.configuration.pay_path(self.session["id"]))
        content = _fill(
            "authenticate.html",
            merchant=self.configuration.merchant,
            total=money(self.session["amount_total"], self.session["currency"]),
            last4=attempt["card"]["last4"],
            back=self.configuration.pay_path(self.session["id"]),
        )
        return self._page(content, title="Confirm your payment")

    def authenticate(self, attempt_id: str, form: dict[str, str]) -> Response:
        """The buyer's answer to the bank; anything but a clear yes is a no."""
        attempt = payments.waiting_attempt(self.books, self.session["id"])
        buyer = attempt["buyer"] if attempt else {}
        passed = form.get("result") == "complete"
        verdict = payments.authenticate(
            self.books, self.session, attempt_id=attempt_id, passed=passed
        )
        email = buyer.get("email") or self.session["customer_email"] or ""
        return self._after(verdict, Typed(values={"email": email, "name": buyer.get("name", "")}))

    def _after(self, verdict: Verdict, typed: Typed) -> Response:
        if verdict.kind == "complete":
            return _see_other(landing_url(self.session))
        if verdict.kind == "authenticate":
            path = self.configuration.pay_path(self.session["id"])
            return _see_other(f"{path}/authenticate/{verdict.attempt_id}")
        if verdict.kind == "declined":
            typed.problems = {verdict.field: verdict.message}
            return self.show(typed, status=402)
        return self._over()

    def _over(self) -> Response:
        complete = self.session["status"] == "complete"
        merchant = self.configuration.merchant
        url = landing_url(self.session) if complete else self.session["cancel_url"]
        content = _fill(
            "over.html",
            state="complete" if complete else "expired",
            heading="This payment is complete" if complete else "This checkout has expired",
            text="You do not need to do anything more here. You will not be charged twice."
            if complete
            else "Nothing was charged. Go back and start again if you still want to buy.",
        )
        link = _fill("back.html", url=url, merchant=merchant) if url else ""
        return self._page(
            content.replace("<!-- back -->", link),
            title="Payment complete" if complete else "Checkout expired",
            status=200 if complete else 410,
        )

    def _items(self) -> list[Json]:
        return self.books.children("item", self.session["id"])

    def _line(self, item: Json) -> str:
        product = self.books.get("product", item["price"]["product"]) or {}
        each = money(item["price"]["unit_amount"], item["currency"])
        notes = [product.get("description") or ""]
        if item["quantity"] > 1:
            notes.append(f"{item['quantity']} × {each}")
        return _fill(
            "line.html",
            name=item["description"],
            amount=money(item["amount_total"], item["currency"]),
            note=" · ".join(note for note in notes if note),
        )

    def _page(self, content: str, *, title: str, status: int = 200) -> Response:
        addresses = (self.session["success_url"], self.session["cancel_url"])
        # Chromium holds the redirect that follows a form to form-action as well.
        origins = sorted({origin(address) for address in addresses if address})
        return _html(
            content,
            title=title,
            configuration=self.configuration,
            status=status,
            form_action=" ".join(["'self'", *origins]),
        )


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One input of the payment form."""

    name: str
    label: str
    autocomplete: str
    type: str = "text"
    inputmode: str = "text"
    placeholder: str = ""


FIELDS = (
    FormField(name="email", label="Email", type="email", inputmode="email", autocomplete="email"),
    FormField(
        name="number",
        label="Card number",
        autocomplete="cc-number",
        inputmode="numeric",
        placeholder="1234 1234 1234 1234",
    ),
    FormField(
        name="expiry",
        label="Expiry date",
        autocomplete="cc-exp",
        inputmode="numeric",
        placeholder="MM / YY",
    ),
    FormField(
        name="cvc",
        label="Security code (CVC)",
        autocomplete="cc-csc",
        inputmode="numeric",
        placeholder="123",
    ),
    FormField(name="name", label="Name on card", autocomplete="cc-name"),
)
TYPED = tuple(form_field.name for form_field in FIELDS)


def money(cents: int, currency: str) -> str:
    """An amount for people: "$5.00"."""
    return f"{SYMBOLS[currency]}{cents // 100:,}.{cents % 100:02d}"


def landing_url(session: Json) -> str:
    """The session's success_url with its id filled in."""
    filled: str = PLACEHOLDER.sub(session["id"], session["success_url"])
    return filled


def origin(address: str) -> str:
    """The origin of an address, as Content-Security-Policy wants it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _problems(values: dict[str, str], *, at: float) -> dict[str, str]:
    found = {
        "email": None
        if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", values["email"])
        else "Enter an email address such as name@example.com.",
        "number": cards.number_problem(values["number"]),
        "expiry": cards.expiry_problem(values["expiry"], at=at),
        "cvc": cards.cvc_problem(values["cvc"], number=cards.digits(values["number"])),
        "name": None if values["name"] else "Enter the name on the card.",
    }
    return {name: problem for name, problem in found.items() if problem}


def _field(form_field: FormField, typed: Typed) -> str:
    name = form_field.name
    problem = typed.problems.get(name, "")
    state = ' aria-invalid="true"' if problem else ""
    if problem and name == next(iter(typed.problems)):
        state += " autofocus"
    filled = _fill(
        "field.html",
        name=name,
        label=form_field.label,
        type=form_field.type,
        inputmode=form_field.inputmode,
        autocomplete=form_field.autocomplete,
        placeholder=form_field.placeholder,
        value="" if name == "cvc" else typed.values.get(name, ""),
        problem=problem,
    )
    return filled.replace("<!-- state -->", state)


def _test_card(number: cards.SandboxNumber) -> str:
    return _fill("test_card.html", number=number.number, spaced=number.spaced, title=number.title)


def _missing(configuration: Configuration) -> Response:
    content = _fill(
        "over.html",
        state="missing",
        heading="There is no such checkout",
        text="The link may be incomplete. Go back to the shop and start again.",
    )
    return _html(
        content.replace("<!-- back -->", ""),
        title="Not found",
        configuration=configuration,
        status=404,
        form_action="'none'",
    )


def _html(
    content: str, *, title: str, configuration: Configuration, status: int, form_action: str
) -> Response:
    page = _fill(
        "page.html", title=f"{title} · {configuration.merchant}", mount=configuration.mount
    )
    policy = (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {form_action}"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    body = page.replace("<!-- content -->", content).encode()
    return Response(status=status, headers=headers, body=body)


def _see_other(url: str) -> Response:
    return Response(status=303, headers={"Location": url, "Cache-Control": "no-store"})


def _fill(template: str, **values: str) -> str:
    """The named template with every value escaped."""
    return _template(template).substitute({name: escape(v) for name, v in values.items()})


@cache
def _template(name: str) -> Template:
    return Template((HOSTED / name).read_text(encoding="utf-8"))
