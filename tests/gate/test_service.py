"""POST /quota/v1/check: what it reads, and what it answers."""

import asyncio
from collections.abc import Sequence
from statistics import median
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from gate.service.trust import Trust
from gate.terms import key_text
from gate.terms.week import WEEK_MS
from tests.gate.quota_service import RATE_HEADERS, QuotaService, assert_problem
from tests.gate.world import PEPPER, now_ms


def test_a_decision_says_all_of_it(service: QuotaService) -> None:
    service.use_up(49)
    service.world.grant(boosts=(service.boost(1, 2),), credits=5)
    answer = service.check(units=4)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.pop("charge_id").startswith("ch_")
    resets_at = body.pop("resets_at")
    assert resets_at.endswith("T00:00:00Z")
    assert body == {
        "allowed": True,
        "reason": "ok",
        "account": service.world.handle,
        "key_id": 7,
        "plan": "free",
        "paid_by": {"allowance": 1, "boost": 2, "credits": 2},
        "remaining": {"allowance": 0, "boost": 0, "credits": 3},
        "retry_after": None,
    }


def test_a_refusal_says_when_to_come_again(service: QuotaService) -> None:
    service.use_up()
    body = service.check().json()
    assert (body["allowed"], body["reason"]) == (False, "quota_exhausted")
    assert body["charge_id"] is None
    assert body["paid_by"] == {"allowance": 0, "boost": 0, "credits": 0}
    assert 0 < body["retry_after"] <= WEEK_MS // 1000


def test_a_meter_costs_what_the_catalogue_says(service: QuotaService) -> None:
    assert service.check(meter="images", units=2).json()["paid_by"]["allowance"] == 8


def test_every_decision_has_rate_headers(service: QuotaService) -> None:
    for answer in (service.check(), service.check(units=0), service.check(units=10_000)):
        assert answer.headers.keys() >= RATE_HEADERS
        assert answer.headers["x-ratelimit-limit"] == "50"
        assert answer.headers["x-ratelimit-remaining"] == "49"
        assert answer.headers["ratelimit-policy"] == '"week";q=50;w=604800'
        assert answer.headers["ratelimit"].startswith('"week";r=49;t=')
        assert int(answer.headers["x-ratelimit-reset"]) > now_ms() / 1000


def test_credits_owed_are_no_chats_left(service: QuotaService) -> None:
    service.world.grant(credits=-7)
    answer = service.check()
    assert answer.json()["remaining"]["credits"] == -7
    assert answer.headers["x-ratelimit-remaining"] == "49"


def test_an_unlimited_plan_has_no_limit_to_tell(service: QuotaService) -> None:
    service.world.grant(plan="pro")
    answer = service.check(units=10_000)
    assert answer.json()["remaining"]["allowance"] is None
    assert not RATE_HEADERS & answer.headers.keys()


def test_no_units_never_charge(service: QuotaService) -> None:
    body = service.check(units=0).json()
    assert (body["allowed"], body["charge_id"]) == (True, None)
    first = service.check(units=0, request_id="look").json()
    assert first["remaining"]["allowance"] == 50
    # A look is not remembered: the id is still free for a charge.
    assert service.check(units=1, request_id="look").json()["remaining"]["allowance"] == 49


def test_a_suspended_account_is_refused(service: QuotaService) -> None:
    service.world.grant(suspended=True)
    answer = service.check()
    assert answer.status_code == 200
    body = answer.json()
    assert (body["allowed"], body["reason"], body["retry_after"]) == (False, "suspended", None)
    assert body["charge_id"] is None


# --- who may ask ----------------------------------------------------------------------------

TOKENS = [
    None,
    "",
    "Bearer",
    "Bearer svc_short",
    "Bearer {unknown}",
    "Bearer {token}x",
    "Bearer {token} {token}",
    "Basic {token}",
    "{token}",
    "Bearer svc_" + "a" * 10_000,
    "Bearer svc_é",
]


@pytest.mark.parametrize("authorization", TOKENS)
@pytest.mark.parametrize("path", ["check", "check/batch", "settle", "refund"])
def test_without_a_service_token_there_is_no_answer(
    service: QuotaService, authorization: str | None, path: str
) -> None:
    headers = {"Content-Type": "application/json"}
    sent: dict[str, str | bytes] = dict(headers)
    if authorization is not None:
        text = authorization.replace("{token}", service.token)
        sent["Authorization"] = text.replace("{unknown}", key_text.new_service_token()).encode()
    answer = service.request("POST", f"/quota/v1/{path}", headers=sent, content=b"{")
    assert_problem(answer, 401, "invalid_service_token")
    assert answer.headers["www-authenticate"] == 'Bearer realm="quota"'


def test_two_authorizations_are_none(service: QuotaService) -> None:
    authorization = ("Authorization", f"Bearer {service.token}")
    answer = service.request(
        "POST", "/quota/v1/check", headers=[authorization, authorization], json={}
    )
    assert_problem(answer, 401, "invalid_service_token")


