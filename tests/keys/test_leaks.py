"""POST /keys/v1/leaks: what was found in public is revoked at once, and nothing else is told."""

import base64
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.mail import EmailMultiAlternatives
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, AuditEvent, OutgoingMail, User
from accounts.outbox import _unseal
from gate.service.alarms import Alarms
from gate.terms import key_text
from gate.terms.key_text import Pepper
from keys import leak_reports, leaks
from keys.issue import issue_api_key, issue_service_token
from keys.limits import KeyLimits
from keys.models import ApiKey, ServiceToken
from keys.revoke import revoke_api_key
from keys.scopes import MANAGE_KEYS
from tests.keys.acts import ask_gate
from tests.odd_servers import Lying, hanging, lying
from tests.site.answer import Answer

pytestmark = pytest.mark.django_db(transaction=True)

Issued = tuple[ApiKey, str]
ADDRESS = "/keys/v1/leaks"
REPOSITORY = Path(__file__).resolve().parents[2]
URL = "https://github.com/octocat/hello/blob/1/config.py"
OUTBOX = "accounts.mail_backend.OutboxBackend"


def send(body: object, *, origin: str = "203.0.113.9", **headers: str) -> Answer:
    """A report as a programme sends it, without a session."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = Client(enforce_csrf_checks=True, headers={"X-Forwarded-For": origin, **headers})
    return client.post(ADDRESS, text, content_type="application/json")


def find(text: str, **more: Any) -> dict[str, Any]:
    return {"token": text, "type": "sansxel_api_key", "url": URL, "source": "content", **more}


def somebodys_key() -> str:
    """A well-formed key that was never made."""
    return key_text.new_api_key("0" * 8)


def events() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(act="leaked"))


def test_a_key_that_is_reported_is_refused_before_the_answer_is_there(issued: Issued) -> None:
    key, text = issued
    assert ask_gate(text).allowed
    answer = send([find(text)])
    assert ask_gate(text).reason == "invalid_key"
    assert (answer.status_code, answer.json()) == (202, {"received": 1})
    key.refresh_from_db()
    assert key.revoke_note == f"reported as leaked at {URL}"
    assert key.revoked_by is None
    assert key.pushed_version == key.version


def test_the_owner_reads_once_what_happened(
    issued: Issued, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    key, text = issued
    for _ in range(2):
        send([find(text), find(text)])
    (mail,) = mailoutbox
    assert mail.to == ["owner@example.com"]
    assert mail.subject.startswith("Your key “laptop” was found in public and is revoked")
    page = str(mail.alternatives[0][0])
    for said in (str(mail.body), page):
        assert key.masked in said
        assert URL in said
        assert "/account/keys" in said
        assert text not in said
    assert f'href="{URL}"' not in page
    assert "other keys" not in mail.body


def test_the_mail_waits_in_the_outbox_for_the_worker(issued: Issued, settings: Settings) -> None:
    settings.EMAIL_BACKEND = OUTBOX
    send([find(issued[1])])
    (waiting,) = OutgoingMail.objects.all()
    assert _unseal(waiting.sealed).to == ["owner@example.com"]


def test_each_reads_it_in_their_language(
    account: Account,
    owner: User,
    team_mate: User,
    issued: Issued,
    mailoutbox: list[EmailMultiAlternatives],
) -> None:
    account.memberships.filter(user=team_mate).update(role="admin")
    team_mate.choose_language("de")
    send([find(issued[1])])
    assert sorted(mail.to for mail in mailoutbox) == [["mate@example.com"], ["owner@example.com"]]
    german = next(mail for mail in mailoutbox if mail.to == ["mate@example.com"])
    assert '<html lang="de">' in str(german.alternatives[0][0])


def test_who_made_it_is_told_and_other_members_are_not(
    account: Account, team_mate: User, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    other = User.objects.create_user("other@example.com", "x")
    account.memberships.create(user=other, role="member")
    _, text = issue_api_key(account=account, name="mine", submission=uuid4(), by=team_mate)
    send([find(text)])
    assert {mail.to[0] for mail in mailoutbox} == {"owner@example.com", "mate@example.com"}


def test_of_a_key_that_manages_keys_the_mail_says_to_look_for_others(
    account: Account, owner: User, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    _, text = issue_api_key(
        account=account,
        name="deploy",
        submission=uuid4(),
        by=owner,
        limits=KeyLimits(scopes=(MANAGE_KEYS,)),
    )
    send([find(text)])
    assert "This key could make other keys." in mailoutbox[-1].body


def test_the_audit_log_says_who_reported_it_and_where_it_was(
    issued: Issued, owner_client: Client
) -> None:
    key, text = issued
    send([find(text)], **{"User-Agent": "scanner/1"})
    (event,) = events()
    assert (event.user_name, event.ip, event.client) == ("203.0.113.9", "203.0.113.9", "scanner/1")
    assert (event.thing, event.note) == (str(key), f"reported as leaked at {URL}")
    assert (event.user, event.via) == (None, "itself")
    page = owner_client.get("/account/audit").text
    assert "Key revoked because it was found in public" in page
    assert URL in page
    assert URL in owner_client.get(f"/account/keys/{key.pk}").text


def test_a_visitor_s_session_is_not_who_reported_it(issued: Issued, owner_client: Client) -> None:
    owner_client.post(ADDRESS, json.dumps([find(issued[1])]), content_type="application/json")
    (event,) = events()
    assert event.user is None


@pytest.mark.parametrize("state", ["expired", "off"])
def test_a_key_that_could_be_used_again_is_revoked_as_well(issued: Issued, state: str) -> None:
    key, text = issued
    now = timezone.now()
    ApiKey.objects.update(**{"expires_at" if state == "expired" else "disabled_at": now})
    send([find(text)])
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_a_key_that_its_owner_revoked_is_nothing_new(
    issued: Issued, owner: User, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    key, text = issued
    revoke_api_key(key=key, by=owner, at=timezone.now(), note="mine")
    mailoutbox.clear()
    assert send([find(text)]).status_code == 202
    key.refresh_from_db()
    assert (key.revoke_note, key.revoked_by, mailoutbox, events()) == ("mine", owner, [], [])


def test_a_key_of_an_older_pepper_is_found(issued: Issued, settings: Settings) -> None:
    newer = Pepper(pepper_id="newer", secret=secrets.token_bytes(32))
    settings.KEY_PEPPERS = [newer, *settings.KEY_PEPPERS]
    send([find(issued[1])])
    assert ApiKey.objects.get().revoked_at is not None


@pytest.mark.parametrize("wrapped", ["{}", "export KEY={}\n", '"{}",', "Bearer {} ", "a_{}-b"])
def test_a_key_is_found_in_what_is_around_it(issued: Issued, wrapped: str) -> None:
    send([find(wrapped.format(issued[1]))])
    assert ApiKey.objects.get().revoked_at is not None


def test_one_find_alone_and_several_accounts_at_once(issued: Issued, outsider: User) -> None:
    theirs = issue_api_key(
        account=outsider.personal_account, name="x", submission=uuid4(), by=outsider
    )
    assert send({"token": issued[1]}).json() == {"received": 1}
    assert ApiKey.objects.get(pk=issued[0].pk).revoke_note == "reported as leaked"
    many = [find("noise"), find(theirs[1]), find(somebodys_key())]
    assert send(many).json() == {"received": 3}
    assert ApiKey.objects.filter(revoked_at=None).count() == 0


# --- the same answer ----------------------------------------------------------------------------


def test_the_answer_is_the_same_whatever_is_true(issued: Issued, account: Account) -> None:
    real = issued[1]
    never = key_text.new_api_key(account.handle)
    mistyped = real[:-1] + ("a" if real[-1] != "a" else "b")
    service = issue_service_token(name="gateway")[1]
    seen = set()
    for text in (mistyped, never, "noise", somebodys_key(), service, real, real):
        began = time.monotonic()
        answer = send([find(text)])
        took = time.monotonic() - began
        assert took >= leak_reports.STEP_SECONDS
        told = {name: value for name, value in answer.items() if name != "X-Request-Id"}
        seen.add((answer.status_code, answer.content, tuple(sorted(told.items()))))
    assert len(seen) == 1


def test_typing_errors_and_noise_cost_no_look_up(
    issued: Issued, django_assert_num_queries: Callable[[int], Any]
) -> None:
    mistyped = issued[1][:-1] + "!"
    swapped = issued[1][:20] + issued[1][21] + issued[1][20] + issued[1][22:]
    with django_assert_num_queries(0):
        assert send([find(mistyped), find(swapped), find("x" * 4_000)]).status_code == 202
    # A whole report of strangers' keys is looked up at once.
    with django_assert_num_queries(2):
        send([find(somebodys_key()) for _ in range(100)])


def test_a_service_token_stays_and_operators_are_alarmed(
    caplog: pytest.LogCaptureFixture, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "alarms", Alarms())
    token, text = issue_service_token(name="gateway")
    for _ in range(2):
        assert send([find(text)]).json() == {"received": 1}
    token.refresh_from_db()
    assert token.revoked_at is None
    assert token.reported_at is not None
    (alarm,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "“gateway”" in alarm.getMessage()
    assert text not in caplog.text
    assert "Reported at" in admin_client.get("/admin/keys/servicetoken/").text
    assert ServiceToken.objects.count() == 1


# --- what cannot be taken -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b" ", 400, "body"),
        (b"{", 400, "body"),
        (b"\xff\xfe", 400, "body"),
        (b'{"token": "x", "token": "y"}', 400, "body"),
        ("text", 400, "body"),
        ([1], 400, "body"),
        ([[find("x")]], 400, "body"),
        ([None], 400, "body"),
        (None, 400, "body"),
        ([{}], 400, "token"),
        ([find("")], 400, "token"),
        ([{"token": 7}], 400, "token"),
        ([{"token": ["x"]}], 400, "token"),
        ([find("x" * 4_097)], 400, "token"),
        ([find("x")] * 501, 413, None),
        (b"[" + b" " * 1024 * 1024 + b"]", 413, None),
        (b"[" * 100_000, 400, "body"),
    ],
)
def test_what_is_no_report_is_refused_and_says_why(
    plans: None, body: object, status: int, field: str | None
) -> None:
    answer = send(body)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json().get("field") == field


def test_one_that_is_wrong_has_no_other_revoked(issued: Issued) -> None:
    assert send([find(issued[1]), {"token": 1}]).status_code == 400
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_other_methods_are_refused(plans: None, method: str) -> None:
    answer = getattr(Client(), method)(ADDRESS)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "application/json", "headers": {"Content-Encoding": "gzip"}},
    ],
)
def test_forms_of_other_sites_are_no_reports(issued: Issued, headers: dict[str, Any]) -> None:
    answer = Client().post(ADDRESS, json.dumps([find(issued[1])]), **headers)
    assert answer.status_code == 415
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        7,
        None,
        ["https://example.com"],
        "javascript:alert(1)",
        "https://example.com/\x00",
        "https://example.com/\nBcc: x@example.com",
        "https://example.com/ half \ud7ff",
    ],
)
def test_where_it_was_is_kept_only_if_it_is_an_address(
    issued: Issued, url: object, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    send([find(issued[1], url=url)])
    assert ApiKey.objects.get().revoke_note == "reported as leaked"
    assert "Found at" not in mailoutbox[0].body


def test_an_address_is_kept_without_the_key_in_it_and_not_too_long(
    issued: Issued, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    url = f"https://user:secret@example.com/?key={issued[1]}&{'x' * 500}"
    send([find(issued[1], url=url)])
    note = ApiKey.objects.get().revoke_note
    assert "example.com" in note
    assert note.endswith("…")
    for said in (note, mailoutbox[0].body, events()[0].note):
        assert issued[1] not in said
        assert "secret@" not in said


# --- how often ----------------------------------------------------------------------------------


def test_one_address_sends_so_many_a_minute(
    issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_reports, "STEP_SECONDS", 0.01)
    at_most = leak_reports.OF_STRANGERS.at_most
    answers = [send([find("x")], origin="2001:db8::1").status_code for _ in range(at_most + 1)]
    # A minute may have begun anew meanwhile.
    answers += [send([find("x")], origin="2001:db8::2").status_code for _ in range(at_most)]
    assert set(answers) == {202, 429}
    refused = send([find(issued[1])], origin="2001:db8::3")
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert ApiKey.objects.get().revoked_at is None
    assert send([find(issued[1])], origin="2001:db8:0:1::1").status_code == 202
    assert ApiKey.objects.get().revoked_at is not None


def test_when_too_many_wait_one_more_is_told_when_to_come_back(issued: Issued) -> None:
    taken = 0
    while leak_reports._under_way.acquire(blocking=False):
        taken += 1
    try:
        answer = send([find(issued[1])])
    finally:
        for _ in range(taken):
            leak_reports._under_way.release()
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert taken == 4
    assert send([find(issued[1])]).status_code == 202


def test_without_valkey_it_is_to_be_sent_again(issued: Issued, settings: Settings) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "unix:///nonexistent/valkey.sock",
        }
    }
    for text in (issued[1], somebodys_key(), "x"):
        answer = send([find(text)])
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")


def test_a_gate_that_does_not_answer_changes_no_answer(issued: Issued, settings: Settings) -> None:
    settings.REDIS_URL = "unix:///nonexistent/valkey.sock"
    assert send([find(issued[1])]).json() == {"received": 1}
    key = ApiKey.objects.get()
    assert key.revoked_at is not None
    assert key.pushed_version < key.version


# --- who signed it ------------------------------------------------------------------------------


@pytest.fixture
def github(settings: Settings) -> Iterator[Lying]:
    """Says what its reports are signed with."""
    with lying() as server:
        settings.LEAK_KEYS_URL = server.origin
        yield server


def keypair(server: Lying, identifier: str) -> ec.EllipticCurvePrivateKey:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    row = {"key_identifier": identifier, "key": public.decode(), "is_current": True}
    server.body = json.dumps({"public_keys": [row]}).encode()
    return private


def signed(private: ec.EllipticCurvePrivateKey, identifier: str, body: bytes) -> dict[str, str]:
    signature = private.sign(body, ec.ECDSA(hashes.SHA256()))
    return {
        "Github-Public-Key-Identifier": identifier,
        "Github-Public-Key-Signature": base64.b64encode(signature).decode(),
    }


def test_a_report_that_github_signed_is_known_as_github_s(issued: Issued, github: Lying) -> None:
    private = keypair(github, "one")
    body = json.dumps([find(issued[1])]).encode()
    assert send(body, **signed(private, "one", body)).status_code == 202
    (event,) = events()
    assert (event.user_name, event.ip) == ("GitHub secret scanning", "203.0.113.9")
    # The keys are asked for once.
    send(body, **signed(private, "one", body))
    assert github.calls == 1


def test_a_report_of_github_s_passes_where_strangers_have_to_wait(
    issued: Issued, github: Lying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_reports, "STEP_SECONDS", 0.01)
    private = keypair(github, "one")
    body = json.dumps([find(issued[1])]).encode()
    sent = [send([find("x")]).status_code for _ in range(2 * leak_reports.OF_STRANGERS.at_most + 1)]
    assert 429 in sent
    assert send(body, **signed(private, "one", body)).status_code == 202


def test_what_github_s_own_example_is_signed_with_is_understood(
    plans: None, github: Lying, settings: Settings
) -> None:
    identifier = "90a421169f0a406205f1563a953312f0be898d3c7b6c06b681aa86a874555f4a"
    key = (
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9MJJHnMfn2+H4xL4YaPDA4RpJqUq\n"
        "kCmRCBnYERxZanmcpzQSXs1X/AljlKkbJ8qpVIW4clayyef9gWhFbNHWAA==\n"
        "-----END PUBLIC KEY-----\n"
    )
    row = {"key_identifier": identifier, "key": key, "is_current": True}
    github.body = json.dumps({"public_keys": [row]}).encode()
    headers = {
        "Github-Public-Key-Identifier": identifier,
        "Github-Public-Key-Signature": (
            "MEUCIQDKZokqnCjrRtw0tni+2Ltvl/uiMJ1EGumEsp1BsNr32AIgQY1YXD2nlj+XNfGK4rBfkMJ1JDOQcYXx"
            "a2sY8FNkrKc="
        ),
    }
    body = b'[{"token":"some_token","type":"some_type","url":"some_url"}]'
    assert send(body, **headers).status_code == 202
    assert send(body + b" ", **headers).status_code == 400


@pytest.mark.parametrize("damage", ["body", "signature", "other key"])
def test_a_false_signature_is_refused(issued: Issued, github: Lying, damage: str) -> None:
    private = keypair(github, "one")
    body = json.dumps([find(issued[1])]).encode()
    headers = signed(private, "one", body)
    if damage == "body":
        body += b" "
    elif damage == "signature":
        headers["Github-Public-Key-Signature"] = "not base64"
    else:
        headers = signed(ec.generate_private_key(ec.SECP256R1()), "one", body)
    answer = send(body, **headers)
    assert (answer.status_code, answer.json()["field"]) == (400, "Github-Public-Key-Signature")
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize("wrong", ["unknown", b"", b"[]", b'{"public_keys": 1}', 500, "away"])
def test_a_programme_whose_keys_cannot_be_had_counts_as_anybody(
    issued: Issued, github: Lying, wrong: object, settings: Settings
) -> None:
    private = keypair(github, "one")
    body = json.dumps([find(issued[1])]).encode()
    headers = signed(private, "another" if wrong == "unknown" else "one", body)
    if isinstance(wrong, bytes):
        github.body = wrong
    elif wrong == 500:
        github.status = 500
    elif wrong == "away":
        settings.LEAK_KEYS_URL = "http://127.0.0.1:1"
    assert send(body, **headers).status_code == 202
    assert send(body, **headers).status_code == 202
    (event,) = events()
    assert event.user_name == "203.0.113.9"
    # Whoever names keys that there are not has nobody asked again and again.
    assert github.calls <= 1


def test_a_programme_that_hangs_holds_nobody_up(issued: Issued, settings: Settings) -> None:
    with hanging() as silent:
        settings.LEAK_KEYS_URL = silent.origin
        private = ec.generate_private_key(ec.SECP256R1())
        body = json.dumps([find(issued[1])]).encode()
        assert send(body, **signed(private, "one", body)).status_code == 202
    assert ApiKey.objects.get().revoked_at is not None


# --- what scanners are told ---------------------------------------------------------------------


def test_the_pages_say_the_pattern_and_how_to_tell_noise(client: Client, plans: None) -> None:
    page = client.get("/docs/leaks").text
    assert leaks.KEY_PATTERN in page
    assert leaks.TOKEN_PATTERN in page
    told: dict[str, Any] = {}
    example = REPOSITORY / "templates/examples/leak.python.txt"
    exec(compile(example.read_text(), "leak.py", "exec"), told)
    for text in (somebodys_key(), key_text.new_service_token()):
        assert leaks._FOUND.fullmatch(text)
        assert told["is_one"](text)
        assert not told["is_one"](text[:-1] + "!")
    assert leaks.KEY_PATTERN in (REPOSITORY / "docs/leaks.md").read_text()
