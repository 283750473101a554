"""A Stripe sandbox on a real socket, a webhook endpoint for it, and a browserless buyer."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import stripe
import uvicorn

from stripe_sandbox import create_app
from tests.patience import until

MOUNT = "/sandbox/stripe"
KEY = "sk_test_sandbox_0123456789"
WEBHOOK_SECRET = "whsec_sandbox_of_the_tests"
CARD = {
    "email": "ada@example.com",
    "number": "4242 4242 4242 4242",
    "expiry": "12 / 34",
    "cvc": "123",
    "name": "Ada Buyer",
}
BOOST: Any = {
    "mode": "payment",
    "line_items": [
        {
            "price_data": {
                "currency": "usd",
                "unit_amount": 500,
                "product_data": {"name": "Weekly Boost", "description": "+500 chats"},
            },
            "quantity": 1,
        }
    ],
    "success_url": "http://127.0.0.1:9/thanks?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://127.0.0.1:9/billing",
    "client_reference_id": "purchase-1",
    "metadata": {"purchase": "purchase-1"},
    "payment_intent_data": {"metadata": {"purchase": "purchase-1"}},
}


class Receiver(ThreadingHTTPServer):
    """A webhook endpoint that verifies as the product does; `answers` are used up first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.secret = WEBHOOK_SECRET
        self.answers: list[int] = []
        self.events: list[stripe.Event] = []
        self.attempts: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/stripe/webhook"

    def types(self) -> list[str]:
        with self.lock:
            return [event.type for event in self.events]

    def wait_for(self, *kinds: str) -> None:
        until(lambda: set(kinds) <= set(self.types()))


class ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        payload = self.rfile.read(int(self.headers["Content-Length"]))
        event = stripe.Webhook.construct_event(
            payload, self.headers["Stripe-Signature"], self.server.secret
        )
        with self.server.lock:
            self.server.attempts.append(event.id)
            status = self.server.answers.pop(0) if self.server.answers else 200
            if status == 200:
                self.server.events.append(event)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test output quiet."""


@dataclass
class Clock:
    """The sandbox's clock, which tests may put forward."""

    ahead: float = 0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Running:
    """A sandbox on a real socket, and the ways to talk to it."""

    origin: str
    receiver: Receiver
    clock: Clock
    store_path: Path
    browser: httpx.Client
    api: stripe.StripeClient = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.client(KEY)

    def client(self, key: str) -> stripe.StripeClient:
        return stripe.StripeClient(key, base_addresses={"api": self.origin + MOUNT})

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY}"}

    def session(self, **changes: Any) -> stripe.checkout.Session:
        return self.api.v1.checkout.sessions.create(params=boost(**changes))

    def fresh(self, session: stripe.checkout.Session) -> stripe.checkout.Session:
        return self.api.v1.checkout.sessions.retrieve(
            session.id, params={"expand": ["payment_intent.latest_charge"]}
        )

    def pay(self, session: stripe.checkout.Session, **typed: str) -> httpx.Response:
        return self.browser.post(pay_url(session), data={**CARD, **typed})

    def raw(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {**self.authorization, **request.pop("headers", {})}
        return self.browser.request(method, self.origin + MOUNT + path, headers=headers, **request)


def boost(**changes: Any) -> Any:
    return {**BOOST, **changes}


def pay_url(session: stripe.checkout.Session) -> str:
    assert session.url is not None
    return session.url


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


@contextmanager
def running(
    store_path: Path,
    receiver: Receiver,
    *,
    webhook_url: str = "",
    settle_after_seconds: float = 0.1,
) -> Iterator[Running]:
    """A sandbox that posts its events to `webhook_url`, or to the receiver."""
    clock = Clock()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(
            mount=MOUNT,
            store_path=store_path,
            public_url=origin,
            webhook_url=webhook_url or receiver.url,
            secret_key=KEY,
            webhook_secret=WEBHOOK_SECRET,
            settle_after_seconds=settle_after_seconds,
            retry_after_seconds=0.05,
            clock=clock,
        )
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started)
        try:
            with httpx.Client(timeout=10) as browser:
                yield Running(origin, receiver, clock, store_path, browser)
        finally:
            server.should_exit = True
            thread.join()
