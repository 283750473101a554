"""/api/v1/keys: programs manage keys, by a key that may do that and nothing else."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from openapi_schema_validator import OAS31Validator

from accounts.models import Account, AuditEvent, Membership, User
from accounts.rate import Rate
from api.openapi import DOCUMENT
from gate.terms import addresses
from keys.issue import issue_api_key
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.scopes import MANAGE_KEYS, READ_QUOTA
from quotas import keys_for_programs
from quotas.models.plans import Plan
from tests.keys.acts import KEY, ask_gate
from tests.site.answer import Answer

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "/api/v1/keys"
Issued = tuple[ApiKey, str]


class Program:
    """A program with a key."""

    def __init__(self, key: str) -> None:
        self._client = Client(enforce_csrf_checks=True)
        self._headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "192.0.2.7"}

    def __call__(self, method: str, path: str = "", body: object = None, **headers: str) -> Answer:
        text = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        return self._client.generic(
            method,
            ADDRESS + path,
            text,
            content_type="application/json",
            headers={**self._headers, **headers},
        )

    def create(self, name: str = "website", **more: Any) -> Answer:
        return self("POST", body={"name": name, **more})

    def change(self, key: ApiKey, **more: Any) -> Answer:
        return self("PATCH", f"/{key.pk}", more)


def manager_of(account: Account, owner: User, name: str = "deploy", **limits: Any) -> Issued:
    return issue_api_key(
        account=account,
        name=name,
        submission=uuid4(),
        by=owner,
        limits=KeyLimits(scopes=(MANAGE_KEYS,), **limits),
    )


@pytest.fixture
def managing(account: Account, owner: User) -> Issued:
    return manager_of(account, owner)


@pytest.fixture
def program(managing: Issued) -> Program:
    return Program(managing[1])


def check_shape(answer: Answer, name: str) -> Any:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    told = answer.json()
    OAS31Validator(schema).validate(told)
    assert answer["Cache-Control"] == "no-store"
    return told


def refusal(answer: Answer) -> tuple[int, str, str | None]:
    assert answer["Content-Type"] == "application/problem+json"
    told = check_problem(answer)
    return answer.status_code, told["code"], told.get("field")


def check_problem(answer: Answer) -> Any:
    told = answer.json()
    schema = DOCUMENT["components"]["schemas"]["Problem"]["properties"]
    assert told["code"] in schema["code"]["enum"]
    return told


# --- what it does ---------------------------------------------------------------------------------


def test_a_key_is_made_used_changed_switched_and_revoked(program: Program) -> None:
    answer = program.create("website", scopes=["chat"], weekly_cap=5, addresses=["192.0.2.7"])
    told = check_shape(answer, "CreatedKey")
    assert answer.status_code == 201
    text, made = told["key"], ApiKey.objects.get(name="website")
    assert answer["Location"] == f"{ADDRESS}/{made.pk}"
    assert (told["scopes"], told["weekly_cap"]) == (["chat"], 5)
    here = addresses.to_hex("192.0.2.7")
    assert ask_gate(text, address=here).allowed

    read = program("GET", f"/{made.pk}")
    assert check_shape(read, "Key")["masked"] == made.masked
    assert not KEY.search(read.content.decode())

    ends = (timezone.now() + timedelta(days=3)).replace(microsecond=0)
    changed = program.change(
        made, name="shop", weekly_cap=None, addresses=[], expires_at=ends.isoformat()
    )
    assert check_shape(changed, "Key")["name"] == "shop"
    made.refresh_from_db()
    assert (made.weekly_cap, made.addresses, made.expires_at) == (None, [], ends)
    assert made.scopes == ["chat"]
    assert ask_gate(text).allowed

    assert program.change(made, enabled=False).json()["state"] == "off"
    assert ask_gate(text).reason == "invalid_key"
    assert program.change(made, enabled=True).json()["state"] == "active"
    assert ask_gate(text).allowed

    revoked = program("POST", f"/{made.pk}/revoke", {"reason": "not needed"})
    assert check_shape(revoked, "Key")["revoke_reason"] == "not needed"
    assert ask_gate(text).reason == "invalid_key"
    assert program("POST", f"/{made.pk}/revoke").json()["revoke_reason"] == "not needed"
    assert refusal(program.change(made, enabled=True)) == (409, "revoked", None)


def test_a_key_is_given_another_secret_once_for_each_idempotency_key(
    program: Program, issued: Issued, managing: Issued
) -> None:
    key, old = issued
    once = {"Idempotency-Key": "monday"}
    answer = program("POST", f"/{key.pk}/rotate", {"old_secret_stays": "1h"}, **once)
    told = check_shape(answer, "CreatedKey")
    new = told["key"]
    assert (answer.status_code, told["id"]) == (200, key.pk)
    assert told["old_secret"]["masked"] == key.masked
    assert [ask_gate(text).reason for text in (old, new)] == ["ok", "ok"]
    assert check_shape(program("GET", f"/{key.pk}"), "Key")["old_secret"] == told["old_secret"]
    again = program("POST", f"/{key.pk}/rotate", **once)
    assert refusal(again) == (409, "already_created", None)
    assert not KEY.search(again.content.decode())

    last = program("POST", f"/{key.pk}/rotate", {"old_secret_stays": "0"}).json()
    assert last["old_secret"] is None
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key"] * 2
    assert ask_gate(last["key"]).allowed
    event = AuditEvent.objects.filter(act="rotated").latest("pk")
    assert (event.user_name, event.user) == (str(managing[0]), None)


def test_what_cannot_be_rotated_is_said(
    program: Program, issued: Issued, managing: Issued, account: Account, owner: User
) -> None:
    key, _ = issued
    address = f"/{key.pk}/rotate"
    field = "old_secret_stays"
    for wrong in ({field: "2h"}, {field: 24}, {field: "1 hour"}):
        assert refusal(program("POST", address, wrong)) == (400, "invalid_request", field)
    other = manager_of(account, owner, "other")[0]
    for one in (managing[0], other):
        refused = program("POST", f"/{one.pk}/rotate")
        assert refusal(refused) == (403, "not_permitted", None)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert refusal(program("POST", address)) == (409, "cannot_rotate", None)
    program("POST", f"/{key.pk}/revoke")
    assert refusal(program("POST", address)) == (409, "revoked", None)
    assert refusal(program("POST", f"/{10**17}/rotate")) == (404, "not_found", None)
    assert ApiKey.objects.get(pk=key.pk).digest == key.digest


def test_what_it_does_is_written_down_as_done_by_the_key(
    program: Program, managing: Issued, owner: User
) -> None:
    program.create()
    made = ApiKey.objects.get(name="website")
    program.change(made, name="shop", enabled=False)
    program("POST", f"/{made.pk}/revoke", {"reason": "gone"}, **{"User-Agent": "deploy/1"})
    events = AuditEvent.objects.filter(via="key").order_by("pk")
    assert [e.act for e in events] == ["created", "changed", "switched off", "revoked"]
    assert {(e.user_name, e.user, e.ip) for e in events} == {(str(managing[0]), None, "192.0.2.7")}
    assert (events[3].note, events[3].client) == ("gone", "deploy/1")
    assert made.created_by == owner


def test_the_keys_of_an_account_go_on_when_who_made_the_managing_one_has_left(
    account: Account, team_mate: User
) -> None:
    _, text = manager_of(account, team_mate)
    Membership.objects.filter(account=account, user=team_mate).delete()
    assert Program(text).create().status_code == 201
    team_mate.delete()
    assert Program(text).create("another").status_code == 201
    assert ApiKey.objects.get(name="another").created_by is None


def test_pages_follow_one_another(program: Program, account: Account, owner: User) -> None:
    for number in range(7):
        issue_api_key(account=account, name=f"key {number}", submission=uuid4(), by=owner)
    seen, after = [], ""
    while True:
        page = check_shape(program("GET", f"?limit=3{after}"), "Keys")
        seen += [one["name"] for one in page["data"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == [*(f"key {number}" for number in reversed(range(7))), "deploy"]
    last = program("GET").json()["data"][-1]
    assert last["name"] == "deploy"


def test_the_list_is_narrowed_down(program: Program, issued: Issued) -> None:
    ApiKey.objects.filter(pk=issued[0].pk).update(disabled_at=timezone.now())
    for query, names in (
        ("state=off", ["laptop"]),
        ("state=active", ["deploy"]),
        ("q=lap", ["laptop"]),
        (f"q={issued[0].last_four}", ["laptop"]),
        ("q=nothing", []),
    ):
        data = program("GET", f"?{query}").json()["data"]
        assert [one["name"] for one in data] == names, query


# --- what it may not ------------------------------------------------------------------------------


def test_it_calls_no_model(managing: Issued) -> None:
    assert ask_gate(managing[1]).reason == "not_permitted"


@pytest.mark.parametrize("scopes", [(), ("chat",), ("usage:read",), (READ_QUOTA,)])
def test_a_key_without_the_scope_manages_nothing(
    account: Account, owner: User, scopes: tuple[str, ...]
) -> None:
    limits = KeyLimits(scopes=scopes)
    _, text = issue_api_key(account=account, name="x", submission=uuid4(), by=owner, limits=limits)
    for method in ("GET", "POST"):
        assert refusal(Program(text)(method, body={"name": "y"})) == (403, "not_permitted", None)
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("kind", ["none", "malformed", "unknown", "revoked", "off", "elsewhere"])
def test_strangers_learn_nothing(
    account: Account, owner: User, managing: Issued, kind: str
) -> None:
    key, text = managing
    if kind == "malformed":
        text = text[:-1]
    elif kind == "unknown":
        text = "sk_" + "0" * 46
    elif kind == "revoked":
        assert Program(text)("POST", f"/{key.pk}/revoke").status_code == 200
    elif kind == "off":
        page = Client()
        page.force_login(owner)
        page.post(f"/account/keys/{key.pk}/switch", {"on": "false"})
    elif kind == "elsewhere":
        text = manager_of(account, owner, "bound", addresses=("198.51.100.0/24",))[1]
    program = Program("" if kind == "none" else text)
    for answer in (program("GET"), program.create(), program.change(key, name="x")):
        assert refusal(answer) == (401, "invalid_key", None)


def test_it_makes_and_changes_no_key_that_manages_keys(
    program: Program, managing: Issued, issued: Issued, account: Account, owner: User
) -> None:
    other = manager_of(account, owner, "other")[0]
    refused = (403, "not_permitted", None)
    assert refusal(program.create(scopes=[MANAGE_KEYS])) == refused
    assert refusal(program.change(issued[0], scopes=["chat", MANAGE_KEYS])) == refused
    changes: list[dict[str, Any]] = [
        *({"name": "x"}, {"scopes": []}, {"enabled": True}, {"expires_at": None})
    ]
    for key in (managing[0], other):
        for change in changes:
            assert refusal(program.change(key, **change)) == refused
    assert refusal(program("POST", f"/{other.pk}/revoke")) == refused
    names = set(ApiKey.objects.values_list("name", "revoked_at"))
    assert names == {("deploy", None), ("laptop", None), ("other", None)}


def test_it_may_revoke_itself(program: Program, managing: Issued) -> None:
    assert program("POST", f"/{managing[0].pk}/revoke").json()["state"] == "revoked"
    assert program("GET").status_code == 401


def test_keys_of_others_are_not_there(program: Program, outsider: User) -> None:
    theirs = issue_api_key(
        account=outsider.personal_account, name="theirs", submission=uuid4(), by=outsider
    )[0]
    missing = (404, "not_found", None)
    assert refusal(program("GET", f"/{theirs.pk}")) == missing
    assert refusal(program.change(theirs, name="mine")) == missing
    assert refusal(program("POST", f"/{theirs.pk}/revoke")) == missing
    assert refusal(program("GET", f"/{10**17}")) == missing
    assert [one["name"] for one in program("GET").json()["data"]] == ["deploy"]
    theirs.refresh_from_db()
    assert (theirs.name, theirs.revoked_at) == ("theirs", None)


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b" ", "body"),
        (b"{", "body"),
        ([], "body"),
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "n" * 81}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "sk_" + "0" * 46}, "name"),
        (b'{"name": "a", "name": "b"}', "name"),
        ({"name": "x", "admin": True}, "admin"),
        ({"name": "x", "key": "sk_mine"}, "key"),
        *(
            ({"name": "x", "expires_at": moment}, "expires_at")
            for moment in (
                *(1, "", "tomorrow", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00"),
                *("2300-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2100-13-01T00:00:00Z"),
            )
        ),
        *(
            ({"name": "x", limit: number}, limit)
            for limit, most in (("requests_a_minute", 10**6), ("requests_at_once", 1000))
            for number in (0, -1, 1.5, "5", True, most + 1, [5])
        ),
        *(
            ({"name": "x", "weekly_cap": cap}, "weekly_cap")
            for cap in (-1, 1.5, "5", True, 10**9 + 1, 10**30, ["5"])
        ),
        *(
            ({"name": "x", "scopes": scopes}, "scopes")
            for scopes in ("chat", ["nothing"], [1], None, ["chat"] * 21, [""], ["c" * 51])
        ),
        *(
            ({"name": "x", "addresses": some}, "addresses")
            for some in (
                "192.0.2.1",
                ["here"],
                ["192.0.2.1/24"],
                ["0.0.0.0/0"],
                [None],
                ["::"] * 21,
            )
        ),
    ],
)
def test_what_is_wrong_is_named_and_makes_nothing(
    program: Program, body: object, field: str
) -> None:
    assert refusal(program("POST", body=body)) == (400, "invalid_request", field)
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"scopes": None}, "scopes"),
        ({"addresses": None}, "addresses"),
        ({"enabled": None}, "enabled"),
        ({"enabled": "yes"}, "enabled"),
        ({"enabled": 0}, "enabled"),
        ({"weekly_cap": "5"}, "weekly_cap"),
        ({"revoked_at": None}, "revoked_at"),
        ({"digest": "x"}, "digest"),
    ],
)
def test_what_is_wrong_changes_nothing(
    program: Program, issued: Issued, change: dict[str, Any], field: str
) -> None:
    answer = program.change(issued[0], **{"expires_at": None, **change})
    assert refusal(answer) == (400, "invalid_request", field)
    assert ApiKey.objects.get(pk=issued[0].pk).version == issued[0].version


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *((f"limit={limit}", "limit") for limit in ("0", "101", "-1", "x", "", "9" * 99, "٣")),
        *((f"after={after}", "after") for after in ("x", "", "20260101T000000.000000Z-x")),
        ("state=x", "state"),
        ("q=" + "x" * 81, "q"),
        ("q=sk_" + "0" * 46, "q"),
        ("page=2", "page"),
    ],
)
def test_a_list_that_cannot_be_read_says_why(program: Program, query: str, field: str) -> None:
    answer = program("GET", f"?{query}")
    assert refusal(answer) == (400, "invalid_request", field)
    assert "sk_0" not in answer.content.decode()


@pytest.mark.parametrize("reason", [7, None, "x" * 201, "a\x00b", "a\nb", "sk_" + "0" * 46, ["x"]])
def test_a_reason_is_one_line_of_text(program: Program, issued: Issued, reason: object) -> None:
    answer = program("POST", f"/{issued[0].pk}/revoke", {"reason": reason})
    assert refusal(answer) == (400, "invalid_request", "reason")
    assert ApiKey.objects.get(pk=issued[0].pk).revoked_at is None


def test_other_bodies_and_methods_are_refused(program: Program, issued: Issued) -> None:
    large = {"name": "x", "addresses": ["1" * 60] * 2_000}
    assert refusal(program("POST", body=large))[:2] == (413, "too_large")
    assert refusal(program("DELETE", f"/{issued[0].pk}"))[:2] == (405, "method_not_allowed")
    zipped = program("POST", body={"name": "x"}, **{"Content-Encoding": "gzip"})
    assert refusal(zipped)[:2] == (415, "unsupported_media_type")


# --- twice, and how often -------------------------------------------------------------------------


def test_the_same_idempotency_key_makes_one_key_and_shows_its_text_once(
    program: Program, account: Account, owner: User
) -> None:
    once = {"Idempotency-Key": "deploy-7"}
    first = program("POST", body={"name": "website"}, **once)
    assert first.status_code == 201
    for name in ("website", "another"):
        again = program("POST", body={"name": name}, **once)
        assert refusal(again) == (409, "already_created", None)
        assert again["Location"] == first["Location"]
        assert not KEY.search(again.content.decode())
    assert ApiKey.objects.count() == 2
    # Another program's is another.
    other = Program(manager_of(account, owner, "other")[1])
    assert other("POST", body={"name": "website"}, **once).status_code == 201
    assert program.create().status_code == program.create().status_code == 201


@pytest.mark.parametrize("text", ["", "x" * 256, "ä", "sk_" + "0" * 46])
def test_an_idempotency_key_that_is_none_makes_nothing(program: Program, text: str) -> None:
    answer = program("POST", body={"name": "website"}, **{"Idempotency-Key": text})
    assert refusal(answer) == (400, "invalid_request", "Idempotency-Key")
    assert ApiKey.objects.count() == 1


def test_where_a_key_is_used_is_said_changed_and_asked_for(program: Program) -> None:
    made = check_shape(program.create("website", environment="production"), "CreatedKey")
    assert made["environment"] == "production"
    program.create("other")
    found = program("GET", "?environment=production").json()["data"]
    assert [key["name"] for key in found] == ["website"]
    key = ApiKey.objects.get(name="website")
    assert program.change(key, name="shop").json()["environment"] == "production"
    assert check_shape(program.change(key, environment=""), "Key")["environment"] == ""
    answer = program.change(key, environment="x" * 21)
    assert refusal(answer) == (400, "invalid_request", "environment")


def test_how_quickly_a_key_may_ask_is_said_and_changed(program: Program) -> None:
    made = check_shape(program.create("website", requests_a_minute=600), "CreatedKey")
    assert (made["requests_a_minute"], made["requests_at_once"]) == (600, None)
    key = ApiKey.objects.get(name="website")
    told = program.change(key, requests_a_minute=None, requests_at_once=3).json()
    assert (told["requests_a_minute"], told["requests_at_once"]) == (None, 3)


def test_what_a_program_does_not_name_stays_as_people_chose_it(
    program: Program, account: Account, owner: User
) -> None:
    limits = KeyLimits(
        weekly_cap=9, requests_a_minute=60, requests_at_once=2, environment="staging"
    )
    made = issue_api_key(
        account=account, name="website", submission=uuid4(), by=owner, limits=limits
    )[0]
    before = made.limits()
    assert program.change(made, name="shop").status_code == 200
    made.refresh_from_db()
    assert made.limits() == {**before, "name": "shop"}


def test_an_account_with_too_many_keys_gets_no_more(
    program: Program,
) -> None:
    # One of them is the program's own.
    Plan.objects.update(keys_at_most=2)
    assert program.create().status_code == 201
    answer = program.create()
    assert refusal(answer)[:2] == (409, "too_many_keys")
    assert "The plan “Free” comes with 2 keys." in answer.content.decode()


def test_one_key_manages_so_often_a_minute(
    program: Program, account: Account, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Rate("keys-write", at_most=2, within_seconds=60)
    monkeypatch.setattr(keys_for_programs, "WRITES", pace)
    # A minute may have begun anew meanwhile.
    answers = [program.create(str(number)) for number in range(5)]
    assert {answer.status_code for answer in answers} == {201, 429}
    assert refusal(answers[-1])[:2] == (429, "too_many_requests")
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert program("GET").status_code == 200
    assert Program(manager_of(account, owner, "other")[1]).create().status_code == 201


def test_without_valkey_nothing_is_done(
    program: Program, issued: Issued, valkey_away: Callable[[bool], None]
) -> None:
    valkey_away(True)
    answers = [program.create(), program.change(issued[0], name="x"), program("GET")]
    valkey_away(False)
    assert {refusal(answer)[:2] for answer in answers} == {(503, "quota_unavailable")}
    assert set(ApiKey.objects.values_list("name", flat=True)) == {"deploy", "laptop"}


def test_a_key_that_reads_the_quota_does_just_that(account: Account, owner: User) -> None:
    limits = KeyLimits(scopes=(READ_QUOTA,))
    _, text = issue_api_key(account=account, name="x", submission=uuid4(), by=owner, limits=limits)
    looked = ask_gate(text, units=0)
    assert (looked.allowed, looked.answer is not None) == (True, True)
    assert ask_gate(text).reason == "not_permitted"
