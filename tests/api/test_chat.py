"""POST /api/v1/chat: what it answers, and what it charges."""

import json
from typing import Any

import pytest

from gate.terms import addresses, key_text
from gate.terms.week import week_of
from tests.api.conftest import BILLING_URL, Api
from tests.gate.world import now_ms

PROBLEM = "application/problem+json"


def used_up(api: Api) -> None:
    api.world.grant(used=50, week=week_of(now_ms()))


def test_without_streaming_the_reply_is_one_json_object(api: Api) -> None:
    answer = api.chat()
    assert answer.status_code == 200
    assert answer.json() == {
        "text": "Hello, wörld",
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }
    assert answer.headers["cache-control"] == "no-store"
    assert api.used == 1


def test_with_streaming_the_reply_is_plain_text(api: Api) -> None:
    answer = api.chat(stream=True)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "Hello, wörld"
    assert api.used == 1


def test_every_answer_tells_what_is_left(api: Api) -> None:
    answer = api.chat()
    assert answer.headers["ratelimit-policy"] == '"week";q=50;w=604800'
    assert answer.headers["ratelimit"].startswith('"week";r=49;t=')
    assert answer.headers["x-ratelimit-limit"] == "50"
    assert answer.headers["x-ratelimit-remaining"] == "49"
    assert int(answer.headers["x-ratelimit-reset"]) > now_ms() / 1000


def test_the_model_is_asked_what_the_customer_asked(api: Api) -> None:
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "What is a key?", "name": "ignored"},
    ]
    api.request(json={"messages": messages, "model": "big"})
    (asked,) = api.model_server.requests
    assert asked["model"] == "big"
    assert asked["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "What is a key?"},
    ]
    assert api.model_server.authorization == ["Bearer model-key"]


def test_the_house_model_is_asked_unless_another_is_named(api: Api) -> None:
    api.chat()
    assert api.model_server.requests[0]["model"] == "house-model"


def test_the_demo_model_answers_and_says_that_it_is_one(api: Api) -> None:
    api.uses_demo = True
    answer = api.chat("What is a key?").json()
    assert "built-in demo model" in answer["text"]
    assert "What is a key?" in answer["text"]
    assert answer["usage"]["prompt_tokens"] == 4


def test_a_key_can_ask_what_is_left_for_nothing(api: Api) -> None:
    api.world.grant(boosts=(api.world.boost(1, 5, hours=24 * 365 * 100),), credits=9)
    api.chat()
    answer = api.request(method="GET", path="/api/v1/quota")
    assert answer.status_code == 200
    body = answer.json()
    assert body["plan"] == "free"
    assert body["week"]["cap"] == 50
    assert body["week"]["used"] == 1
    assert body["week"]["resets_at"].endswith("T00:00:00Z")
    assert body["remaining"] == {"allowance": 49, "boost": 5, "credits": 9, "chats": 58}
    assert answer.headers["x-ratelimit-remaining"] == "58"
    assert api.used == 1


def test_asking_what_is_left_works_when_nothing_is(api: Api) -> None:
    used_up(api)
    answer = api.request(method="GET", path="/api/v1/quota")
    assert answer.status_code == 200
    assert answer.json()["remaining"]["chats"] == 0


def test_asking_what_is_left_needs_a_key(api: Api) -> None:
    answer = api.request(key="sk_nonsense", method="GET", path="/api/v1/quota")
    assert answer.status_code == 401


# --- what is refused ------------------------------------------------------------------------


