"""The Stripe sandbox, driven over real sockets by the official client and a browserless buyer."""

import asyncio
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe
import uvicorn

from billing.sandbox import CannotStartSandbox, create_app
from billing.sandbox.cards import passes_luhn
from billing.sandbox.objects import API_VERSION
from billing.sandbox.webhooks import wait_before_retry

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

    def wait_for(self, *kinds: str, seconds: float = 5) -> None:
        wait_until(lambda: set(kinds) <= set(self.types()), seconds=seconds)


class ReceiverHandler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        payload = self.rfile.read(int(self.headers["Content-Length"]))
        event = stripe.Webhook.construct_event(
            payload, self.headers["Stripe-Signature"], WEBHOOK_SECRET
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

    def session(self, **changes: Any) -> stripe.checkout.Session:
        return self.api.v1.checkout.sessions.create(params=boost(**changes))

    def fresh(self, session: stripe.checkout.Session) -> stripe.checkout.Session:
        return self.api.v1.checkout.sessions.retrieve(
            session.id, params={"expand": ["payment_intent.latest_charge"]}
        )

    def pay(self, session: stripe.checkout.Session, **typed: str) -> httpx.Response:
        return self.browser.post(pay_url(session), data={**CARD, **typed})

    def raw(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {KEY}", **request.pop("headers", {})}
        return self.browser.request(method, self.origin + MOUNT + path, headers=headers, **request)


def boost(**changes: Any) -> Any:
    return {**BOOST, **changes}


def pay_url(session: stripe.checkout.Session) -> str:
    assert session.url is not None
    return session.url


def wait_until(condition: Callable[[], bool], *, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


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
    store_path: Path, receiver: Receiver, *, settle_after_seconds: float = 0.1
) -> Iterator[Running]:
    clock = Clock()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(
            mount=MOUNT,
            store_path=store_path,
            public_url=origin,
            webhook_url=receiver.url,
            secret_key=KEY,
            webhook_secret=WEBHOOK_SECRET,
            settle_after_seconds=settle_after_seconds,
            retry_after_seconds=0.05,
            clock=clock,
        )
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        try:
            with httpx.Client(timeout=10) as browser:
                yield Running(origin, receiver, clock, store_path, browser)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def sandbox(tmp_path: Path, receiver: Receiver) -> Iterator[Running]:
    with running(tmp_path / "stripe.sqlite3", receiver) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """For tests that look at nothing but their own session: starting one takes a while."""
    path = tmp_path_factory.mktemp("shared") / "stripe.sqlite3"
    with receiving() as receiver, running(path, receiver) as sandbox:
        yield sandbox


# Sessions through the official client


def test_a_new_session_is_open_unpaid_and_says_what_was_asked_for(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    assert (session.object, session.status, session.payment_status) == (
        "checkout.session",
        "open",
        "unpaid",
    )
    assert (session.amount_total, session.currency, session.livemode) == (500, "usd", False)
    assert session.client_reference_id == "purchase-1"
    assert session.metadata is not None
    assert session.metadata["purchase"] == "purchase-1"
    assert session.id.startswith("cs_test_")
    assert session.url == f"{shared_sandbox.origin}{MOUNT}/pay/{session.id}"
    assert session.payment_intent is None
    items = shared_sandbox.api.v1.checkout.sessions.line_items.list(session.id).data
    assert [(item.description, item.amount_total) for item in items] == [("Weekly Boost", 500)]


def test_the_events_carry_the_api_version_the_client_speaks() -> None:
    assert stripe.api_version == API_VERSION


def test_a_session_may_name_a_price(shared_sandbox: Running) -> None:
    price = shared_sandbox.api.v1.prices.create(
        params={"currency": "usd", "unit_amount": 250, "product_data": {"name": "Credits"}}
    )
    session = shared_sandbox.session(line_items=[{"price": price.id, "quantity": 4}])
    assert session.amount_total == 1000
    with pytest.raises(stripe.InvalidRequestError, match="No such price"):
        shared_sandbox.session(line_items=[{"price": "price_none", "quantity": 1}])


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"mode": None}, "parameter_missing", "mode"),
        ({"success_url": None}, "parameter_missing", "success_url"),
        ({"line_items": None}, "parameter_missing", "line_items"),
        ({"success_url": "/thanks"}, "url_invalid", "success_url"),
        ({"cancel_url": "javascript:alert(1)"}, "url_invalid", "cancel_url"),
        ({"customer_email": "nobody"}, "email_invalid", "customer_email"),
        ({"expires_at": "soon"}, "parameter_invalid_integer", "expires_at"),
        ({"expires_at": 1}, None, "expires_at"),
        ({"clint_reference_id": "1"}, "parameter_unknown", "clint_reference_id"),
        ({"metadata": {"note": "x" * 501}}, "parameter_invalid_string", "metadata[note]"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(
    shared_sandbox: Running, change: dict[str, Any], code: str | None, param: str
) -> None:
    wanted: Any = {key: v for key, v in {**BOOST, **change}.items() if v is not None}
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.api.v1.checkout.sessions.create(params=wanted)
    assert (refusal.value.code, refusal.value.param) == (code, param)
    assert refusal.value.http_status == 400
    assert refusal.value.request_id is not None
    assert refusal.value.request_id.startswith("req_")


def test_less_than_fifty_cents_is_too_small(shared_sandbox: Running) -> None:
    def price(unit_amount: int) -> list[dict[str, Any]]:
        product = {"name": "Crumb"}
        data = {"currency": "usd", "unit_amount": unit_amount, "product_data": product}
        return [{"price_data": data, "quantity": 1}]

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.session(line_items=price(49))
    assert refusal.value.code == "amount_too_small"
    assert shared_sandbox.session(line_items=price(50)).amount_total == 50


def test_a_wrong_key_is_refused_and_never_echoed(shared_sandbox: Running) -> None:
    with pytest.raises(stripe.AuthenticationError) as refusal:
        shared_sandbox.client("sk_test_sandbox_wrong").v1.checkout.sessions.list()
    assert "wrong" not in str(refusal.value)
    assert httpx.get(f"{shared_sandbox.origin}{MOUNT}/v1/events").status_code == 401


def test_the_key_is_accepted_as_basic_auth_too(shared_sandbox: Running) -> None:
    url = f"{shared_sandbox.origin}{MOUNT}/v1/events"
    assert httpx.get(url, auth=(KEY, "")).status_code == 200
    assert httpx.get(url, auth=("sk_test_other", "")).status_code == 401


def test_what_does_not_exist_is_a_stripe_404(shared_sandbox: Running) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.api.v1.checkout.sessions.retrieve("cs_test_none")
    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")
    assert (
        shared_sandbox.raw("GET", "/v1/refunds").json()["error"]["type"] == "invalid_request_error"
    )


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("application/x-www-form-urlencoded", b"mode=\xff"),
        ("application/x-www-form-urlencoded", b"mode[=payment"),
        ("application/x-www-form-urlencoded", b"mode=a&mode[b]=c"),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(2000))),
        ("application/x-www-form-urlencoded", b"line_items[x]=1&mode=payment"),
        ("application/x-www-form-urlencoded", b"mode" + b"[a]" * 50 + b"=1"),
    ],
)
def test_a_malformed_body_is_a_400(shared_sandbox: Running, content_type: str, body: bytes) -> None:
    answer = shared_sandbox.raw(
        "POST", "/v1/checkout/sessions", content=body, headers={"Content-Type": content_type}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_huge_body_is_a_413(shared_sandbox: Running) -> None:
    answer = shared_sandbox.raw("POST", "/v1/checkout/sessions", content=b"x" * 300_000)
    assert answer.status_code == 413


def test_the_same_idempotency_key_makes_one_session(sandbox: Running) -> None:
    def create(_: int = 0, **changes: Any) -> stripe.checkout.Session:
        return sandbox.api.v1.checkout.sessions.create(
            params=boost(**changes), options={"idempotency_key": "purchase-1"}
        )

    with ThreadPoolExecutor(8) as pool:
        assert len({session.id for session in pool.map(create, range(8))}) == 1
    assert len(sandbox.api.v1.checkout.sessions.list().data) == 1
    replay = create().last_response
    assert replay is not None
    assert replay.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        create(client_reference_id="another")


def test_a_refused_call_does_not_use_up_its_idempotency_key(shared_sandbox: Running) -> None:
    options: Any = {"idempotency_key": "purchase-2"}
    with pytest.raises(stripe.InvalidRequestError):
        shared_sandbox.api.v1.checkout.sessions.create(
            params=boost(success_url="nowhere"), options=options
        )
    assert shared_sandbox.api.v1.checkout.sessions.create(params=BOOST, options=options).id


def test_sessions_are_listed_newest_first_in_pages_and_by_filter(sandbox: Running) -> None:
    made = [sandbox.session().id for _ in range(5)]
    sessions = sandbox.api.v1.checkout.sessions
    first = sessions.list(params={"limit": 2})
    assert [session.id for session in first.data] == made[:2:-1]
    assert first.has_more
    every = [session.id for session in first.auto_paging_iter()]
    assert every == made[::-1]
    sessions.expire(made[0])
    assert [session.id for session in sessions.list(params={"status": "expired"})] == [made[0]]
    later = int(time.time()) + 100
    assert sessions.list(params={"created": {"gte": later}}).data == []
    assert len(sessions.list(params={"created": {"lt": later}}).data) == 5
    with pytest.raises(stripe.InvalidRequestError):
        sessions.list(params={"limit": 101})
    with pytest.raises(stripe.InvalidRequestError, match="No such"):
        sessions.list(params={"starting_after": "cs_test_none"})


# Paying


def test_a_good_card_completes_the_session_and_lands_on_the_success_url(
    shared_sandbox: Running,
) -> None:
    session = shared_sandbox.session()
    answer = shared_sandbox.pay(session)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"http://127.0.0.1:9/thanks?session={session.id}"
    paid = shared_sandbox.fresh(session)
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.customer_details is not None
    assert (paid.customer_details.email, paid.customer_details.name) == (
        "ada@example.com",
        "Ada Buyer",
    )
    intent = paid.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (intent.status, intent.amount_received) == ("succeeded", 500)
    assert intent.metadata is not None
    assert intent.metadata["purchase"] == "purchase-1"
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.status, charge.paid, charge.payment_intent) == ("succeeded", True, intent.id)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.last4 == "4242"
    by_id = shared_sandbox.api.v1.payment_intents.retrieve(intent.id)
    assert by_id.latest_charge == charge.id


