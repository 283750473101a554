"""Sessions, driven by the official client."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from stripe_sandbox.objects import API_VERSION
from tests.stripe_sandbox.running_sandbox import BOOST, KEY, MOUNT, Running, boost


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
        shared_sandbox.raw("GET", "/v1/coupons").json()["error"]["type"] == "invalid_request_error"
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
