"""The billing portal: where customers change, end or resume what they pay for, and their card."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox import card_form, cards
from stripe_sandbox.acts import proration, saving, subscribing
from stripe_sandbox.acts.proration import Wanted
from stripe_sandbox.acts.subscribing import Change, PaymentFailed
from stripe_sandbox.books import Books, Json
from stripe_sandbox.card_form import Typed
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.pages import frame
from stripe_sandbox.pages.checkout import every
from stripe_sandbox.pages.frame import form_of, see_other
from stripe_sandbox.pages.invoices import keep_typed
from stripe_sandbox.pages.receipts import day
from stripe_sandbox.store import Store
from stripe_sandbox.webhooks import save_changed

# Stripe's sessions end some minutes after they were last used; these end a day after they began.
LIVES_SECONDS = 24 * 3600
ENDED = {"subscription_cancel", "subscription_update", "subscription_update_confirm"}


def portal(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """The portal of one customer, or something they do in it."""
    with store.write(configuration) as books:
        desk = _desk(books, request.path_params["secret"])
        if desk is None:
            return frame.missing(configuration)
        if request.method == "POST":
            return desk.act(form_of(body))
        return desk.show()


def _desk(books: Books, secret: str) -> "Desk | None":
    key = books.get("portal", f"portal_{secret}")
    session = books.get("billing_portal.session", key["session"]) if key else None
    customer = books.get("customer", session["customer"]) if session else None
    if session is None or customer is None or customer.get("deleted"):
        return None
    if session["created"] + LIVES_SECONDS < books.now:
        return None
    settings = books.known("billing_portal.configuration", session["configuration"])
    return Desk(
        books=books, session=session, customer=customer, features=settings["features"], key=secret
    )


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One customer's portal, within one transaction."""

    books: Books
    session: Json
    customer: Json
    features: Json
    key: str

    @property
    def path(self) -> str:
        """Where this portal is."""
        return self.books.configuration.path("portal", self.key)

    def show(self, typed: Typed | None = None, *, status: int = 200, problem: str = "") -> Response:
        """The page: all of it, or only what the session is for."""
        flow = self.session["flow"] or {"type": "all"}
        after = flow.get("after_completion", {})
        return_url = self.session["return_url"]
        redirect = (after.get("redirect") or {}).get("return_url")
        values = {"email": self.customer["email"] or "", "name": self.customer["name"] or ""}
        return frame.page(
            "portal.html",
            status=status,
            configuration=self.books.configuration,
            form_action=frame.actions(return_url, redirect),
            path=self.path,
            customer=self.customer,
            features=self.features,
            flow=flow["type"],
            return_url=return_url,
            subscriptions=[self._told(one) for one in self._subscriptions()],
            methods=self._methods(),
            invoices=[
                {**invoice, "day": day(invoice["created"])}
                for invoice in self.books.every("invoice", customer=self.customer["id"])
            ],
            fields=card_form.FIELDS,
            typed=typed or Typed(values=values),
            test_cards=[one for one in cards.SANDBOX_NUMBERS if one.method == "card"],
            act="Save",
            problem=problem,
        )

    def act(self, form: dict[str, str]) -> Response:
        """What a form of the page asks for."""
        acts: dict[str, Callable[[dict[str, str]], Response]] = {
            "cancel": self._cancel,
            "resume": self._resume,
            "change": self._change,
            "card": self._card,
            "default": self._default,
            "remove": self._remove,
        }
        act = acts.get(form.get("act", ""))
        return act(form) if act else see_other(self.path)

    def _cancel(self, form: dict[str, str]) -> Response:
        subscription = self._subscription(form)
        feature = self.features["subscription_cancel"]
        if subscription is None or not feature["enabled"]:
            return see_other(self.path)
        if feature["mode"] == "immediately":
            if feature["proration_behavior"] != "none":
                at_once = feature["proration_behavior"] == "always_invoice"
                subscribing.credit_unused(self.books, subscription, invoice_now=at_once)
            subscribing.end(self.books, subscription, reason="cancellation_requested")
        else:
            subscribing.cancel_later(self.books, subscription, cancels=True)
        return self._done("subscription_cancel")

    def _resume(self, form: dict[str, str]) -> Response:
        subscription = self._subscription(form)
        if subscription is not None:
            subscribing.cancel_later(self.books, subscription, cancels=False)
        return see_other(self.path)

    def _change(self, form: dict[str, str]) -> Response:
        subscription = self._subscription(form)
        price = self.books.get("price", form.get("price", ""))
        feature = self.features["subscription_update"]
        if subscription is None or price is None or not feature["enabled"]:
            return see_other(self.path)
        if price["id"] not in {one["id"] for one in self._offered(subscription)}:
            return see_other(self.path)
        first, *others = proration.as_it_is(subscription)
        wanted = [Wanted(item_id=first.item_id, price=price, quantity=first.quantity), *others]
        wish = Change(
            wanted=wanted,
            proration=feature["proration_behavior"],
            payment="error_if_incomplete",
        )
        problem = ""
        try:
            with self.books.undone_by(PaymentFailed):
                subscribing.change(self.books, subscription, wish)
        except PaymentFailed as failure:
            problem = str((failure.answer.error or {}).get("message", ""))
        if problem:
            return self.show(status=402, problem=problem)
        return self._done("subscription_update", "subscription_update_confirm")

    def _card(self, form: dict[str, str]) -> Response:
        if not self.features["payment_method_update"]["enabled"]:
            return see_other(self.path)
        typed = card_form.read({"email": self.customer["email"] or "", **form}, at=self.books.now)
        if typed.problems:
            return self.show(typed, status=422)
        method = keep_typed(self.books, typed)
        number = saving.number_of(self.books, method)
        if number.outcome == "declined":
            typed.problems = {"number": number.message or ""}
            return self.show(typed, status=402)
        saving.set_up(self.books, method)
        saving.attach(self.books, method, self.customer["id"])
        self._use(method["id"])
        return self._done("payment_method_update")

    def _default(self, form: dict[str, str]) -> Response:
        method = self.books.get("payment_method", form.get("method", ""))
        if method is not None and method["customer"] == self.customer["id"]:
            self._use(method["id"])
        return see_other(self.path)

    def _remove(self, form: dict[str, str]) -> Response:
        method = self.books.get("payment_method", form.get("method", ""))
        if method is not None and method["customer"] == self.customer["id"]:
            saving.detach(self.books, method)
        return see_other(self.path)

    def _use(self, method_id: str) -> None:
        """The card that everything of this customer is paid with from now on."""
        self.customer["invoice_settings"]["default_payment_method"] = method_id
        save_changed(self.books, "customer.updated", self.customer)
        for subscription in self._subscriptions():
            if subscription["default_payment_method"]:
                subscription["default_payment_method"] = method_id
                save_changed(self.books, "customer.subscription.updated", subscription)

    def _done(self, *flows: str) -> Response:
        """Back to the portal, or on to where a session for this one thing leads."""
        flow = self.session["flow"] or {}
        after = flow.get("after_completion", {})
        if flow.get("type") in flows and after.get("type") == "redirect":
            return see_other(after["redirect"]["return_url"])
        return see_other(self.path)

    def _subscriptions(self) -> list[Json]:
        found = self.books.every("subscription", customer=self.customer["id"])
        return [one for one in found if not one["ended_at"]]

    def _subscription(self, form: dict[str, str]) -> Json | None:
        wanted = form.get("subscription", "")
        return next((one for one in self._subscriptions() if one["id"] == wanted), None)

    def _told(self, subscription: Json) -> dict[str, Any]:
        item = subscription["items"]["data"][0]
        return {
            **subscription,
            "name": self._name(item["price"]),
            "price": item["price"],
            "every": every(item["price"]["recurring"]),
            "until": day(item["current_period_end"]),
            "offered": [
                {**price, "name": self._name(price), "every": every(price["recurring"])}
                for price in self._offered(subscription)
            ],
            "is_meant": self._is_meant(subscription),
        }

    def _is_meant(self, subscription: Json) -> bool:
        """Whether the session, if it is for one thing, is about this subscription."""
        flow = self.session["flow"]
        if flow is None or flow["type"] not in ENDED:
            return True
        return bool(flow[flow["type"]]["subscription"] == subscription["id"])

    def _offered(self, subscription: Json) -> list[Json]:
        """The prices one may change to: what the flow says, or what the configuration lists."""
        current = subscription["items"]["data"][0]["price"]["id"]
        flow = self.session["flow"] or {}
        if flow.get("type") == "subscription_update_confirm":
            ids = [item["price"] for item in flow["subscription_update_confirm"]["items"]]
        else:
            products = self.features["subscription_update"]["products"] or []
            ids = [price for product in products for price in product["prices"]]
        found = [self.books.get("price", price) for price in ids if price != current]
        return [price for price in found if price and price["recurring"]]

    def _methods(self) -> list[Json]:
        default = self.customer["invoice_settings"]["default_payment_method"]
        return [
            {**method, "told": method[method["type"]], "is_default": method["id"] == default}
            for method in self.books.every("payment_method", customer=self.customer["id"])
        ]

    def _name(self, price: Json) -> str:
        product = self.books.get("product", price["product"])
        return str(product["name"] if product else price["id"])