def test_the_percent_encoded_placeholder_is_filled_in_as_well(shared_sandbox: Running) -> None:
    session = shared_sandbox.session(
        success_url="http://127.0.0.1:9/ok?s=%7bCHECKOUT_SESSION_ID%7d"
    )
    assert (
        shared_sandbox.pay(session).headers["location"] == f"http://127.0.0.1:9/ok?s={session.id}"
    )


def test_a_paid_session_announces_charge_intent_and_session(sandbox: Running) -> None:
    session = sandbox.session()
    sandbox.pay(session)
    sandbox.receiver.wait_for(
        "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"
    )
    (event,) = [e for e in sandbox.receiver.events if e.type == "checkout.session.completed"]
    assert event.id.startswith("evt_")
    assert (event.object, event.livemode, event.pending_webhooks) == ("event", False, 1)
    assert event.api_version == API_VERSION
    assert event.data.object["id"] == session.id
    assert event.data.object["payment_status"] == "paid"
    assert event.data.object["client_reference_id"] == "purchase-1"
    listed = sandbox.api.v1.events.list(params={"type": "checkout.session.completed"})
    assert [e.id for e in listed.data] == [event.id]
    wait_until(lambda: sandbox.api.v1.events.retrieve(event.id).pending_webhooks == 0)
    delivered: Any = {"delivery_success": True}
    wait_until(lambda: len(sandbox.api.v1.events.list(params=delivered).data) == 3)


