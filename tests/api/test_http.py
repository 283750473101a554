"""Methods, addresses and browsers: nobody pays for asking what may be asked."""

import pytest

from tests.api.conftest import Api

ORIGIN = "https://app.example"


def test_other_methods_and_addresses_are_told_apart(api: Api) -> None:
    wrong = api.request(method="GET")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["code"] == "method_not_allowed"
    nothing = api.request(path="/api/v1/nonsense")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")
    assert api.request(path="/api/v1/chat/").status_code == 404


@pytest.mark.parametrize("path", ["quota", "models", "openapi.json"])
def test_head_works_where_get_does(api: Api, path: str) -> None:
    answer = api.request(method="HEAD", path=f"/api/v1/{path}")
    assert answer.status_code == 200


def test_head_and_options_cost_nothing(api: Api) -> None:
    assert api.request(method="HEAD").status_code == 405
    options = api.request(method="OPTIONS")
    assert (options.status_code, options.headers["allow"]) == (204, "POST, OPTIONS")
    assert api.used == 0


def preflight(api: Api) -> dict[str, str]:
    answer = api.request(
        method="OPTIONS",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )
    return dict(answer.headers)


def test_no_page_may_ask_unless_the_operator_says_so(api: Api) -> None:
    assert "access-control-allow-origin" not in preflight(api)
    assert "access-control-allow-origin" not in api.chat(headers={"Origin": ORIGIN}).headers


def test_an_allowed_page_may_ask(api: Api) -> None:
    api.cors_origins = [ORIGIN]
    allowed = preflight(api)
    assert allowed["access-control-allow-origin"] == ORIGIN
    assert "authorization" in allowed["access-control-allow-headers"].lower()
    answer = api.chat(headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "RateLimit" in answer.headers["access-control-expose-headers"]
    other = api.chat(headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
