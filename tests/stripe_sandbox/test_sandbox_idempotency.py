"""What the same idempotency key gets again, as Stripe does it."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.stripe_sandbox.running_sandbox import Running
from tests.stripe_sandbox.subscriber import new_customer, save_card, switch


def send(sandbox: Running, path: str, key: str, **data: Any) -> httpx.Response:
    return sandbox.raw("POST", path, data=data, headers={"Idempotency-Key": key})


def declined_charge(sandbox: Running) -> dict[str, Any]:
    """What is sent to charge a card that will be declined."""
    ada = new_customer(sandbox)
    method = save_card(sandbox, ada, "4000000000000341")
    return {
        "amount": "1000",
        "currency": "usd",
        "customer": ada.id,
        "payment_method": method.id,
        "off_session": "true",
        "confirm": "true",
    }


def is_replayed(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("Idempotent-Replayed") == "true")


def test_a_declined_card_is_declined_again_and_charged_once(sandbox: Running) -> None:
    wanted = declined_charge(sandbox)
    first = send(sandbox, "/v1/payment_intents", "top-up-1", **wanted)
    again = send(sandbox, "/v1/payment_intents", "top-up-1", **wanted)
    assert (first.status_code, again.status_code) == (402, 402)
    assert (is_replayed(first), is_replayed(again)) == (False, True)
    assert again.json() == first.json()
    assert again.headers["Original-Request"] == first.headers["Request-Id"]
    assert len(sandbox.api.v1.charges.list().data) == 1
    other = send(sandbox, "/v1/payment_intents", "top-up-2", **wanted)
    assert (other.status_code, is_replayed(other)) == (402, False)
    assert len(sandbox.api.v1.charges.list().data) == 2


def test_a_state_that_forbids_it_is_replayed_and_a_bad_parameter_is_not(sandbox: Running) -> None:
    session = sandbox.session()
    path = f"/v1/checkout/sessions/{session.id}/expire"
    assert send(sandbox, path, "expire-1").status_code == 200
    refused = send(sandbox, path, "expire-2")
    assert (refused.status_code, is_replayed(send(sandbox, path, "expire-2"))) == (400, True)
    for _ in range(2):
        bad = send(sandbox, "/v1/customers", "customer-1", email="nobody")
        assert (bad.status_code, is_replayed(bad)) == (400, False)
    assert send(sandbox, "/v1/customers", "customer-1", email="a@example.com").status_code == 200


def test_a_failure_of_stripes_own_is_replayed_and_a_full_queue_is_not(sandbox: Running) -> None:
    switch(sandbox, refuse={"times": 1, "status": 500})
    failed = send(sandbox, "/v1/customers", "customer-1", name="Ada")
    assert (failed.status_code, failed.json()["error"]["type"]) == (500, "api_error")
    again = send(sandbox, "/v1/customers", "customer-1", name="Ada")
    assert (again.status_code, is_replayed(again)) == (500, True)
    assert sandbox.api.v1.customers.list().data == []
    switch(sandbox, refuse={"times": 1, "status": 429})
    busy = send(sandbox, "/v1/customers", "customer-2", name="Ada")
    assert (busy.status_code, busy.json()["error"]["code"]) == (429, "rate_limit")
    later = send(sandbox, "/v1/customers", "customer-2", name="Ada")
    assert (later.status_code, is_replayed(later)) == (200, False)


def test_a_failure_may_come_after_the_work_was_done(sandbox: Running) -> None:
    switch(sandbox, refuse={"times": 1, "status": 500, "after_acting": True})
    assert send(sandbox, "/v1/customers", "customer-1", name="Ada").status_code == 500
    assert [one.name for one in sandbox.api.v1.customers.list().data] == ["Ada"]


def test_a_key_that_is_still_in_use_is_a_409(sandbox: Running) -> None:
    switch(sandbox, hang={"times": 1, "seconds": 1.5, "only": ["POST /v1/customers"]})
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(
            httpx.post,
            f"{sandbox.origin}/sandbox/stripe/v1/customers",
            data={"name": "Ada"},
            headers={**sandbox.authorization, "Idempotency-Key": "customer-1"},
        )
        deadline = time.monotonic() + 5
        while not sandbox.api.v1.customers.list().data and time.monotonic() < deadline:
            time.sleep(0.02)
        in_use = send(sandbox, "/v1/customers", "customer-1", name="Ada")
        assert in_use.status_code == 409
        assert in_use.json()["error"]["code"] == "idempotency_key_in_use"
        assert not first.done()
        answered = first.result(timeout=10)
    assert answered.status_code == 200
    replayed = send(sandbox, "/v1/customers", "customer-1", name="Ada")
    assert replayed.json() == answered.json()
    assert len(sandbox.api.v1.customers.list().data) == 1


@pytest.mark.parametrize("key", ["k" * 256])
def test_a_key_has_its_bounds(shared_sandbox: Running, key: str) -> None:
    assert send(shared_sandbox, "/v1/customers", key, name="Ada").status_code == 400
