"""Keys in the admin: they are found and revoked there, and nothing else."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from keys.models import ApiKey, ServiceToken
from tests.keys.acts import UNREACHABLE, ask_gate

Issued = tuple[ApiKey, str]


def staff_client(*permissions: str) -> Client:
    """A browser of somebody on the staff who may do just this."""
    user = User.objects.create_user(f"{uuid4().hex}@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def revoke(client: Client, *keys: ApiKey) -> str:
    """Choose the keys and run the action; the page that follows."""
    response = client.post(
        reverse("admin:keys_apikey_changelist"),
        {"action": "revoke", "_selected_action": [key.pk for key in keys]},
        follow=True,
    )
    return str(response.content.decode())


def test_keys_are_found_by_what_an_owner_can_tell(
    admin_client: Client, owner: User, issued: Issued
) -> None:
    key, text = issued
    for words in ("laptop", text[-4:], key.account.handle, owner.email):
        page = admin_client.get(reverse("admin:keys_apikey_changelist"), {"q": words})
        assert key.masked in page.content.decode(), words
    nothing = admin_client.get(reverse("admin:keys_apikey_changelist"), {"q": "no such key"})
    assert key.masked not in nothing.content.decode()


def test_neither_text_nor_digest_is_on_a_page(admin_client: Client, issued: Issued) -> None:
    key, text = issued
    for page in (
        admin_client.get(reverse("admin:keys_apikey_changelist")),
        admin_client.get(reverse("admin:keys_apikey_change", args=[key.pk])),
    ):
        assert text not in page.content.decode()
        assert key.digest not in page.content.decode()


@pytest.mark.django_db(transaction=True)
def test_an_administrator_revokes_a_key_at_once(
    admin_client: Client, admin_user: User, issued: Issued
) -> None:
    key, text = issued
    assert ask_gate(text).allowed
    assert "Revoked: the gate refuses these keys." in revoke(admin_client, key)
    assert ask_gate(text).reason == "invalid_key"
    key.refresh_from_db()
    assert key.revoked_by == admin_user


def test_without_valkey_the_admin_is_told_that_it_waits(
    admin_client: Client, issued: Issued, settings: Settings
) -> None:
    key, _ = issued
    settings.REDIS_URL = UNREACHABLE
    page = revoke(admin_client, key)
    assert "Waiting for the gate to confirm: 1." in page
    assert "the gate refuses these keys" not in page
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.version > key.pushed_version


def test_staff_who_may_only_look_cannot_revoke(issued: Issued) -> None:
    page = revoke(staff_client("view_apikey"), issued[0])
    assert "You may not revoke keys." in page
    assert ApiKey.objects.get().is_active


def test_staff_who_may_change_keys_can_revoke(issued: Issued) -> None:
    revoke(staff_client("view_apikey", "change_apikey"), issued[0])
    assert not ApiKey.objects.get().is_active


def test_staff_without_a_permission_do_not_even_see_keys(issued: Issued) -> None:
    client = staff_client()
    url = reverse("admin:keys_apikey_changelist")
    assert client.get(url).status_code == 403
    assert client.post(url, {"action": "revoke", "_selected_action": 1}).status_code == 403
    assert ApiKey.objects.get().is_active


def test_nobody_adds_changes_or_deletes_a_key_in_the_admin(
    admin_client: Client, issued: Issued
) -> None:
    key, _ = issued
    fields = {"name": "renamed", "account": key.account_id}
    urls = [
        reverse("admin:keys_apikey_add"),
        reverse("admin:keys_apikey_change", args=[key.pk]),
        reverse("admin:keys_apikey_delete", args=[key.pk]),
    ]
    for url in urls:
        assert admin_client.post(url, {**fields, "post": "yes"}).status_code == 403, url
    assert ApiKey.objects.get().name == "laptop"


def test_deleting_the_maker_of_a_key_keeps_the_key(admin_client: Client, issued: Issued) -> None:
    key, _ = issued
    assert key.created_by is not None
    key.created_by.memberships.all().delete()
    key.created_by.delete()
    assert ApiKey.objects.get().created_by is None


def test_staff_who_may_only_look_cannot_revoke_service_tokens(plans: None) -> None:
    token = ServiceToken.objects.create(name="gateway", digest="d" * 43, last_four="0000")
    response = staff_client("view_servicetoken").post(
        reverse("admin:keys_servicetoken_changelist"),
        {"action": "revoke", "_selected_action": [token.pk]},
        follow=True,
    )
    assert "You may not revoke tokens." in response.content.decode()
    token.refresh_from_db()
    assert token.revoked_at is None
