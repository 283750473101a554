"""Service tokens: made in the admin or by a command, shown once, refused soon after revocation."""

import asyncio
import io
import time
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from config.reading import in_thread
from gate.decision.check import QuotaUnavailable
from gate.service.service_tokens import ServiceTokens
from gate.terms import key_text
from keys.issue import issue_service_token
from keys.models import ServiceToken
from keys.projection import valid_service_tokens
from keys.revoke import revoke_service_token
from tests.keys.acts import TOKEN
from tests.keys.stores import everything_in_postgres, everything_in_valkey

ADD = "admin:keys_servicetoken_add"
FORM = {"name": "gateway"}


def command(*arguments: str) -> str:
    """What the command prints."""
    printed = io.StringIO()
    call_command("issue_service_token", *arguments, stdout=printed)
    return printed.getvalue()


# --- the admin ------------------------------------------------------------------------------


def test_the_admin_shows_a_new_token_once(admin_client: Client) -> None:
    response = admin_client.post(reverse(ADD), FORM)
    shown = TOKEN.findall(response.content.decode())
    assert response.status_code == 201
    assert len(shown) == 1
    key_text.verify_service_token(shown[0])
    assert "no-store" in response["Cache-Control"]
    token = ServiceToken.objects.get()
    assert token.digest == key_text.digest(shown[0], django_settings.KEY_PEPPERS[0])
    assert shown[0][-4:] == token.last_four
    page = admin_client.get(reverse("admin:keys_servicetoken_changelist")).content.decode()
    assert f"svc_…{token.last_four}" in page
    assert shown[0] not in page


def test_the_text_of_a_token_is_kept_nowhere(admin_client: Client) -> None:
    response = admin_client.post(reverse(ADD), FORM)
    text = TOKEN.findall(response.content.decode())[0]
    assert list(get_messages(response.wsgi_request)) == []
    assert "Location" not in response
    assert text not in admin_client.cookies.output()
    assert LogEntry.objects.get().object_repr == "gateway"
    assert all(text not in repr(session.get_decoded()) for session in Session.objects.all())
    assert ServiceToken.objects.get().digest in everything_in_postgres()
    assert text[4:36] not in everything_in_postgres()
    assert text[4:36].encode() not in everything_in_valkey()


def test_submitting_the_form_again_makes_no_second_token(admin_client: Client) -> None:
    admin_client.post(reverse(ADD), FORM)
    again = admin_client.post(reverse(ADD), FORM)
    assert again.status_code == 200
    assert "already exists" in again.content.decode()
    assert not TOKEN.search(again.content.decode())
    assert ServiceToken.objects.count() == 1


def test_the_admin_revokes_a_token(admin_client: Client) -> None:
    token, _ = issue_service_token(name="gateway")
    response = admin_client.post(
        reverse("admin:keys_servicetoken_changelist"),
        {"action": "revoke", "_selected_action": [token.pk]},
        follow=True,
    )
    assert "refused everywhere within 5 seconds" in response.content.decode()
    assert valid_service_tokens() == {}


def test_a_token_is_never_renamed_or_deleted(admin_client: Client) -> None:
    token, _ = issue_service_token(name="gateway")
    url = reverse("admin:keys_servicetoken_delete", args=[token.pk])
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
    url = reverse("admin:keys_servicetoken_change", args=[token.pk])
    more = {"digest": "x", "last_four": "xxxx", "ignored_headers": "9", "revoked_at": "2020-01-01"}
    form = {"name": "renamed", "forwarded_hops": "0", "meter": "", **more}
    assert admin_client.post(url, form).status_code == 302
    now = ServiceToken.objects.get()
    assert (now.name, now.digest, now.ignored_headers) == ("gateway", token.digest, 0)
    assert now.revoked_at is None


# --- the command ----------------------------------------------------------------------------


def test_the_command_prints_nothing_but_the_token(db: None) -> None:
    printed = command("gateway")
    assert TOKEN.fullmatch(printed.strip())
    expected = key_text.digest(printed.strip(), django_settings.KEY_PEPPERS[0])
    assert valid_service_tokens().keys() == {expected}


def test_a_name_that_is_taken_is_refused(db: None) -> None:
    command("gateway")
    with pytest.raises(CommandError, match="There is a service token “gateway” already"):
        command("gateway")
    assert ServiceToken.objects.count() == 1


@pytest.mark.parametrize("name", ["", "   ", "n" * 81])
def test_a_name_that_is_empty_or_too_long_is_refused(db: None, name: str) -> None:
    with pytest.raises(CommandError, match="Name m"):
        command(name)
    assert not ServiceToken.objects.exists()


# --- what the quota-check service accepts ---------------------------------------------------


def accepting() -> ServiceTokens:
    """The copy of one server process, which reads the real table."""
    return ServiceTokens(peppers=django_settings.KEY_PEPPERS, load=in_thread(valid_service_tokens))


async def accepts(tokens: ServiceTokens, text: str) -> bool:
    """What one request would be told."""
    await tokens.refresh_if_due()
    return tokens.trust_of(text) is not None


@pytest.fixture
def text(transactional_db: None) -> str:
    """A token that is valid."""
    return issue_service_token(name="gateway")[1]


@pytest.fixture
def postgres_fails(transactional_db: None) -> Iterator[None]:
    """PostgreSQL cannot read the tokens."""

    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    rename("keys_servicetoken", "away")
    yield
    rename("away", "keys_servicetoken")


def test_a_valid_token_is_accepted_and_others_are_not(text: str) -> None:
    other = key_text.new_service_token()
    issue_service_token(name="unrelated")

    async def asking() -> list[bool]:
        tokens = accepting()
        asked = (text, other, text[:-1], text[:-1] + "!", "svc_" + "ü" * 38, "", key_text.BASE62)
        return [await accepts(tokens, token) for token in asked]

    assert asyncio.run(asking()) == [True] + [False] * 6


@pytest.mark.alone
def test_a_revoked_token_is_refused_within_five_seconds(text: str) -> None:
    async def until_refused() -> float:
        tokens = accepting()
        assert await accepts(tokens, text)
        await in_thread(
            lambda: revoke_service_token(token=ServiceToken.objects.get(), at=timezone.now())
        )()
        began = time.monotonic()
        while await accepts(tokens, text):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    assert asyncio.run(until_refused()) < 5


@pytest.mark.alone
def test_a_new_token_is_accepted_within_five_seconds(transactional_db: None) -> None:
    async def until_accepted() -> None:
        tokens = accepting()
        assert not await accepts(tokens, key_text.new_service_token())
        _, text = await in_thread(lambda: issue_service_token(name="new"))()
        began = time.monotonic()
        while not await accepts(tokens, text):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.05)

    asyncio.run(until_accepted())


def test_when_postgres_fails_the_last_copy_stays_in_use(
    text: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    async def asking() -> list[bool]:
        tokens = accepting()
        answers = [await accepts(tokens, text)]
        await in_thread(lambda: request.getfixturevalue("postgres_fails"))()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and "the last copy stays in use" not in caplog.text:
            answers.append(await accepts(tokens, text))
            await asyncio.sleep(0.05)
        answers.append(await accepts(tokens, text))
        return answers

    assert set(asyncio.run(asking())) == {True}
    assert "the last copy stays in use" in caplog.text
    assert text not in caplog.text


@pytest.mark.usefixtures("postgres_fails")
def test_without_any_copy_nobody_can_know_and_nobody_is_accepted() -> None:
    with pytest.raises(QuotaUnavailable):
        asyncio.run(accepts(accepting(), key_text.new_service_token()))
