"""Of a key only a digest is kept: its text is nowhere after the page that showed it."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.messages import get_messages
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client, override_settings
from django.urls import reverse
from django.views.debug import ExceptionReporter

from gate.store.snapshots import hot_digests
from keys.models import ApiKey
from quotas.tasks import drain_all
from tests.keys.acts import ask_gate, shown_key, submit_key
from tests.keys.stores import everything_in_postgres, everything_in_valkey, files
from tests.site.answer import Answer

KEYS = 1_000
# The files of a server that somebody else runs cannot be read.
SERVERS_ARE_OURS = "sansxel-test-" in settings.REDIS_URL


def issue_many(client: Client, responses: list[Answer]) -> list[str]:
    # So many may take longer than a sign-in is recent.
    with override_settings(ACCOUNT_REAUTHENTICATION_TIMEOUT=3600):
        responses.extend(submit_key(client, f"program {number}") for number in range(KEYS))
    return [shown_key(response) for response in responses]


def made_by_program(manager: str, responses: list[Answer]) -> str:
    """The text of a key that a program makes."""
    client = Client(headers={"Authorization": f"Bearer {manager}"})
    body = json.dumps({"name": "by program"})
    answer = client.post("/api/v1/keys", body, content_type="application/json")
    responses.append(answer)
    return str(answer.json()["key"])


def report(client: Client, texts: list[str]) -> Answer:
    """Report keys as found, one of them in an address."""
    finds = [{"token": text, "url": f"https://example.com/?key={text}"} for text in texts]
    return client.post("/keys/v1/leaks", json.dumps(finds), content_type="application/json")


def assert_in_clear_nowhere(texts: list[str], content: bytes, place: str) -> None:
    """No key, and no secret part of one in any other wrapping."""
    handle = texts[0][: len("sk_") + 8].encode()
    assert not re.search(re.escape(handle) + rb"[0-9A-Za-z]{8}", content), place
    # Searching for each of a thousand in each of many files would take minutes.
    for text in texts[::20]:
        assert text[11:43].encode() not in content, place


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_after_a_thousand_keys_no_store_log_session_or_answer_holds_one(
    owner_client: Client,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    mailoutbox: list[EmailMessage],
) -> None:
    for name in ("", "django.db.backends", "httpx", "stripe", "celery", "redis", "keys", "gate"):
        caplog.set_level(logging.DEBUG, logger=name)
    connection.force_debug_cursor = True
    responses: list[Answer] = []
    try:
        texts = issue_many(owner_client, responses)
        key = ApiKey.objects.get(name="program 7")
        owner_client.post(reverse("key_revoke", args=[key.pk]))
        # Some are found in public. A program makes others, and its own key is found as well.
        responses.append(report(owner_client, texts[100:120]))
        manager = shown_key(submit_key(owner_client, "deploy", manages_keys="on"))
        texts += [made_by_program(manager, responses) for _ in range(19)]
        responses.append(report(owner_client, [texts[-1], manager]))
        texts.append(manager)
        assert ApiKey.objects.exclude(revoked_at=None).count() == 1 + 20 + 2
        ask_gate(texts[0])
        ask_gate(texts[7])
        ask_gate(texts[0][:-1] + "!")
        drain_all()
        pages = [owner_client.get(reverse(name)).content for name in ("keys", "usage", "billing")]
        # What PostgreSQL holds in memory reaches its files.
        with connection.cursor() as cursor:
            cursor.execute("CHECKPOINT")
    finally:
        connection.force_debug_cursor = False
    assert len(set(texts)) == KEYS + 20
    printed = capfd.readouterr()
    places = {
        "PostgreSQL": everything_in_postgres().encode(),
        "Valkey": everything_in_valkey(),
        "logs": caplog.text.encode(),
        "what was printed": (printed.out + printed.err).encode(),
        "mails": b"".join(bytes(mail.message()) for mail in mailoutbox),
        "cookies": owner_client.cookies.output().encode(),
        "headers": repr([dict(response.items()) for response in responses]).encode(),
        "addresses": repr([response.request for response in responses]).encode(),
        "messages": repr(
            [[str(m) for m in get_messages(r.wsgi_request)] for r in responses]
        ).encode(),
        "later pages": b"".join(pages),
    }

    # The search finds what is there: it would find a key as well.
    # What the hot state keeps of a digest; the whole one begins with it.
    known_by = hot_digests([key.digest])[0].encode()
    assert known_by in places["PostgreSQL"]
    assert known_by in places["Valkey"]
    assert b'INSERT INTO "keys_apikey"' in places["logs"]
    assert known_by in places["logs"]
    for place, content in places.items():
        assert_in_clear_nowhere(texts, content, place)
    if SERVERS_ARE_OURS:
        with_digest = set()
        for path, content in files(Path(settings.DATA_DIR)):
            assert_in_clear_nowhere(texts, content, str(path))
            if known_by in content:
                with_digest.add(path.relative_to(settings.DATA_DIR).parts[0])
        assert {"postgres", "valkey"} <= with_digest


@pytest.fixture
def _refusing_table(transactional_db: None) -> Iterator[None]:
    """A PostgreSQL that refuses new keys, in the middle of making one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no room'; END $$"
        )
        for table in ("keys_apikey", "keys_servicetoken"):
            cursor.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse() CASCADE")


@pytest.mark.usefixtures("_refusing_table")
@pytest.mark.django_db(transaction=True)
def test_an_error_report_hides_the_key_that_was_being_made(
    owner_client: Client,
    admin_client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reports = []
    for client, post in (
        (owner_client, submit_key),
        (
            admin_client,
            lambda client: client.post(reverse("admin:keys_servicetoken_add"), {"name": "gateway"}),
        ),
    ):
        client.raise_request_exception = False
        response = post(client)
        assert response.status_code == 500
        page = response.content.decode()
        assert "Something went wrong on our side" in page
        reports.append(page + report_of(response))
    for report in reports:
        assert "no room" in report
        assert not re.search(r"sk_[0-9A-Za-z]{40}|svc_[0-9A-Za-z]{30}", report)
    assert not re.search(r"sk_[0-9A-Za-z]{40}|svc_[0-9A-Za-z]{30}", caplog.text)


def report_of(response: Answer) -> str:
    """The report with the variables of every frame, as it is mailed to administrators."""
    kind, error, trace = vars(response)["exc_info"]
    return ExceptionReporter(response.wsgi_request, kind, error, trace).get_traceback_html()
