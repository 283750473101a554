"""A revoked key is refused from the moment the page says so."""

import socket
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from keys.models import ApiKey
from keys.tasks import push_pending
from tests.keys.acts import UNREACHABLE, ask_gate, shown_key, submit_key

Issued = tuple[ApiKey, str]


@pytest.fixture
def hung() -> Iterator[str]:
    """The address of a Valkey that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def revoke(client: Client, key: ApiKey) -> str:
    """Press the button; the page that follows."""
    response = client.post(reverse("key_revoke", args=[key.pk]), follow=True)
    assert response.redirect_chain == [(reverse("keys"), 302)]
    return str(response.content.decode())


def test_a_visit_asks_and_revokes_nothing(owner_client: Client, issued: Issued) -> None:
    key, text = issued
    response = owner_client.get(reverse("key_revoke", args=[key.pk]))
    page = response.content.decode()
    assert response.status_code == 200
    assert "Revoke “laptop”?" in page
    assert key.masked in page
    assert text not in page
    key.refresh_from_db()
    assert key.is_active


@pytest.mark.django_db(transaction=True)
def test_a_revoked_key_is_refused_at_once(
    owner_client: Client, owner: User, issued: Issued
) -> None:
    key, text = issued
    assert ask_gate(text).allowed
    page = revoke(owner_client, key)
    assert ask_gate(text).reason == "invalid_key"
    assert "“laptop” is revoked. Requests with it are refused." in page
    key.refresh_from_db()
    assert key.revoked_by == owner
    assert key.pushed_version == key.version


@pytest.mark.django_db(transaction=True)
def test_a_key_of_an_account_that_the_gate_forgot_is_refused_too(
    owner_client: Client, issued: Issued
) -> None:
    key, text = issued
    revoke(owner_client, key)
    assert ask_gate(text).reason == "invalid_key"


@pytest.mark.django_db(transaction=True)
def test_other_keys_go_on_working(owner_client: Client, owner: User, issued: Issued) -> None:
    other = shown_key(submit_key(owner_client, "other"))
    revoke(owner_client, issued[0])
    assert ask_gate(other).allowed


def test_the_list_says_that_it_is_revoked_and_offers_no_button(
    owner_client: Client, issued: Issued
) -> None:
    page = revoke(owner_client, issued[0])
    assert "Revoked" in page
    assert reverse("key_revoke", args=[issued[0].pk]) not in page


def test_revoking_twice_is_harmless(owner_client: Client, issued: Issued) -> None:
    key, _ = issued
    revoke(owner_client, key)
    key.refresh_from_db()
    first = (key.revoked_at, key.version, key.pushed_version)
    page = revoke(owner_client, key)
    assert "is revoked" in page
    key.refresh_from_db()
    assert (key.revoked_at, key.version, key.pushed_version) == first


@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_elses_key_does_not_exist(
    outsider_client: Client, issued: Issued, method: str
) -> None:
    key, _ = issued
    theirs = getattr(outsider_client, method)(reverse("key_revoke", args=[key.pk]))
    nobodys = getattr(outsider_client, method)(reverse("key_revoke", args=[key.pk + 1_000]))
    assert theirs.status_code == nobodys.status_code == 404
    assert key.name not in theirs.content.decode()
    key.refresh_from_db()
    assert key.is_active


@pytest.mark.parametrize("number", ["0", str(2**31), str(2**63), "9" * 400])
def test_a_number_that_no_key_has_is_not_found(owner_client: Client, number: str) -> None:
    assert owner_client.get(f"/account/keys/{number}/revoke").status_code == 404
    assert owner_client.post(f"/account/keys/{number}/revoke").status_code == 404


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_no_other_method_revokes(owner_client: Client, issued: Issued, method: str) -> None:
    response = getattr(owner_client, method)(reverse("key_revoke", args=[issued[0].pk]))
    assert response.status_code == 405
    assert ApiKey.objects.get().is_active


def test_a_page_of_another_site_cannot_revoke(owner: User, issued: Issued) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    response = browser.post(reverse("key_revoke", args=[issued[0].pk]))
    assert response.status_code == 403
    assert ApiKey.objects.get().is_active


@pytest.mark.django_db(transaction=True)
def test_without_valkey_the_page_does_not_claim_what_is_not_so(
    owner_client: Client, issued: Issued, settings: Settings
) -> None:
    key, text = issued
    assert ask_gate(text).allowed
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    page = revoke(owner_client, key)
    assert "the gate has not confirmed it yet" in page
    assert "Requests with it are refused" not in page
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.version > key.pushed_version

    settings.REDIS_URL = reachable
    assert ask_gate(text).allowed, "the warning was true"
    push_pending()
    assert ask_gate(text).reason == "invalid_key"
    key.refresh_from_db()
    assert key.version == key.pushed_version


def test_a_valkey_that_hangs_gets_a_warning_within_seconds(
    owner_client: Client, issued: Issued, settings: Settings, hung: str
) -> None:
    settings.REDIS_URL = hung
    assert "the gate has not confirmed it yet" in revoke(owner_client, issued[0])
    assert ApiKey.objects.get().revoked_at is not None


def test_pressing_again_after_a_warning_confirms(
    owner_client: Client, issued: Issued, settings: Settings
) -> None:
    key, _ = issued
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    revoke(owner_client, key)
    settings.REDIS_URL = reachable
    assert "Requests with it are refused" in revoke(owner_client, key)
    key.refresh_from_db()
    assert key.version == key.pushed_version


def test_the_sweep_without_valkey_leaves_everything_for_the_next_one(
    owner_client: Client, issued: Issued, settings: Settings
) -> None:
    key, _ = issued
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    revoke(owner_client, key)
    push_pending()
    key.refresh_from_db()
    assert key.version > key.pushed_version
    settings.REDIS_URL = reachable
    push_pending()
    key.refresh_from_db()
    assert key.version == key.pushed_version


def test_the_sweep_is_on_the_schedule(settings: Settings) -> None:
    schedule = settings.CELERY_BEAT_SCHEDULE["push-keys"]
    assert schedule["task"] == push_pending.name
    assert schedule["schedule"] <= 1
