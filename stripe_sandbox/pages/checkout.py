"""The hosted checkout: the page a buyer pays on, 3-D Secure, and the pages that say it is over."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox import card_form, cards, templates
from stripe_sandbox.acts import checkout, pricing
from stripe_sandbox.acts.checkout import Buyer, Verdict
from stripe_sandbox.books import Books, Json
from stripe_sandbox.card_form import Typed
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.pages import frame
from stripe_sandbox.pages.frame import form_of, see_other
from stripe_sandbox.store import Store

PLACEHOLDER = re.compile(r"\{CHECKOUT_SESSION_ID\}|%7BCHECKOUT_SESSION_ID%7D", re.IGNORECASE)


def pay_page(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """The payment page of a session, or a try to pay on it."""

    def act(desk: "Desk") -> Response:
        return desk.pay(form_of(body)) if request.method == "POST" else desk.show()

    return _at_desk(request, act, store=store, configuration=configuration)


def authentication(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """The bank's question (3-D Secure), or the buyer's answer to it."""
    attempt_id = request.path_params["attempt_id"]

    def act(desk: "Desk") -> Response:
        if request.method == "POST":
            return desk.authenticate(attempt_id, form_of(body))
        return desk.show_authentication(attempt_id)

    return _at_desk(request, act, store=store, configuration=configuration)


def _at_desk(
    request: Request,
    act: "Callable[[Desk], Response]",
    *,
    store: Store,
    configuration: Configuration,
) -> Response:
    with store.write(configuration) as books:
        session = books.get("checkout.session", request.path_params["session_id"])
        if session is None:
            return frame.missing(configuration)
        return act(Desk(books=books, session=session))


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One session's checkout, within one transaction."""

    books: Books
    session: Json

    def show(
        self, typed: Typed | None = None, *, status: int = 200, code_problem: str = ""
    ) -> Response:
        """The payment page, or the page that says it is over."""
        if checkout.is_over(self.books, self.session):
            return self._over()
        pricing.add_up(self.books, self.session)
        methods = self.session["payment_method_types"]
        customer = self.books.get("customer", self.session["customer"]) or {}
        email = self.session["customer_email"] or customer.get("email") or ""
        name = customer.get("name") or ""
        return self._page(
            "checkout.html",
            status=status,
            lines=[self._line(item) for item in self.books.children("item", self.session["id"])],
            fields=card_form.FIELDS[:1] if pricing.is_free(self.session) else card_form.FIELDS,
            codes=pricing.codes_for(self.session),
            code=pricing.code_of(self.session),
            code_problem=code_problem,
            tax_percent=pricing.TAX_PERCENT,
            is_free=pricing.is_free(self.session),
            typed=typed or Typed(values={"email": email, "name": name}),
            words=wording(self.session, self.books.children("item", self.session["id"])),
            test_cards=[number for number in cards.SANDBOX_NUMBERS if number.method in methods],
        )

    def pay(self, form: dict[str, str]) -> Response:
        """Try to pay with what was typed, or with one of the test cards in one click."""
        if "promotion_code" in form and not checkout.is_over(self.books, self.session):
            problem = pricing.apply(self.books, self.session, form["promotion_code"])
            if problem:
                return self.show(status=422, code_problem=problem)
            return see_other(self._path)
        pricing.add_up(self.books, self.session)
        if pricing.is_free(self.session):
            return self._take_for_free(form)
        typed = card_form.read(form, at=self.books.now)
        if typed.problems and not checkout.is_over(self.books, self.session):
            return self.show(typed, status=422)
        values = typed.values
        number = cards.digits(values["number"])
        known = cards.known(number)
        if known.method not in self.session["payment_method_types"]:
            known = cards.NOT_A_TEST_NUMBER
        month, year = cards.read_expiry(values["expiry"]) or (12, 2034)
        verdict = checkout.pay(
            self.books,
            self.session,
            number=known,
            card=cards.Card(
                last4=number[-4:], brand=cards.brand(number), exp_month=month, exp_year=year
            ),
            buyer=Buyer(email=values["email"], name=values["name"]),
        )
        return self._after(verdict, typed)

    def _take_for_free(self, form: dict[str, str]) -> Response:
        email = form.get("email", "").strip() or card_form.ONE_CLICK_EMAIL
        verdict = checkout.take_for_free(
            self.books, self.session, email=email, name=form.get("name", "")
        )
        return self._after(verdict, Typed())

    def show_authentication(self, attempt_id: str) -> Response:
        """The bank's question, as long as it waits for an answer."""
        if checkout.is_over(self.books, self.session):
            return self._over()
        attempt = checkout.waiting_attempt(self.books, self.session["id"])
        if attempt is None or attempt["id"] != attempt_id:
            return see_other(self._path)
        method = self.books.known("payment_method", attempt["method"])
        return self._page("authenticate.html", last4=method[method["type"]]["last4"])

    def authenticate(self, attempt_id: str, form: dict[str, str]) -> Response:
        """The buyer's answer to the bank; anything but a clear yes is a no."""
        attempt = checkout.waiting_attempt(self.books, self.session["id"])
        buyer = attempt["buyer"] if attempt else {}
        passed = form.get("result") == "complete"
        verdict = checkout.authenticate(
            self.books, self.session, attempt_id=attempt_id, passed=passed
        )
        email = buyer.get("email") or self.session["customer_email"] or ""
        return self._after(verdict, Typed(values={"email": email, "name": buyer.get("name", "")}))

    @property
    def _path(self) -> str:
        return self.books.configuration.path("pay", self.session["id"])

    def _after(self, verdict: Verdict, typed: Typed) -> Response:
        if verdict.kind == "complete":
            return see_other(landing_url(self.session))
        if verdict.kind == "authenticate":
            return see_other(f"{self._path}/authenticate/{verdict.attempt_id}")
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
        if item["price"]["recurring"]:
            notes.append(every(item["price"]["recurring"]))
        return {**item, "note": " · ".join(filter(None, notes))}

    def _page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        return frame.page(
            template,
            status=status,
            configuration=self.books.configuration,
            form_action=frame.actions(self.session["success_url"], self.session["cancel_url"]),
            session=self.session,
            path=self._path,
            **values,
        )


def wording(session: Json, items: list[Json]) -> dict[str, str]:
    """What is done on the page of a session: `act` on its button, `due` beside its sum."""
    if session["mode"] == "setup":
        return {"act": "Save card", "heading": "Save a card for", "due": "", "one_click": "Save"}
    total = templates.money(session["amount_total"], session["currency"])
    rhythms = [item["price"]["recurring"] for item in items if item["price"]["recurring"]]
    if session["mode"] == "subscription":
        return {
            "act": f"Subscribe for {total}",
            "heading": f"Billed {every(rhythms[0])} by",
            "due": "Total due today",
            "one_click": "Subscribe",
        }
    if pricing.is_free(session):
        return {
            "act": "Complete order",
            "heading": "Nothing to pay to",
            "due": "Total due today",
            "one_click": "",
        }
    return {
        "act": f"Pay {total}",
        "heading": "Pay",
        "due": "Total due today",
        "one_click": "Pay",
    }


def every(recurring: Json) -> str:
    """How often something is paid, in words."""
    count, unit = recurring["interval_count"], recurring["interval"]
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def landing_url(session: Json) -> str:
    """The session's success_url with its id filled in."""
    filled: str = PLACEHOLDER.sub(session["id"], session["success_url"])
    return filled