def test_a_test_card_pays_in_one_click(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    blank = dict.fromkeys(CARD, "")
    answer = shared_sandbox.browser.post(
        pay_url(session), data={**blank, "test_card": "4242424242424242"}
    )
    assert answer.status_code == 303
    assert shared_sandbox.fresh(session).payment_status == "paid"


@pytest.mark.parametrize(
    ("number", "decline_code", "words"),
    [
        ("4000000000000002", "generic_decline", "Your card was declined."),
        ("4000000000009995", "insufficient_funds", "Your card has insufficient funds."),
        ("4000000000000069", "expired_card", "Your card has expired."),
        ("4111111111111111", "test_mode_live_card", "use one of the test cards"),
    ],
)
def test_a_declined_card_leaves_the_session_open(
    sandbox: Running, number: str, decline_code: str, words: str
) -> None:
    session = sandbox.session()
    answer = sandbox.pay(session, number=number)
    assert answer.status_code == 402
    assert words in answer.text
    tried = sandbox.fresh(session)
    assert (tried.status, tried.payment_status) == ("open", "unpaid")
    intent = tried.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.decline_code == decline_code
    sandbox.receiver.wait_for("payment_intent.payment_failed")
    assert "checkout.session.completed" not in sandbox.receiver.types()
    assert sandbox.pay(session).status_code == 303
    assert sandbox.fresh(session).payment_status == "paid"


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("number", "4242 4242 4242 4241", "check it for a typing mistake"),
        ("number", "4242", "incomplete"),
        ("number", "", "Enter the card number"),
        ("number", "4242 4242 4242 424x", "digits only"),
        ("expiry", "01 / 20", "This card has expired"),
        ("expiry", "13 / 34", "MM / YY"),
        ("cvc", "12", "3 digits"),
        ("email", "ada", "Enter an email address"),
        ("name", "", "Enter the name"),
    ],
)
def test_a_mistake_is_shown_beside_its_field_and_the_rest_is_kept(
    shared_sandbox: Running, name: str, typed: str, words: str
) -> None:
    session = shared_sandbox.session()
    answer = shared_sandbox.pay(session, **{name: typed})
    assert answer.status_code == 422
    problems = dict(re.findall(r'<p class="problem" id="(\w+)-problem">([^<]+)</p>', answer.text))
    assert list(problems) == [name]
    assert words in problems[name]
    values = dict(re.findall(r'<input id="(\w+)"[^>]* value="([^"]*)"', answer.text))
    assert values == {**CARD, name: typed, "cvc": ""}
    assert re.search(rf'<input id="{name}"[^>]*aria-invalid="true"', answer.text)
    assert shared_sandbox.fresh(session).payment_intent is None


