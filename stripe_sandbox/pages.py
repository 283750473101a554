"""The hosted checkout: the page a buyer pays on, 3-D Secure, and the pages that say it is over.

Everything works without JavaScript, and nothing is loaded from anywhere else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stripe_sandbox import card_form, cards, payments, templates
from stripe_sandbox.card_form import Typed
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.payments import Buyer, Verdict
from stripe_sandbox.store import Books, Json, Store

PLACEHOLDER = re.compile(r"\{CHECKOUT_SESSION_ID\}|%7BCHECKOUT_SESSION_ID%7D", re.IGNORECASE)


def style_sheet(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """What all pages look like."""
    content = (templates.HOSTED / "checkout.css").read_bytes()
    return Response(content, media_type="text/css", headers={"Cache-Control": "max-age=300"})


def checkout(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """The payment page of a session, or a try to pay on it."""

    def act(desk: "Desk") -> Response:
        return desk.pay(_form(body)) if request.method == "POST" else desk.show()

    return _at_desk(request, act, store=store, configuration=configuration)


def authentication(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """The bank's question (3-D Secure), or the buyer's answer to it."""
    attempt_id = request.path_params["attempt_id"]

    def act(desk: "Desk") -> Response:
        if request.method == "POST":
            return desk.authenticate(attempt_id, _form(body))
        return desk.show_authentication(attempt_id)

    return _at_desk(request, act, store=store, configuration=configuration)


def missing(configuration: Configuration) -> Response:
    """The page of whatever is not there."""
    return _page("missing.html", status=404, configuration=configuration, form_action="'none'")


def _at_desk(
    request: Request,
    act: "Callable[[Desk], Response]",
    *,
    store: Store,
    configuration: Configuration,
) -> Response:
    with store.write() as books:
        session = books.get("checkout.session", request.path_params["session_id"])
        if session is None:
            return missing(configuration)
        return act(Desk(books=books, session=session, configuration=configuration))


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
        methods = self.session["payment_method_types"]
        return self._page(
            "checkout.html",
            status=status,
            lines=[self._line(item) for item in self.books.children("item", self.session["id"])],
            fields=card_form.FIELDS,
            typed=typed or Typed(values={"email": self.session["customer_email"] or ""}),
            test_cards=[number for number in cards.SANDBOX_NUMBERS if number.method in methods],
        )

    def pay(self, form: dict[str, str]) -> Response:
        """Try to pay with what was typed, or with one of the test cards in one click."""
        typed = card_form.read(form, at=self.books.now)
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
            return _see_other(self._path)
        return self._page("authenticate.html", last4=attempt["card"]["last4"])

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

    @property
    def _path(self) -> str:
        return self.configuration.pay_path(self.session["id"])

    def _after(self, verdict: Verdict, typed: Typed) -> Response:
        if verdict.kind == "complete":
            return _see_other(landing_url(self.session))
        if verdict.kind == "authenticate":
            return _see_other(f"{self._path}/authenticate/{verdict.attempt_id}")
        if verdict.kind == "declined":
            typed.problems = {verdict.field: verdict.message}
            return self.show(typed, status=402)
        return self._over()

    def _over(self) -> Response:
        if self.session["status"] == "complete":
            return self._page("complete.html", back_url=landing_url(self.session))
        return self._page("expired.html", status=410, back_url=self.session["cancel_url"])

    def _line(self, item: Json) -> Json:
        product = self.books.get("product", item["price"]["product"]) or {}
        notes = [product.get("description")]
        if item["quantity"] > 1:
            each = templates.money(item["price"]["unit_amount"], item["currency"])
            notes.append(f"{item['quantity']} × {each}")
        return {**item, "note": " · ".join(filter(None, notes))}

    def _page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        addresses = (self.session["success_url"], self.session["cancel_url"])
        # Chromium holds the redirect that follows a form to form-action as well.
        origins = sorted({origin(address) for address in addresses if address})
        return _page(
            template,
            status=status,
            configuration=self.configuration,
            form_action=" ".join(["'self'", *origins]),
            session=self.session,
            path=self._path,
            **values,
        )


def landing_url(session: Json) -> str:
    """The session's success_url with its id filled in."""
    filled: str = PLACEHOLDER.sub(session["id"], session["success_url"])
    return filled


def origin(address: str) -> str:
    """The origin of an address, as Content-Security-Policy wants it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _page(
    template: str, *, status: int, configuration: Configuration, form_action: str, **values: Any
) -> Response:
    content = templates.fill(
        template, merchant=configuration.merchant, mount=configuration.mount, **values
    )
    policy = (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {form_action}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(content, status_code=status, headers=headers)


def _see_other(url: str) -> Response:
    return Response(status_code=303, headers={"Location": url, "Cache-Control": "no-store"})
