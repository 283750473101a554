"""GET /quota/v1/authorize: the decision as gateways ask for it."""

from typing import Any

import pytest

from gate.terms import key_text
from tests.gate.quota_service import (
    BILLING_URL,
    RATE_HEADERS,
    QuotaService,
    assert_problem,
)


def test_what_is_allowed_is_charged_and_says_to_whom(service: QuotaService) -> None:
    answer = service.authorize()
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-quota-account"] == service.world.handle
    assert answer.headers["x-quota-key"] == "7"
    assert answer.headers["x-quota-charge"].startswith("ch_")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.keys() >= RATE_HEADERS
    assert answer.headers["x-ratelimit-remaining"] == "49"
    assert service.remaining["allowance"] == 49


def test_the_charge_can_be_given_back(service: QuotaService) -> None:
    charge_id = service.authorize().headers["x-quota-charge"]
    assert service.post("refund", {"charge_id": charge_id}).json()["refunded"]
    assert service.remaining["allowance"] == 50


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["", "/", "/v1/things/7", "/v1/things?key=sk_x"])
def test_any_method_and_path_of_the_customer_is_judged(
    service: QuotaService, method: str, path: str
) -> None:
    assert service.authorize(method=method, path=path).status_code == 200
    assert service.authorize(method=method, path=path, key="noise").status_code == 401
    assert service.remaining["allowance"] == 49


def test_a_longer_word_is_another_address(service: QuotaService) -> None:
    assert service.authorize(path="d").status_code == 404


# --- the gateway ----------------------------------------------------------------------------


def test_the_service_token_is_no_customer(service: QuotaService) -> None:
    assert_problem(service.authorize(key=service.token), 401, "invalid_key")


def test_two_authorizations_are_none(service: QuotaService) -> None:
    answer = service.authorize(("Authorization", f"Bearer {service.world.key}"))
    assert_problem(answer, 401, "invalid_key")
    assert service.remaining["allowance"] == 50


# --- the customer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Basic {key}", "{key}", "Bearer {key}x", "Bearer é" + "a" * 48],
)
def test_without_a_key_the_customer_is_401(
    service: QuotaService, authorization: str | None
) -> None:
    headers: list[tuple[str, Any]] = [("X-Quota-Service-Token", service.token)]
    if authorization is not None:
        text = authorization.replace("{key}", service.world.key)
        headers.append(("Authorization", text.encode()))
    answer = service.request("GET", "/quota/v1/authorize", headers=headers)
    assert_problem(answer, 401, "invalid_key")
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'


def test_unknown_revoked_and_expired_keys_look_alike(service: QuotaService) -> None:
    answers = [
        service.authorize(key=key_text.new_api_key(key_text.new_handle())),
        service.authorize(key=key_text.new_api_key(service.world.handle)),
        service.authorize(key="noise"),
    ]
    limited: list[dict[str, Any]] = [{"is_active": False}, {"expires_ms": 1}]
    for version, limits in enumerate(limited, start=2):
        changed = service.world.key_state(version=version, **limits)
        service.world.grant(keys=(changed,))
        service.push()
        answers.append(service.authorize())
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert len({str(answer.headers) for answer in answers}) == 1


def test_past_the_cap_the_customer_is_429(service: QuotaService) -> None:
    service.use_up()
    answer = service.authorize()
    problem = assert_problem(answer, 429, "quota_exhausted")
    assert 0 < int(answer.headers["retry-after"]) <= 7 * 24 * 3600
    assert answer.headers.keys() >= RATE_HEADERS
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert problem["billing_url"] == BILLING_URL
    assert problem["resets_at"].endswith("T00:00:00Z")


def test_past_the_cap_of_the_key_the_customer_is_429(service: QuotaService) -> None:
    service.world.grant(
        plan="pro", keys=(service.world.key_state(version=2, weekly_cap=1),), credits=5
    )
    assert service.authorize().status_code == 200
    answer = service.authorize()
    problem = assert_problem(answer, 429, "key_cap_reached")
    assert "1 chats a week and has used 1" in problem["detail"]
    assert answer.headers["x-ratelimit-limit"] == "1"
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("limits", "headers", "status"),
    [
        ({"scopes": ("images",)}, [], 403),
        ({"scopes": ("images",)}, [("X-Quota-Meter", "images")], 200),
    ],
)
def test_a_key_with_scopes_is_403_for_other_meters(
    service: QuotaService, limits: dict[str, Any], headers: list[tuple[str, str]], status: int
) -> None:
    service.world.grant(keys=(service.world.key_state(version=2, **limits),))
    answer = service.authorize(*headers)
    assert answer.status_code == status
    if status == 403:
        assert_problem(answer, 403, "not_permitted")
        assert answer.headers.keys() >= RATE_HEADERS


def test_a_suspended_account_is_403(service: QuotaService) -> None:
    service.world.grant(suspended=True)
    answer = service.authorize()
    assert_problem(answer, 403, "not_permitted")
    assert answer.headers.keys() >= RATE_HEADERS


def test_a_meter_is_charged_at_its_cost(service: QuotaService) -> None:
    answer = service.authorize(("X-Quota-Meter", "images"))
    assert answer.headers["x-ratelimit-remaining"] == "46"


# --- request ids ----------------------------------------------------------------------------


def test_the_request_id_of_a_customer_makes_nothing_free(service: QuotaService) -> None:
    charges = {
        service.authorize(("X-Request-Id", "order 1")).headers["x-quota-charge"] for _ in range(3)
    }
    assert len(charges) == 3
    assert service.remaining["allowance"] == 47