def test_past_the_cap_the_answer_says_what_to_do(api: Api) -> None:
    used_up(api)
    answer = api.chat()
    assert answer.status_code == 429
    assert answer.headers["content-type"] == PROBLEM
    assert 0 < int(answer.headers["retry-after"]) <= 7 * 24 * 3600
    assert answer.headers["x-ratelimit-remaining"] == "0"
    problem = answer.json()
    assert problem["status"] == 429
    assert problem["code"] == "quota_exhausted"
    assert problem["billing_url"] == BILLING_URL
    assert problem["resets_at"].endswith("T00:00:00Z")
    assert "Buy a Weekly Boost or credits" in problem["detail"]
    assert api.model_server.requests == []


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic c2tfOnNr",
        "Bearer sk_short",
        "Bearer sk_" + "é" * 46,
        "Token {key}",
        "{key}",
        "Bearer {key}x",
        "Bearer " + "a" * 8_000,
    ],
)
def test_a_request_without_a_valid_key_is_401(api: Api, authorization: str | None) -> None:
    headers = (
        {"Authorization": authorization.replace("{key}", api.world.key).encode("utf-8")}
        if authorization is not None
        else {"Authorization": b""}
    )
    answer = api.request(json={"messages": []}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'
    assert answer.json()["code"] == "invalid_key"


def test_unknown_and_revoked_keys_look_alike(api: Api) -> None:
    unknown = api.request(key=key_text.new_api_key("Unknown0"), json={"messages": []})
    api.world.grant(keys=(api.world.key_state(version=2, is_active=False),))
    revoked = api.chat()
    assert unknown.status_code == revoked.status_code == 401
    assert unknown.content == revoked.content


def test_a_stranger_learns_nothing_about_the_body(api: Api) -> None:
    answer = api.request(key=key_text.new_api_key(api.world.handle), content=b"{")
    assert answer.status_code == 401


def test_a_suspended_account_is_403(api: Api) -> None:
    api.world.grant(suspended=True)
    answer = api.chat()
    assert answer.status_code == 403
    assert answer.json()["code"] == "not_permitted"


@pytest.mark.parametrize(
    ("network", "forwarded", "trusted_proxies", "status"),
    [
        ("127.0.0.0/8", None, 0, 200),
        ("192.0.2.0/24", None, 0, 401),
        # A header that no trusted proxy wrote says nothing.
        ("192.0.2.0/24", "192.0.2.9", 0, 401),
        ("192.0.2.0/24", "192.0.2.9", 1, 200),
        ("192.0.2.0/24", "192.0.2.9, 198.51.100.1", 1, 401),
        ("192.0.2.0/24", "192.0.2.9, 198.51.100.1", 2, 200),
        ("192.0.2.0/24", "nonsense", 1, 401),
        ("192.0.2.0/24", None, 1, 401),
    ],
)
def test_a_key_bound_to_addresses_works_only_from_there(
    api: Api, network: str, forwarded: str | None, trusted_proxies: int, status: int
) -> None:
    bound = (addresses.network_to_hex(network),)
    api.world.grant(keys=(api.world.key_state(version=2, addresses=bound),))
    api.trusted_proxies = trusted_proxies
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert api.chat(headers=headers).status_code == status
    assert api.request(method="GET", path="/api/v1/quota", headers=headers).status_code == status


BAD_BODIES: list[tuple[Any, str]] = [
    ({}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [1]}, "messages[0]"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "x"}] * 1_001}, "messages"),
    ({"messages": [{"role": "user", "content": "x"}], "stream": "yes"}, "stream"),
    ({"messages": [{"role": "user", "content": "x"}], "stream": 1}, "stream"),
    ({"messages": [{"role": "user", "content": "x"}], "model": ""}, "model"),
    ({"messages": [{"role": "user", "content": "x"}], "model": 3}, "model"),
    ([], "body"),
]


@pytest.mark.parametrize(("body", "field"), BAD_BODIES)
def test_bad_input_is_400_and_names_the_field(api: Api, body: Any, field: str) -> None:
    answer = api.request(json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["code"] == "invalid_request"
    assert answer.json()["field"] == field
    assert api.used == 0


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff", "body"),
        (b"NaN", "body"),
        (b"[" * 100_000, "body"),
        (b'{"messages": [], "messages": []}', "messages"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "body"),
    ],
)
def test_what_is_not_json_is_400(api: Api, raw: bytes, field: str) -> None:
    answer = api.request(content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["field"] == field


def test_another_content_type_is_415(api: Api) -> None:
    answer = api.request(content=b"hello", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_a_huge_body_is_413(api: Api) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 3_000_000}]})
    answer = api.request(content=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert api.used == 0


def test_other_methods_and_addresses_are_told_apart(api: Api) -> None:
    assert api.request(method="GET").status_code == 405
    assert api.request(path="/api/v1/nonsense").status_code == 404


# --- a model that fails ---------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_model_that_fails_at_once_is_502_and_costs_nothing(
    api: Api, status: int, stream: bool
) -> None:
    api.model_server.status = status
    answer = api.chat(stream=stream)
    assert answer.status_code == 502
    assert answer.json()["code"] == "model_failed"
    assert api.used == 0


@pytest.mark.parametrize("ending", ["cut", "error", "nonsense"])
def test_a_model_that_fails_halfway_costs_nothing(api: Api, ending: str) -> None:
    api.model_server.ending = ending
    answer = api.chat(stream=False)
    assert answer.status_code == 502
    assert api.used == 0


def test_a_model_that_is_not_there_is_502_and_costs_nothing(api: Api) -> None:
    api.model_server.url = "http://127.0.0.1:9/v1"
    assert api.chat().status_code == 502
    assert api.used == 0


def test_an_empty_reply_is_a_reply(api: Api) -> None:
    api.model_server.pieces = []
    answer = api.chat(stream=True)
    assert (answer.status_code, answer.text) == (200, "")
    assert api.used == 1
