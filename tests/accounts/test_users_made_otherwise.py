"""Users made by a command or in the admin have an account, too."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Membership, User
from tests.accounts.acts import is_signed_in, sign_in
from tests.conftest import PASSWORD


def test_createsuperuser_opens_an_account(
    client: Client, plans: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--no-input", "--email", "root@example.com", verbosity=0)
    user = User.objects.get()
    assert user.is_superuser
    assert user.personal_account.memberships.get().role == Membership.Role.OWNER
    sign_in(client, "root@example.com")
    assert is_signed_in(client)


def test_createsuperuser_refuses_an_address_in_another_case(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match="That e-mail address is already taken"):
        call_command("createsuperuser", "--no-input", "--email", "OWNER@example.com", verbosity=0)
    assert User.objects.count() == 1


def test_a_user_added_in_the_admin_opens_an_account(admin_client: Client) -> None:
    response = admin_client.post(
        reverse("admin:accounts_user_add"),
        {
            "email": "new@example.com",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    assert response.status_code == 302
    user = User.objects.get(email="new@example.com")
    assert user.personal_account.name == "new"
    browser = Client()
    sign_in(browser, "new@example.com")
    assert is_signed_in(browser)


def test_the_admin_refuses_an_address_in_another_case_kindly(
    admin_client: Client, owner: User
) -> None:
    response = admin_client.post(
        reverse("admin:accounts_user_add"),
        {
            "email": "OWNER@example.com",
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    assert response.status_code == 200
    assert "Somebody signs in with this e-mail address already." in response.content.decode()


def test_saving_a_user_again_opens_no_second_account(owner: User) -> None:
    owner.name = "Olga Other"
    owner.save()
    assert Account.objects.count() == 1


def test_a_user_and_the_account_come_together_or_not_at_all(db: None) -> None:
    with pytest.raises(ValidationError, match="at most 120 characters"), transaction.atomic():
        User.objects.create_user("new@example.com", PASSWORD, name="n" * 121)
    assert not User.objects.exists()
    assert not Account.objects.exists()


def test_a_very_long_address_still_gets_an_account(db: None) -> None:
    email = "a" * 64 + "@" + "b" * 60 + ".example.com"
    assert User.objects.create_user(email, PASSWORD).personal_account.name == "a" * 64