def test_an_api_key_is_no_service_token(service: QuotaService) -> None:
    answer = service.post("check", {"key": service.world.key}, token=service.world.key)
    assert_problem(answer, 401, "invalid_service_token")


def test_the_scheme_is_read_in_any_case(service: QuotaService) -> None:
    words = service.words({"key": service.world.key})
    words["headers"]["Authorization"] = f"bEARER {service.token}"
    assert service.request("POST", "/quota/v1/check", **words).status_code == 200


@pytest.mark.slow
@pytest.mark.alone
def test_a_revoked_token_is_refused_within_five_seconds(service: QuotaService) -> None:
    async def story(client: httpx.AsyncClient) -> float:
        words = service.words({"key": service.world.key, "units": 0})
        assert (await client.post("/quota/v1/check", **words)).status_code == 200
        service.tokens.clear()
        clock = asyncio.get_running_loop().time
        revoked_at = clock()
        while clock() - revoked_at < 6:
            if (await client.post("/quota/v1/check", **words)).status_code == 401:
                return clock() - revoked_at
            await asyncio.sleep(0.05)
        raise AssertionError

    assert service.tell(story) < 5


def test_a_new_token_is_accepted(service: QuotaService) -> None:
    token = key_text.new_service_token()
    service.tokens[key_text.digest(token, PEPPER)] = Trust()
    assert service.post("check", {"key": service.world.key}, token=token).status_code == 200


# --- request ids ----------------------------------------------------------------------------


def test_a_request_id_that_comes_again_gets_the_first_answer(service: QuotaService) -> None:
    first = service.check(units=3, request_id="order 1")
    again = service.check(units=3, request_id="order 1")
    assert again.json() == first.json()
    assert service.remaining["allowance"] == 47


@pytest.mark.parametrize("other", [{"units": 2}, {"meter": "images"}, {"hold_seconds": 60}])
def test_a_request_id_for_something_else_is_a_conflict(
    service: QuotaService, other: dict[str, Any]
) -> None:
    service.check(request_id="order 1")
    answer = service.check(request_id="order 1", **other)
    assert_problem(answer, 409, "request_id_conflict", "request_id")
    assert service.remaining["allowance"] == 49


def test_a_refusal_is_not_remembered(service: QuotaService) -> None:
    service.use_up()
    assert not service.check(request_id="order 1").json()["allowed"]
    service.world.grant(credits=2)
    service.push()
    assert service.check(request_id="order 1").json()["paid_by"]["credits"] == 2


# --- when no decision can be made -----------------------------------------------------------


def test_without_valkey_nothing_passes(service: QuotaService, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    for answer in (
        service.check(),
        service.check(units=0),
        service.authorize(),
    ):
        assert_problem(answer, 503, "quota_unavailable")
        assert int(answer.headers["retry-after"]) > 0


def test_without_postgresql_a_cold_account_does_not_pass(
    service: QuotaService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(handles: Sequence[str]) -> None:
        raise OSError("refused")

    monkeypatch.setattr(service.world, "load_accounts", broken)
    assert_problem(service.check(), 503, "quota_unavailable")
    monkeypatch.undo()
    assert service.check().json()["remaining"]["allowance"] == 49
    assert "OSError" in caplog.text


def test_tokens_that_cannot_be_read_are_not_wrong(
    service: QuotaService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> dict[str, Trust]:
        raise OSError("refused")

    monkeypatch.setattr(service, "load_tokens", broken)
    assert_problem(service.check(), 503, "quota_unavailable")
    assert_problem(service.authorize(), 503, "quota_unavailable")
    # What cannot be a token is refused whatever PostgreSQL would say.
    answer = service.post("check", {"key": service.world.key}, token="svc_no")
    assert_problem(answer, 401, "invalid_service_token")


@pytest.mark.alone
@pytest.mark.slow
def test_a_database_that_hangs_does_not_stop_the_checks(service: QuotaService) -> None:
    hangs = False
    load_tokens = service.load_tokens

    async def load() -> dict[str, Trust]:
        if hangs:
            await asyncio.sleep(60)
        return await load_tokens()

    service.load_tokens = load  # type: ignore[method-assign]

    async def story(client: httpx.AsyncClient) -> None:
        nonlocal hangs
        words = service.words({"key": service.world.key})
        assert (await client.post("/quota/v1/check", **words)).status_code == 200
        hangs = True
        clock = asyncio.get_running_loop().time
        ends_at = clock() + 3
        took = []
        while clock() < ends_at:
            asked_at = clock()
            assert (await client.post("/quota/v1/check", **words)).status_code == 200
            took.append(clock() - asked_at)
            await asyncio.sleep(0.1)
        # A moment in which the machine does something else says nothing of the database.
        assert median(took) < 0.6

    service.tell(story)


def test_a_bug_is_500_and_tells_nothing(
    service: QuotaService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("gate.service.checking.read_check", broken)
    answer = service.check()
    assert_problem(answer, 500, "internal_error")
    assert b"secret" not in answer.content
    assert "RuntimeError" in caplog.text
    assert service.world.key not in caplog.text
