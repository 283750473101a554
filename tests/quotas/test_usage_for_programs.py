"""GET /api/v1/usage: programs read what the page shows, by a key that may."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from openapi_schema_validator import OAS31Validator

from accounts.models import Account, User
from api.openapi import DOCUMENT
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.scopes import READ_USAGE
from quotas.usage import drain, refusals
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "/api/v1/usage"


@pytest.fixture
def reader(account: Account, owner: User, plans: None) -> str:
    """A key that may read usage, and nothing else."""
    limits = KeyLimits(scopes=(READ_USAGE,), weekly_cap=0)
    return issue_api_key(
        account=account, name="dashboard", submission=uuid4(), by=owner, limits=limits
    )[1]


def read(key: str | None, query: str = "", **more: str) -> Any:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return Client(headers={**headers, **more}).get(f"{ADDRESS}?{query}")


def test_it_says_what_the_page_shows_to_the_last_second(
    account: Account, key: str, reader: str, gate: LiveGate
) -> None:
    fund(account)
    gate.use(key, 60)
    drain.move_all()
    gate.use(key, 40)
    answer = read(reader)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["chats"] == 100
    assert told["credits"] == 40
    (bar,) = [bar for bar in told["bars"] if bar["chats"]]
    assert (bar["allowance"], bar["boost"], bar["credits"]) == (50, 30, 20)
    laptop = ApiKey.objects.get(name="laptop")
    assert told["parts"] == [{"id": laptop.pk, "name": "laptop", "chats": 100, "credits": 40}]
    assert answer["Cache-Control"].count("no-store") == 1


def test_bars_are_of_the_zone_and_span_that_are_asked_for(
    account: Account, key: str, reader: str, gate: LiveGate
) -> None:
    told = read(reader, "from=2026-03-29&to=2026-03-29&zone=Europe/Berlin&by=meter").json()
    assert len(told["bars"]) == 23
    assert told["bars"][0]["starts_at"] == "2026-03-29T00:00:00+01:00"
    assert told["starts_at"] == "2026-03-28T23:00:00Z"
    assert told["by"] == "meter"


def test_refusals_are_told(account: Account, key: str, reader: str, gate: LiveGate) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    refusals.move_all()
    told = read(reader).json()
    assert told["refused"] == {"quota_exhausted": 1}
    assert sum(bar["refused"] for bar in told["bars"]) == 1


def test_a_key_without_the_scope_may_not(account: Account, key: str, gate: LiveGate) -> None:
    answer = read(key)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert "usage:read" in answer.json()["detail"]
    assert answer["Content-Type"] == "application/problem+json"


def test_a_key_that_only_reads_sends_nothing(reader: str, gate: LiveGate) -> None:
    decision = gate.check(reader)
    assert (decision.allowed, decision.reason) == (False, "above_key_cap")


def test_a_key_that_may_read_may_send_as_well(
    account: Account, owner: User, gate: LiveGate
) -> None:
    limits = KeyLimits(scopes=(READ_USAGE,))
    key = issue_api_key(account=account, name="both", submission=uuid4(), by=owner, limits=limits)[
        1
    ]
    for meter in ("chat", "images", "voice"):
        assert gate.check(key, meter=meter).allowed
    assert read(key).json()["chats"] == 3


@pytest.mark.parametrize("kind", ["none", "malformed", "unknown", "revoked", "elsewhere"])
def test_strangers_learn_nothing(
    account: Account, owner: User, reader: str, gate: LiveGate, kind: str
) -> None:
    text: str | None = reader
    if kind == "none":
        text = None
    elif kind == "malformed":
        text = reader[:-1]
    elif kind == "unknown":
        ApiKey.objects.update(name="x")
        text = "sk_" + "0" * 46
    elif kind == "revoked":
        from_page = Client()
        from_page.force_login(owner)
        from_page.post(f"/account/keys/{ApiKey.objects.get(name='dashboard').pk}/revoke")
    else:
        limits = KeyLimits(scopes=(READ_USAGE,), addresses=("192.0.2.0/24",))
        text = issue_api_key(
            account=account, name="bound", submission=uuid4(), by=owner, limits=limits
        )[1]
        assert read(text, **{"X-Forwarded-For": "192.0.2.7"}).status_code == 200
    answer = read(text, **{"X-Forwarded-For": "198.51.100.1"})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_key")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("query", "field"),
    [("from=x", "from"), ("by=name", "by"), ("key=1", "key"), ("zone=Mars/Base", "zone")],
)
def test_what_cannot_be_read_is_a_problem_that_names_it(
    reader: str, query: str, field: str
) -> None:
    answer = read(reader, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["field"] == field


def test_other_methods_are_refused(reader: str) -> None:
    answer = Client().post(ADDRESS, headers={"Authorization": f"Bearer {reader}"})
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_without_valkey_nothing_is_told_that_may_be_wrong(
    account: Account, reader: str, valkey_away: Callable[[bool], None]
) -> None:
    valkey_away(True)
    answer = read(reader)
    valkey_away(False)
    assert (answer.status_code, answer.json()["code"]) == (503, "quota_unavailable")
    assert settings.REDIS_URL not in answer.text


def test_the_form_makes_a_key_that_may_read(account: Account, owner_client: Client) -> None:
    answer = owner_client.post(
        "/account/keys/new",
        {"name": "dashboard", "reads_usage": "on", "submission": str(uuid4())},
    )
    assert answer.status_code == 201, answer.content
    key = ApiKey.objects.get()
    assert key.reads_usage
    assert key.meters == ()
    assert "may read usage" in owner_client.get("/account/keys").text


def test_what_it_says_is_what_its_description_says(
    account: Account, key: str, reader: str, gate: LiveGate
) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    refusals.move_all()
    for by in ("key", "meter", "source", "member", "tag", "model"):
        told = read(reader, f"by={by}").json()
        schema = {"$ref": "#/components/schemas/Usage", "components": DOCUMENT["components"]}
        OAS31Validator(schema).validate(told)