def test_three_d_secure_asks_before_it_pays(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    asked = shared_sandbox.pay(session, number="4000002500003155")
    assert asked.status_code == 303
    bank = shared_sandbox.origin + asked.headers["location"]
    assert "Complete authentication" in shared_sandbox.browser.get(bank).text
    waiting = shared_sandbox.fresh(session)
    assert waiting.status == "open"
    assert isinstance(waiting.payment_intent, stripe.PaymentIntent)
    assert waiting.payment_intent.status == "requires_action"
    done = shared_sandbox.browser.post(bank, data={"result": "complete"})
    assert done.headers["location"].endswith(session.id)
    assert shared_sandbox.fresh(session).payment_status == "paid"


def test_a_failed_authentication_leaves_the_session_open(sandbox: Running) -> None:
    session = sandbox.session()
    bank = sandbox.origin + sandbox.pay(session, number="4000002500003155").headers["location"]
    failed = sandbox.browser.post(bank, data={"result": "fail"})
    assert failed.status_code == 402
    assert "unable to authenticate" in failed.text
    assert 'value="ada@example.com"' in failed.text
    assert sandbox.fresh(session).status == "open"
    sandbox.receiver.wait_for("payment_intent.payment_failed")
    again = sandbox.browser.post(bank, data={"result": "complete"})
    assert "no longer valid" in again.text
    assert sandbox.fresh(session).payment_status == "unpaid"


def test_only_the_latest_try_can_be_authenticated(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    first, second = (
        shared_sandbox.origin
        + shared_sandbox.pay(session, number="4000002500003155").headers["location"]
        for _ in range(2)
    )
    assert shared_sandbox.browser.get(first).status_code == 303
    assert shared_sandbox.browser.get(second).status_code == 200
    stale = shared_sandbox.browser.post(first, data={"result": "complete"})
    assert "no longer valid" in stale.text
    assert shared_sandbox.fresh(session).payment_status == "unpaid"


def test_a_debit_completes_unpaid_and_is_paid_later(tmp_path: Path, receiver: Receiver) -> None:
    with running(tmp_path / "s.sqlite3", receiver, settle_after_seconds=0.6) as sandbox:
        session = sandbox.session()
        assert sandbox.pay(session, number="9000000000000001").status_code == 303
        unpaid = sandbox.fresh(session)
        assert (unpaid.status, unpaid.payment_status) == ("complete", "unpaid")
        assert isinstance(unpaid.payment_intent, stripe.PaymentIntent)
        assert unpaid.payment_intent.status == "processing"
        receiver.wait_for("checkout.session.completed")
        assert receiver.events[0].data.object["payment_status"] == "unpaid"
        assert "checkout.session.async_payment_succeeded" not in receiver.types()
        receiver.wait_for("checkout.session.async_payment_succeeded", "charge.succeeded")
        assert sandbox.fresh(session).payment_status == "paid"


def test_a_debit_may_fail_later(sandbox: Running) -> None:
    session = sandbox.session()
    assert sandbox.pay(session, number="9000000000000019").status_code == 303
    sandbox.receiver.wait_for(
        "checkout.session.async_payment_failed", "payment_intent.payment_failed"
    )
    failed = sandbox.fresh(session)
    assert (failed.status, failed.payment_status) == ("complete", "unpaid")
    assert "charge.succeeded" not in sandbox.receiver.types()


def test_a_debit_is_declined_where_only_cards_are_taken(shared_sandbox: Running) -> None:
    session = shared_sandbox.session(payment_method_types=["card"])
    assert "9000" not in shared_sandbox.browser.get(pay_url(session)).text
    assert shared_sandbox.pay(session, number="9000000000000001").status_code == 402


def test_many_tabs_at_two_processes_complete_a_session_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    path = tmp_path / "shared.sqlite3"
    with running(path, receiver) as one, running(path, receiver) as two:
        session = one.session()
        urls = [f"{r.origin}{MOUNT}/pay/{session.id}" for r in (one, two)] * 6

        def pay(url: str) -> int:
            return httpx.post(url, data=CARD).status_code

        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(pay, urls)) == {303}
        receiver.wait_for(
            "charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"
        )
        time.sleep(0.1)
        assert sorted(receiver.types()) == [
            "charge.succeeded",
            "checkout.session.completed",
            "payment_intent.succeeded",
        ]
        assert len(one.api.v1.events.list().data) == 3


# The end of a session


def test_an_expired_session_cannot_be_paid(sandbox: Running) -> None:
    session = sandbox.session()
    url = pay_url(session)
    sandbox.api.v1.checkout.sessions.expire(session.id)
    sandbox.receiver.wait_for("checkout.session.expired")
    request = sandbox.receiver.events[0].request
    assert request is not None
    assert request.id is not None
    assert request.id.startswith("req_")
    assert sandbox.browser.post(url, data=CARD).status_code == 410
    page = sandbox.browser.get(url)
    assert page.status_code == 410
    assert 'href="http://127.0.0.1:9/billing"' in page.text
    assert sandbox.fresh(session).payment_status == "unpaid"


def test_a_session_expires_by_itself_when_its_time_is_over(sandbox: Running) -> None:
    session = sandbox.session(expires_at=int(time.time()) + 1800)
    sandbox.clock.ahead = 1700
    time.sleep(0.6)
    assert sandbox.fresh(session).status == "open"
    sandbox.clock.ahead = 1801
    sandbox.receiver.wait_for("checkout.session.expired")
    assert sandbox.fresh(session).status == "expired"


def test_a_complete_session_cannot_be_expired_and_its_page_says_so(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    shared_sandbox.pay(session)
    with pytest.raises(stripe.InvalidRequestError, match="`complete`"):
        shared_sandbox.api.v1.checkout.sessions.expire(session.id)
    page = shared_sandbox.browser.get(pay_url(session))
    assert page.status_code == 200
    assert "This payment is complete" in page.text
    assert f'href="http://127.0.0.1:9/thanks?session={session.id}"' in page.text


# Webhooks


def test_a_webhook_is_retried_until_it_is_accepted(sandbox: Running) -> None:
    sandbox.receiver.answers = [500, 302, 404]
    sandbox.api.v1.checkout.sessions.expire(sandbox.session().id)
    sandbox.receiver.wait_for("checkout.session.expired")
    assert len(sandbox.receiver.attempts) == 4
    assert len(set(sandbox.receiver.attempts)) == 1


def test_the_wait_between_tries_doubles_up_to_an_hour() -> None:
    waits = [wait_before_retry(attempts, first_seconds=1) for attempts in (1, 2, 3, 12, 13, 500)]
    assert waits == [1, 2, 4, 2048, 3600, 3600]


def test_a_webhook_nobody_took_is_sent_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "stripe.sqlite3"
    with receiving() as away:
        away.answers = [503] * 1000
        with running(path, away) as sandbox:
            session = sandbox.session()
            sandbox.pay(session)
            wait_until(lambda: len(set(away.attempts)) >= 3)
            listed = sandbox.api.v1.events.list(params={"delivery_success": False})
            assert len(listed.data) == 3
    with receiving() as back, running(path, back) as sandbox:
        # Nothing is asked of the new process: the lifespan alone resumes the retries, and what
        # the old one had claimed when it went away is free again once the lease is over.
        sandbox.clock.ahead = 60
        back.wait_for("charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")


def test_two_processes_send_each_event_once(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "shared.sqlite3"
    with ExitStack() as stack:
        running_ones = [stack.enter_context(running(path, receiver)) for _ in range(2)]
        ids = [running_ones[0].session().id for _ in range(20)]
        for position, session_id in enumerate(ids):
            running_ones[position % 2].api.v1.checkout.sessions.expire(session_id)
        wait_until(lambda: len(receiver.events) >= 20)
        time.sleep(0.2)
        assert len(receiver.attempts) == 20
        assert len(set(receiver.attempts)) == 20


# The page, and what must never happen


def test_the_page_is_labelled_guarded_and_loads_nothing_from_elsewhere(
    shared_sandbox: Running,
) -> None:
    session = shared_sandbox.session(customer_email="ada@example.com")
    page = shared_sandbox.browser.get(pay_url(session))
    assert page.status_code == 200
    assert "No real money moves" in page.text
    assert "Weekly Boost" in page.text
    assert "Pay $5.00" in page.text
    assert 'value="ada@example.com"' in page.text
    assert 'href="http://127.0.0.1:9/billing"' in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; style-src 'self'" in policy
    assert "form-action 'self' http://127.0.0.1:9" in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|<style|style=|onclick=", page.text)
    for name in CARD:
        assert f'<label for="{name}">' in page.text
    css = re.findall(r'rel="stylesheet" href="([^"]+)"', page.text)
    assert css == [f"{MOUNT}/checkout.css"]
    sheet = shared_sandbox.browser.get(shared_sandbox.origin + css[0])
    assert sheet.headers["content-type"].startswith("text/css")
    assert "url(" not in sheet.text
    assert "@import" not in sheet.text


def test_what_callers_and_buyers_write_is_escaped(shared_sandbox: Running) -> None:
    evil = '"><script>alert(1)</script>'
    product = {"name": evil}
    data = {"currency": "usd", "unit_amount": 500, "product_data": product}
    session = shared_sandbox.session(line_items=[{"price_data": data, "quantity": 1}])
    answer = shared_sandbox.pay(session, name=f"{evil} $merchant <!-- state -->", number="1")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "$merchant &lt;!-- state --&gt;" in answer.text


def test_an_unknown_page_is_a_404_and_another_method_a_405(shared_sandbox: Running) -> None:
    assert (
        shared_sandbox.browser.get(f"{shared_sandbox.origin}{MOUNT}/pay/cs_test_none").status_code
        == 404
    )
    assert shared_sandbox.browser.get(f"{shared_sandbox.origin}{MOUNT}/").status_code == 404
    assert shared_sandbox.browser.put(pay_url(shared_sandbox.session())).status_code == 405


def test_no_card_number_or_secret_is_kept_or_logged(
    sandbox: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="billing.sandbox")
    sandbox.receiver.answers = [500]
    for number in ("4000000000000002", "4000002500003155", "4242424242424242"):
        sandbox.pay(sandbox.session(), number=number, cvc="987")
    sandbox.receiver.wait_for("checkout.session.completed")
    with sqlite3.connect(sandbox.store_path) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "4242" in dump
    assert "attempt 1: HTTP 500" in caplog.text
    for secret in ("4000000000000002", "4000002500003155", "4242424242424242", "987", KEY):
        kept = re.findall(rf"(?<![0-9A-Za-z]){secret}(?![0-9A-Za-z])", dump + caplog.text)
        assert kept == []
    assert WEBHOOK_SECRET not in dump + caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"secret_key": "sk_live_1"},
        {"secret_key": "sk_test_1"},
        {"webhook_secret": ""},
        {"mount": "sandbox"},
        {"public_url": "example.com"},
    ],
)
def test_it_refuses_to_start_with_a_real_key_or_without_a_secret(
    tmp_path: Path, change: dict[str, str]
) -> None:
    arguments: dict[str, Any] = {
        "mount": MOUNT,
        "store_path": tmp_path / "s.sqlite3",
        "public_url": "http://127.0.0.1:8000",
        "webhook_url": "http://127.0.0.1:8000/stripe/webhook",
        "secret_key": KEY,
        "webhook_secret": WEBHOOK_SECRET,
    }
    create_app(**arguments)
    with pytest.raises(CannotStartSandbox):
        create_app(**{**arguments, **change})


