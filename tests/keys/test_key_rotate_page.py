"""The page that gives a key another secret: shown once, and what becomes of the old one."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.template import TemplateDoesNotExist
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, AuditEvent, User
from keys.models import ApiKey
from keys.revoke import revoke_api_key
from keys.scopes import MANAGE_KEYS
from keys.tasks import push_pending
from tests.keys.acts import KEY, UNREACHABLE, ask_gate, shown_key
from tests.signed_in import sign_in_at_once
from tests.site.answer import Answer

Issued = tuple[ApiKey, str]


def rotate(client: Client, key: ApiKey, *, submission: UUID | None = None, **fields: Any) -> Answer:
    """Send the form of the page."""
    sent = {"stays": "24h", "submission": str(submission or uuid4()), **fields}
    return client.post(reverse("key_rotate", args=[key.pk]), sent)


def end(client: Client, key: ApiKey) -> str:
    answer = client.post(reverse("key_former_end", args=[key.pk]), follow=True)
    return str(answer.content.decode())


@pytest.mark.django_db(transaction=True)
def test_the_new_secret_is_shown_once_and_the_old_one_is_ended_with_a_click(
    owner_client: Client, owner: User, issued: Issued
) -> None:
    key, old = issued
    page = rotate(owner_client, key)
    new = shown_key(page)
    assert page.status_code == 201
    assert "no-store" in page["Cache-Control"]
    assert f"The old secret, {key.masked}, works until" in page.content.decode()
    assert "has not confirmed" not in page.content.decode()
    assert [ask_gate(text).reason for text in (old, new)] == ["ok", "ok"]
    for name, arguments in (("keys", []), ("key_edit", [key.pk]), ("key_rotate", [key.pk])):
        shown = owner_client.get(reverse(name, args=arguments)).content.decode()
        assert key.masked in shown
        assert not KEY.search(shown)
        assert ("End now" in shown) == (name != "key_rotate")
        assert ("ends at once when you rotate" in shown) == (name == "key_rotate")
    assert "The old secret has ended. Requests with it are refused." in end(owner_client, key)
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key", "ok"]
    assert "No old secret works any more" in end(owner_client, key)
    assert "End now" not in owner_client.get(reverse("keys")).content.decode()
    done = AuditEvent.objects.exclude(act="created").order_by("pk")
    assert [(event.act, event.user) for event in done] == [
        ("rotated", owner),
        ("former ended", owner),
    ]


@pytest.mark.django_db(transaction=True)
def test_with_no_time_to_stay_the_page_says_that_the_old_one_has_ended(
    owner_client: Client, issued: Issued
) -> None:
    key, old = issued
    page = rotate(owner_client, key, stays="0").content.decode()
    assert ask_gate(old).reason == "invalid_key"
    assert f"The old secret, {key.masked}, has ended." in page


def test_a_visit_asks_and_changes_nothing(owner_client: Client, issued: Issued) -> None:
    key, _ = issued
    page = owner_client.get(reverse("key_rotate", args=[key.pk])).content.decode()
    assert "A new secret for “laptop”" in page
    assert not KEY.search(page)
    assert ApiKey.objects.get().digest == key.digest


def test_a_reload_shows_nothing_and_makes_nothing(owner_client: Client, issued: Issued) -> None:
    key, _ = issued
    submission = uuid4()
    rotate(owner_client, key, submission=submission)
    digest = ApiKey.objects.get().digest
    again = rotate(owner_client, key, submission=submission)
    page = owner_client.get(again["Location"]).content.decode()
    assert "The same form arrived twice." in page
    assert not KEY.search(page)
    assert ApiKey.objects.get().digest == digest


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stays": "30d"}, "Choose one of the times."),
        ({"stays": ""}, "Choose one of the times."),
        ({"submission": "x"}, "The form was damaged. Nothing was created; try again."),
    ],
)
def test_what_is_not_understood_is_said_and_changes_nothing(
    owner_client: Client, issued: Issued, fields: dict[str, str], message: str
) -> None:
    key, _ = issued
    sent = {"stays": "24h", "submission": str(uuid4()), **fields}
    answer = owner_client.post(reverse("key_rotate", args=[key.pk]), sent)
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert ApiKey.objects.get().digest == key.digest


def test_keys_that_are_over_are_not_rotated(owner_client: Client, issued: Issued) -> None:
    key, _ = issued
    address = reverse("key_rotate", args=[key.pk])
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(days=1))
    assert "Make the new secret" not in owner_client.get(address).content.decode()
    page = owner_client.get(rotate(owner_client, key)["Location"]).content.decode()
    assert "This key has expired." in page
    revoke_api_key(key=key, by=None, at=timezone.now())
    assert "Make the new secret" not in owner_client.get(address).content.decode()
    page = owner_client.get(rotate(owner_client, key)["Location"]).content.decode()
    assert "This key is revoked, which is final" in page
    assert "This key is revoked, which is final" in end(owner_client, key)
    assert ApiKey.objects.get().digest == key.digest


@pytest.mark.django_db(transaction=True)
def test_without_the_gate_the_secret_is_shown_and_the_page_says_what_is_not_sure(
    owner_client: Client, issued: Issued, settings: Settings
) -> None:
    key, old = issued
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    page = rotate(owner_client, key, stays="0")
    new = shown_key(page)
    assert "the gate has not confirmed it yet" in page.content.decode()
    again = owner_client.get(rotate(owner_client, key)["Location"]).content.decode()
    assert "The key has no new secret yet" in again
    settings.REDIS_URL = reachable
    push_pending()
    assert [ask_gate(text).reason for text in (old, new)] == ["invalid_key", "ok"]


@pytest.mark.django_db(transaction=True)
def test_a_secret_that_cannot_be_shown_is_not_made(
    owner_client: Client, issued: Issued, settings: Settings
) -> None:
    key, old = issued
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    with pytest.raises(TemplateDoesNotExist):
        rotate(owner_client, key)
    assert ask_gate(old).allowed
    assert ApiKey.objects.get().digest == key.digest


def test_a_session_that_was_left_open_is_asked_first(owner: User, issued: Issued) -> None:
    client = Client()
    sign_in_at_once(client, owner, seconds_ago=600)
    asked = rotate(client, issued[0])
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    assert ApiKey.objects.get().digest == issued[0].digest


def test_who_may_not_make_keys_that_manage_gets_the_secret_of_none(
    owner_client: Client, owner: User, account: Account, issued: Issued
) -> None:
    key, _ = issued
    ApiKey.objects.update(scopes=[MANAGE_KEYS])
    assert rotate(owner_client, key).status_code == 201
    account.memberships.filter(user=owner).update(role="developer")
    before = ApiKey.objects.get().digest
    assert rotate(owner_client, key).status_code == 403
    assert ApiKey.objects.get().digest == before


@pytest.mark.parametrize("name", ["key_rotate", "key_former_end"])
def test_somebody_elses_key_does_not_exist(
    outsider_client: Client, issued: Issued, name: str
) -> None:
    key, _ = issued
    sent = {"stays": "24h", "submission": str(uuid4())}
    answer = outsider_client.post(reverse(name, args=[key.pk]), sent)
    assert answer.status_code == 404
    assert ApiKey.objects.get().digest == key.digest
