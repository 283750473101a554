"""A customer of the shop: orders on our pages, pays on the sandbox's, and Stripe's side of it."""

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import stripe
from django.http import HttpResponse
from django.test import Client

from billing.models import Product, Purchase, StripeEvent
from stripe_sandbox.webhooks import sign
from tests.patience import until
from tests.stripe_sandbox.running_sandbox import CARD, WEBHOOK_SECRET, Running

WEBHOOK = "/stripe/webhook"
DEBIT_THAT_SETTLES = "9000000000000001"
DEBIT_THAT_FAILS = "9000000000000019"
SETTLE_AFTER_SECONDS = 60


class Buyer:
    """One signed-in customer and the sandbox that they pay at."""

    def __init__(self, client: Client, sandbox: Running) -> None:
        self.client = client
        self.sandbox = sandbox

    def submit(self, product: str = "weekly-boost", **fields: Any) -> HttpResponse:
        """Send the form that buys a product."""
        shown = Product.objects.filter(slug=product).first()
        terms = shown.terms if shown else "500-500-7-0"
        sent = {"product": product, "terms": terms, "submission": uuid4(), **fields}
        answer: HttpResponse = self.client.post("/account/billing/checkout", sent)  # type: ignore[assignment]
        return answer

    def order(self, product: str = "weekly-boost", **fields: Any) -> Purchase:
        """An order that waits for its payment."""
        submission = fields.pop("submission", None) or uuid4()
        assert self.submit(product, submission=submission, **fields).status_code == 303
        return Purchase.objects.get(submission=submission)

    def pay(self, purchase: Purchase, **typed: str) -> httpx.Response:
        """Fill in the hosted page."""
        return self.sandbox.browser.post(purchase.checkout_url, data={**CARD, **typed})

    def bought(self, product: str = "weekly-boost") -> Purchase:
        """An order that is paid at Stripe, of which we know nothing yet."""
        purchase = self.order(product)
        assert self.pay(purchase).status_code == 303
        return purchase

    def land(self, purchase: Purchase) -> HttpResponse:
        """Open the page that the customer lands on after paying."""
        page: HttpResponse = self.client.get(f"/account/billing/purchases/{purchase.pk}")  # type: ignore[assignment]
        return page

    def wait(self, purchase: Purchase) -> None:
        """Let the seconds pass in which pages do not ask Stripe about a purchase again."""
        Purchase.objects.filter(pk=purchase.pk).update(looked_at=None)

    def debit_is_decided(self, purchase: Purchase) -> None:
        """Let the days pass that a bank debit takes."""
        session_id = purchase.stripe_session_id or ""

        def intent() -> Any:
            return self.sandbox.api.v1.checkout.sessions.retrieve(
                session_id, params={"expand": ["payment_intent"]}
            ).payment_intent

        assert intent().status == "processing"
        self.sandbox.clock.ahead += SETTLE_AFTER_SECONDS + 1
        until(lambda: intent().status != "processing")

    def expire(self, purchase: Purchase) -> None:
        """Let the checkout end unpaid."""
        self.sandbox.api.v1.checkout.sessions.expire(purchase.stripe_session_id or "")

    def sessions_of(self, purchase: Purchase) -> list[stripe.checkout.Session]:
        """Every session that Stripe has for a purchase."""
        listed = self.sandbox.api.v1.checkout.sessions.list(params={"limit": 100})
        return [
            session
            for session in listed.auto_paging_iter()
            if session.client_reference_id == str(purchase.pk)
        ]


def event_of(session_id: str | None, kind: str = "checkout.session.completed") -> dict[str, Any]:
    """An event about a session as Stripe writes it."""
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": kind,
        "livemode": False,
        "data": {"object": {"id": session_id, "object": "checkout.session"}},
    }


def deliver(event: dict[str, Any], *, client: Client | None = None) -> HttpResponse:
    """Post an event to our webhook, signed as Stripe signs."""
    payload = json.dumps(event).encode()
    signature = sign(payload, secret=WEBHOOK_SECRET, at=int(time.time()))
    return post(payload, signature, client=client)


def post(payload: bytes, signature: str | None, *, client: Client | None = None) -> HttpResponse:
    """Post anything to our webhook."""
    headers = {} if signature is None else {"Stripe-Signature": signature}
    answer: HttpResponse = (client or Client()).post(  # type: ignore[assignment]
        WEBHOOK, data=payload, content_type="application/json", headers=headers
    )
    return answer


def delivered(purchase: Purchase, kind: str = "checkout.session.completed") -> StripeEvent:
    """An event about a purchase that arrived and was stored."""
    event = event_of(purchase.stripe_session_id, kind)
    assert deliver(event).status_code == 200
    return StripeEvent.objects.get(event_id=event["id"])