def test_the_test_numbers_of_our_own_pass_the_checksum() -> None:
    assert passes_luhn("9000000000000001")
    assert passes_luhn("9000000000000019")
    assert not passes_luhn("9000000000000002")


def test_it_starts_at_the_first_request_where_no_lifespan_is_sent(
    tmp_path: Path, receiver: Receiver
) -> None:
    async def scenario() -> list[int]:
        app = create_app(
            mount=MOUNT,
            store_path=tmp_path / "s.sqlite3",
            public_url="http://127.0.0.1:8000",
            webhook_url=receiver.url,
            secret_key=KEY,
            webhook_secret=WEBHOOK_SECRET,
        )
        transport = httpx.ASGITransport(app=app)
        headers = {"Authorization": f"Bearer {KEY}"}
        base = f"http://sandbox{MOUNT}/v1/checkout/sessions"
        async with httpx.AsyncClient(transport=transport, headers=headers) as client:
            made = await client.post(base, data=FLAT_BOOST)
            ended = await client.post(f"{base}/{json.loads(made.content)['id']}/expire")
            await asyncio.to_thread(receiver.wait_for, "checkout.session.expired")
        await app.stop()
        return [made.status_code, ended.status_code]

    assert asyncio.run(asyncio.wait_for(scenario(), 5)) == [200, 200]
    assert receiver.types() == ["checkout.session.expired"]


FLAT_BOOST = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:9/thanks",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "500",
    "line_items[0][price_data][product_data][name]": "Weekly Boost",
    "line_items[0][quantity]": "1",
}
