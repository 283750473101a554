"""A CORS preflight is neither charged nor refused for want of a key; nothing else gets through."""

from typing import Any

import pytest

from gate.terms import key_text
from tests.gate.quota_service import QuotaService, assert_problem

ORIGIN = ("Origin", "https://app.example")
METHOD = ("Access-Control-Request-Method", "POST")


def ask(service: QuotaService, method: str, *headers: tuple[str, Any], token: str = "") -> Any:
    """A gateway's question about a request that has no key."""
    sent = [("X-Quota-Service-Token", token or service.token), *headers]
    return service.request(method, "/quota/v1/authorize/v1/chat", headers=sent)


def test_a_preflight_passes_and_names_nobody(service: QuotaService) -> None:
    answer = ask(service, "OPTIONS", ORIGIN, METHOD)
    assert (answer.status_code, answer.content) == (200, b"")
    assert not [name for name in answer.headers if name.startswith(("x-quota", "x-ratelimit"))]
    assert service.remaining["allowance"] == 50


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", []),
        ("OPTIONS", [ORIGIN]),
        ("OPTIONS", [METHOD]),
        ("GET", [ORIGIN, METHOD]),
        ("POST", [ORIGIN, METHOD]),
        ("HEAD", [ORIGIN, METHOD]),
        ("GET", [ORIGIN, METHOD, ("X-Forwarded-Method", "OPTIONS")]),
        ("GET", [ORIGIN, METHOD, ("X-Original-Method", "OPTIONS")]),
        ("POST", [ORIGIN, METHOD, ("X-HTTP-Method-Override", "OPTIONS")]),
        ("OPTIONS", [ORIGIN, METHOD, ("Authorization", "Bearer noise")]),
        ("OPTIONS", [ORIGIN, METHOD, ("Authorization", "")]),
    ],
)
def test_what_only_looks_like_one_needs_a_key(
    service: QuotaService, method: str, headers: list[tuple[str, str]]
) -> None:
    assert ask(service, method, *headers).status_code == 401


def test_with_a_key_it_is_judged_like_any_request(service: QuotaService) -> None:
    answer = service.authorize(ORIGIN, METHOD, method="OPTIONS")
    assert answer.headers["x-quota-account"] == service.world.handle
    assert service.remaining["allowance"] == 49


def test_a_stranger_gets_no_preflight_through(service: QuotaService) -> None:
    answer = ask(service, "OPTIONS", ORIGIN, METHOD, token=key_text.new_service_token())
    assert_problem(answer, 503, "gateway_misconfigured")
