"""Whatever Stripe answers, a page or a worker goes on: an odd answer is none, never a 500."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from billing import events, open_orders
from billing.models import Purchase
from billing.stripe_client import sessions
from billing.stripe_client.errors import StripeUnavailable
from quotas.models.ledger import Boost
from tests.billing.buyer import Buyer, delivered
from tests.odd_servers import Lying, lying

pytestmark = pytest.mark.django_db(transaction=True)

SESSION_ID = "cs_test_1"


def session(**changes: Any) -> dict[str, Any]:
    """A paid session as Stripe answers it, with changes."""
    fields = {
        "id": SESSION_ID,
        "object": "checkout.session",
        "mode": "payment",
        "url": None,
        "client_reference_id": None,
        "metadata": {"account": "abcdefgh"},
        "status": "complete",
        "payment_status": "paid",
        "payment_intent": {"id": "pi_1", "object": "payment_intent", "status": "succeeded"},
        "amount_total": 500,
        "currency": "usd",
        "livemode": False,
    }
    return {**fields, **changes}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in session().items() if key != name}


NOT_A_SESSION = [
    b"",
    b"{",
    b'{"id": "cs_test_1", "object": "checkout.sess',
    b"{}",
    b"[]",
    b"[{}]",
    b"null",
    b"true",
    b"7",
    b'"cs_test_1"',
    b"\xff\xfe",
    b"<html><body>502 Bad Gateway</body></html>",
    b"[" * 100_000,
    b'{"object": "list", "data": []}',
    b'{"object": 7}',
    b'{"object": {"object": "checkout.session"}}',
    b'{"error": {"type": "api_error", "message": "sorry"}}',
    b'{"error": "sorry"}',
    b'{"error": null}',
]
ODD: dict[str, list[Any]] = {
    "mode": [None, 7, "", "gift", ["payment"]],
    "subscription": [7, "", "cs_test_1", ["sub_1"], {"id": 7}],
    "id": [None, 7, "", "cs_", "cs_test_2", "../../v1/x", "cs_\x00", [], {}],
    "status": [None, 7, "", "paid", [], {}, True],
    "payment_status": [None, 7, "", "complete", [], {}],
    "livemode": [None, 0, "false", []],
    "amount_total": ["500", 5.5, -1, True, 2**40, [], {}],
    "currency": [7, "", "USD", "us", "u\x00d", []],
    "metadata": [7, "x", [1], {"account": 7}, {"account": None}],
    "payment_intent": [7, True, []],
    "client_reference_id": [7, [], {}],
    "url": [7, "", "x", "javascript:alert(1)", "https://", "https://a\x00", "https://[x", []],
}
ODD_FIELDS = [
    *(without(name) for name in ("id", "mode", "status", "payment_status", "livemode", "object")),
    *(session(**{name: odd}) for name, values in ODD.items() for odd in values),
]


@pytest.fixture
def liar(stripe_at: Callable[[str], None], products: None) -> Iterator[Callable[..., Lying]]:
    """A Stripe that answers what it is told to."""
    with lying() as server:

        def say(body: bytes | dict[str, Any], *, status: int = 200, **headers: str) -> Lying:
            stripe_at(server.origin)
            server.body = body if isinstance(body, bytes) else json.dumps(body).encode()
            server.status, server.headers = status, {"Content-Type": "application/json", **headers}
            return server

        yield say


def retrieve() -> sessions.CheckoutSession:
    return sessions.retrieve(SESSION_ID, within_seconds=20)


def test_an_answer_as_stripe_documents_it_is_read(liar: Callable[..., Lying]) -> None:
    liar(session())
    found = retrieve()
    assert (found.session_id, found.account) == (SESSION_ID, "abcdefgh")
    assert (found.status, found.payment_status, found.payment_failed) == ("complete", "paid", False)
    assert (found.amount_cents, found.currency, found.is_live) == (500, "usd", False)


@pytest.mark.parametrize("body", NOT_A_SESSION, ids=lambda body: repr(body[:30]))
def test_what_is_no_session_is_no_answer(liar: Callable[..., Lying], body: bytes) -> None:
    liar(body)
    with pytest.raises(StripeUnavailable):
        retrieve()


@pytest.mark.parametrize("fields", ODD_FIELDS, ids=lambda fields: json.dumps(fields)[:100])
def test_a_session_with_an_odd_field_is_no_answer(
    liar: Callable[..., Lying], fields: dict[str, Any]
) -> None:
    liar(fields)
    with pytest.raises(StripeUnavailable):
        retrieve()


@pytest.mark.parametrize("status", [201, 204, 301, 304, 400, 401, 402, 403, 404, 409, 418, 429])
def test_another_status_with_an_odd_body_is_no_answer(
    liar: Callable[..., Lying], status: int
) -> None:
    for body in (b"", b"{}", b"[]", b"<html></html>", b'{"error": "x"}', b'{"error": {"code": 7}}'):
        liar(body, status=status)
        with pytest.raises(StripeUnavailable):
            retrieve()


def test_a_redirect_that_leads_nowhere_is_no_answer(liar: Callable[..., Lying]) -> None:
    for target in ("/v1/elsewhere", "http://127.0.0.1:9/", "ftp://x", "://"):
        liar(b"", status=302, Location=target)
        with pytest.raises(StripeUnavailable):
            retrieve()


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list"},
        {"object": "list", "data": None, "has_more": False},
        {"object": "list", "data": [7], "has_more": False},
        {"object": "list", "data": [{}], "has_more": False},
        {"object": "list", "data": [], "has_more": True},
        {"object": "list", "data": [], "has_more": None},
        {"object": "list", "data": [{"id": "cs_1"}], "has_more": True},
        session(),
        b"null",
    ],
)
def test_an_odd_list_of_sessions_is_no_answer(
    liar: Callable[..., Lying], body: bytes | dict[str, Any]
) -> None:
    liar(body)
    now = timezone.now()
    with pytest.raises(StripeUnavailable):
        sessions.ids_for(Purchase(), since=now, until=now)


@pytest.mark.parametrize("body", [b"{}", b"null", b"<html></html>", b'{"error": {}}'])
def test_pages_and_workers_go_on(buyer: Buyer, liar: Callable[..., Lying], body: bytes) -> None:
    bought = buyer.bought()
    stored = delivered(bought)
    liar(body)
    assert "Waiting for your payment" in buyer.land(bought).content.decode()
    submission = uuid4()
    answer = buyer.submit(submission=submission)
    assert (answer.status_code, answer["Location"]) == (302, "/account/billing")
    assert "cannot be opened" in buyer.client.get("/account/billing").content.decode()
    assert not events.handle(stored.pk, at=timezone.now())
    stored.refresh_from_db()
    assert stored.error.startswith("Stripe gave no answer")
    open_orders.ask_about_due(at=timezone.now() + timedelta(hours=2))
    assert set(Purchase.objects.values_list("status", flat=True)) == {"pending"}
    assert not Boost.objects.exists()


def test_a_session_of_another_order_is_not_taken_for_ours(
    buyer: Buyer, liar: Callable[..., Lying]
) -> None:
    liar(session(status="open", payment_status="unpaid", url="https://checkout.stripe.com/c/x"))
    assert buyer.submit().status_code == 302
    assert Purchase.objects.get().stripe_session_id is None
