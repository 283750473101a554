"""POST /api/v1/chat: what it answers, and what it charges."""

import gzip
import json
from typing import Any

import pytest

from gate.terms import addresses, key_text
from gate.terms.spending import NO_LIMITS, PastAllowance, Spending
from gate.terms.week import week_of
from tests.api.conftest import BILLING_URL, Api, offered
from tests.gate.world import now_ms

PROBLEM = "application/problem+json"


def used_up(api: Api) -> None:
    api.world.grant(used=50, week=week_of(now_ms()))


def test_without_streaming_the_reply_is_one_json_object(api: Api) -> None:
    answer = api.chat()
    assert answer.status_code == 200
    assert answer.json() == {
        "text": "Hello, wörld",
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 7,
            "finish_reason": "stop",
        },
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
    asked = {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "What is a key?", "name": "ann"},
        ],
        "temperature": 0.5,
        "top_p": 1,
        "max_tokens": 20,
        "stop": ["."],
        "response_format": {"type": "json_object"},
    }
    api.request(json={**asked, "stream": None})
    (found,) = api.model_server.requests
    assert {name: found[name] for name in asked} == asked
    assert found["model"] == "house-model"
    assert api.model_server.authorization == ["Bearer model-key"]


def test_the_demo_model_answers_and_says_that_it_is_one(api: Api) -> None:
    api.models = [offered("demo")]
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


@pytest.mark.parametrize(
    ("spending", "remaining", "said"),
    [
        (
            Spending(credits_a_week=3),
            {"allowance": 0, "boost": 5, "credits": 3, "chats": 6},
            {"past_allowance": "boosts_and_credits", "credits": 3, "units_a_request": None},
        ),
        (
            Spending(past_allowance=PastAllowance.NOTHING, units_a_request=4),
            {"allowance": 0, "boost": 0, "credits": 0, "chats": 0},
            {"past_allowance": "nothing", "credits": None, "units_a_request": 4},
        ),
    ],
)
def test_what_is_left_is_what_account_and_key_let_be_spent(
    api: Api, spending: Spending, remaining: dict[str, int], said: dict[str, Any]
) -> None:
    used_up(api)
    boost = api.world.boost(1, 5, hours=24 * 365 * 100)
    api.world.grant(boosts=(boost,), credits=9, spending=spending)
    body = api.request(method="GET", path="/api/v1/quota").json()
    assert (body["remaining"], body["credits"]) == (remaining, 9)
    assert body["spending"] == said


@pytest.mark.parametrize("whose", ["account", "key"])
def test_a_choice_that_refuses_is_told_with_its_page_and_asks_no_model(
    api: Api, whose: str
) -> None:
    used_up(api)
    stop = Spending(past_allowance=PastAllowance.NOTHING)
    state = api.world.key_state(version=2, spending=stop if whose == "key" else NO_LIMITS)
    api.world.grant(keys=(state,), spending=NO_LIMITS if whose == "key" else stop, credits=100)
    answer = api.chat()
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (429, "spending_stopped")
    assert problem["spending_url"].endswith(
        "/account/keys/7/spending" if whose == "key" else "/account/billing/spending"
    )
    assert problem["error"]["code"] == "spending_stopped"
    assert answer.headers["x-should-retry"] == "false"
    assert 0 < int(answer.headers["retry-after"]) <= 7 * 24 * 3600
    assert api.model_server.requests == []


def test_a_request_that_is_too_large_is_no_fault_of_the_server(api: Api) -> None:
    api.world.grant(spending=Spending(units_a_request=1))
    asked = {"messages": [{"role": "user", "content": "Hi"}], "n": 2}
    answer = api.request(path="/api/v1/chat/completions", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (403, "request_too_large")


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


HELLO = {"messages": [{"role": "user", "content": "x"}]}


def message(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x", **more}]}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


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
    ({**HELLO, "temperature": 3}, "temperature"),
    ({**HELLO, "temperature": "hot"}, "temperature"),
    ({**HELLO, "top_p": -0.1}, "top_p"),
    ({**HELLO, "max_tokens": 0}, "max_tokens"),
    ({**HELLO, "max_tokens": 1.5}, "max_tokens"),
    ({**HELLO, "stop": ["a"] * 5}, "stop"),
    ({**HELLO, "stop": ""}, "stop"),
    ({**HELLO, "response_format": "json"}, "response_format"),
    ({**HELLO, "temprature": 1}, "temprature"),
    ({**HELLO, "tools": []}, "tools"),
    ({**HELLO, "n": 2}, "n"),
    (message(name=""), "messages[0].name"),
    (message(mood="good"), "messages[0].mood"),
    (message(content=[]), "messages[0].content"),
    (message(content=[{"type": "text"}]), "messages[0].content[0].text"),
    (message(content=[{"type": "audio"}]), "messages[0].content[0].type"),
    (message(content=[{"type": "text", "text": "x", "y": 1}]), "messages[0].content[0].y"),
    (message(content=[{"type": "image_url"}]), "messages[0].content[0].image_url"),
    (message(content=[image("file:///etc/passwd")]), "messages[0].content[0].image_url.url"),
    (message(role="tool"), "messages[0].tool_call_id"),
    (message(role="assistant", content=None), "messages[0].content"),
    (message(role="assistant", tool_calls=[{}]), "messages[0].tool_calls[0]"),
    (message(role="function"), "messages[0].role"),
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


def test_a_member_that_was_nearly_meant_is_named(api: Api) -> None:
    answer = api.request(json={**HELLO, "temprature": 1})
    assert "Did you mean “temperature”?" in answer.json()["detail"]


def test_a_compressed_body_is_415_and_a_mark_before_it_is_none_of_it(api: Api) -> None:
    body = json.dumps(HELLO).encode()
    packed = api.request(content=gzip.compress(body), headers={"Content-Encoding": "gzip"})
    assert packed.status_code == 415
    assert api.request(content=b"\xef\xbb\xbf" + body).status_code == 200


def test_parts_of_text_and_pictures_are_passed_on(api: Api) -> None:
    parts = [{"type": "text", "text": "What is it?"}, image("https://pictures.example/1.png")]
    messages = [
        {"role": "user", "content": parts},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ]
    assert api.request(json={"messages": messages}).status_code == 200
    assert api.model_server.requests[0]["messages"] == messages


def test_an_error_says_the_same_to_clients_of_openai(api: Api) -> None:
    answer = api.request(json={**HELLO, "temperature": 3}).json()
    assert answer["error"] == {
        "message": answer["detail"],
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "invalid_request",
    }


def test_waiting_for_a_new_week_is_not_tried_again_at_once(api: Api) -> None:
    used_up(api)
    assert api.chat().headers["x-should-retry"] == "false"
