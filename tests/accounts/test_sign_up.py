"""Signing up: a user, with an account of their own."""

import re

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, Membership, User
from config import settings as site_settings
from quotas.standing import standing_of
from tests.accounts.acts import sign_up
from tests.conftest import PASSWORD


def test_a_new_user_owns_a_personal_account(client: Client, plans: None) -> None:
    response = sign_up(client, "new@example.com")
    user = User.objects.get()
    assert response.status_code == 302
    assert response["Location"] == reverse("keys")
    assert client.session["_auth_user_id"] == str(user.pk)
    membership = Membership.objects.get(user=user)
    assert membership.role == Membership.Role.OWNER
    assert membership.account == user.personal_account
    assert membership.account.is_personal
    assert membership.account.name == "new"
    assert not user.is_staff
    assert not user.is_superuser


def test_a_new_account_is_on_free(client: Client, plans: None) -> None:
    sign_up(client, "new@example.com")
    standing = standing_of(User.objects.get().personal_account, at=timezone.now())
    assert standing is not None
    assert (standing.plan_name, standing.cap, standing.left) == ("Free", 50, 50)
    page = client.get(reverse("billing")).content.decode()
    assert "Free" in page


def test_the_password_is_kept_as_an_argon2_hash(
    client: Client, plans: None, settings: Settings
) -> None:
    settings.PASSWORD_HASHERS = site_settings.PASSWORD_HASHERS
    sign_up(client, "new@example.com")
    assert User.objects.get().password.startswith("argon2$")


@pytest.mark.parametrize("email", ["Owner@Example.com", "OWNER@EXAMPLE.COM", "owner@example.com"])
def test_an_address_in_another_case_is_the_same_address(
    client: Client, owner: User, email: str
) -> None:
    sign_up(client, email)
    assert User.objects.count() == 1
    assert "_auth_user_id" not in client.session


def test_the_database_itself_refuses_the_same_address_in_another_case(owner: User) -> None:
    with pytest.raises(IntegrityError, match="user_email_unique"), transaction.atomic():
        User.objects.create_user("OWNER@example.com", PASSWORD)
    assert Account.objects.count() == 1


@pytest.mark.parametrize(
    ("email", "password", "sentence"),
    [
        ("", PASSWORD, "Fill this in."),
        ("no address", PASSWORD, "Enter a valid email address."),
        ("new@example.com", "", "Fill this in."),
        ("new@example.com", "short", "This password is too short."),
        ("new@example.com", "password123", "This password is too common."),
        ("new@example.com", "8461379046", "This password is entirely numeric."),
        ("new@example.com", "new@example.com", "The password is too similar to the"),
    ],
)
def test_a_wrong_form_is_explained_and_makes_no_user(
    client: Client, plans: None, email: str, password: str, sentence: str
) -> None:
    response = sign_up(client, email, password)
    page = response.content.decode()
    assert sentence in page
    assert f'value="{email}"' in page or not email
    assert not password or f'value="{password}"' not in page or email == password
    assert not User.objects.exists()


def test_extra_fields_give_no_rights(client: Client, plans: None) -> None:
    sign_up(
        client,
        "new@example.com",
        is_staff="on",
        is_superuser="on",
        is_active="",
        account="1",
        plan="pro",
        credits="1000",
        id="987654321",
    )
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert user.pk != 987654321
    standing = standing_of(user.personal_account, at=timezone.now())
    assert standing is not None
    assert (standing.plan_name, standing.credits_left) == ("Free", 0)


def test_somebody_signed_in_is_sent_to_their_keys(owner_client: Client) -> None:
    assert owner_client.get(reverse("account_signup"))["Location"] == reverse("keys")


# --- nobody learns who has an account -------------------------------------------------------


def test_sign_up_answers_alike_for_a_known_and_an_unknown_address(
    client: Client, owner: User, settings: Settings
) -> None:
    """As in production, where an address has to be confirmed before it is used."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    known, unknown = (
        sign_up(Client(), email) for email in ("owner@example.com", "other@example.com")
    )
    assert known.status_code == unknown.status_code == 302
    assert known["Location"] == unknown["Location"] == reverse("account_email_verification_sent")
    assert known.cookies.keys() == unknown.cookies.keys()
    assert [m.to for m in mail.outbox] == [["owner@example.com"], ["other@example.com"]]


def test_who_has_an_account_already_is_told_by_mail(
    client: Client, owner: User, settings: Settings
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    sign_up(client, "owner@example.com")
    assert "account" in mail.outbox[0].subject.lower()
    assert reverse("account_reset_password") in mail.outbox[0].body


def test_a_mandatory_address_must_be_confirmed_before_signing_in(
    client: Client, plans: None, settings: Settings
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    sign_up(client, "new@example.com")
    assert client.get(reverse("keys")).status_code == 302
    found = re.search(
        r"https?://testserver(/auth/confirm-email/[^/\s]+/)", str(mail.outbox[0].body)
    )
    assert found
    # A visit alone confirms nothing: programs that scan mail follow links, too.
    assert client.get(found[1]).status_code == 200
    assert client.get(reverse("keys")).status_code == 302
    client.post(found[1])
    client.post(reverse("account_login"), {"login": "new@example.com", "password": PASSWORD})
    assert client.get(reverse("keys")).status_code == 200
