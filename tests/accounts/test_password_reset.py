"""A forgotten password: a mail, a link, a new password."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.accounts.acts import is_signed_in, sign_in
from tests.site.answer import Answer

NEW_PASSWORD = "a wholly different passphrase"


def ask(client: Client, email: str) -> Answer:
    return client.post(reverse("account_reset_password"), {"email": email})


def mailed_link(number: int = -1) -> str:
    """The path of the link in a mail."""
    found = re.search(
        r"https?://testserver(/auth/password/reset/key/\S+)", str(mail.outbox[number].body)
    )
    assert found, str(mail.outbox[number].body)
    return found[1]


def choose(client: Client, link: str, password: str = NEW_PASSWORD) -> Answer:
    """Follow the link and submit the form that it leads to."""
    page = client.get(link, follow=True)
    form = page.redirect_chain[-1][0] if page.redirect_chain else link
    return client.post(form, {"password1": password, "password2": password})


def test_the_mailed_link_sets_a_new_password(client: Client, owner: User) -> None:
    ask(client, "owner@example.com")
    assert mail.outbox[0].to == ["owner@example.com"]
    assert choose(client, mailed_link()).status_code == 302
    sign_in(Client(), "owner@example.com", NEW_PASSWORD)
    other = Client()
    sign_in(other, "owner@example.com", NEW_PASSWORD)
    assert is_signed_in(other)
    owner.refresh_from_db()
    assert owner.check_password(NEW_PASSWORD)


def test_known_and_unknown_addresses_get_the_same_answer(owner: User) -> None:
    known = ask(Client(), "owner@example.com")
    unknown = ask(Client(), "nobody@example.com")
    assert known.status_code == unknown.status_code == 302
    assert known["Location"] == unknown["Location"] == reverse("account_reset_password_done")
    assert known.cookies.keys() == unknown.cookies.keys()
    # Each is told by mail, where nobody else reads it.
    assert [m.to for m in mail.outbox] == [["owner@example.com"], ["nobody@example.com"]]
    assert "/auth/password/reset/key/" not in mail.outbox[1].body


def test_a_link_works_once(client: Client, owner: User) -> None:
    ask(client, "owner@example.com")
    link = mailed_link()
    choose(client, link)
    assert "This link no longer works" in _text(Client().get(link, follow=True))
    choose(Client(), link, "yet another passphrase")
    owner.refresh_from_db()
    assert owner.check_password(NEW_PASSWORD)


@pytest.mark.parametrize("link", ["0-0", "1-abc-def", "zzzzzzzz-set-password"])
def test_a_made_up_link_sets_nothing(client: Client, owner: User, link: str) -> None:
    response = choose(client, f"/auth/password/reset/key/{link}/")
    assert response.status_code < 500
    owner.refresh_from_db()
    assert not owner.check_password(NEW_PASSWORD)


def test_a_weak_password_is_refused(client: Client, owner: User) -> None:
    ask(client, "owner@example.com")
    response = choose(client, mailed_link(), "password123")
    assert "This password is too common." in _text(response)
    owner.refresh_from_db()
    assert not owner.check_password("password123")


def test_the_address_in_the_link_is_not_the_one_that_a_header_claims(
    client: Client, owner: User
) -> None:
    client.post(
        reverse("account_reset_password"),
        {"email": "owner@example.com"},
        HTTP_X_FORWARDED_HOST="evil.example",
    )
    assert "evil.example" not in mail.outbox[0].body


def test_a_new_password_ends_the_other_sessions(owner: User) -> None:
    laptop, phone = Client(), Client()
    for browser in (laptop, phone):
        sign_in(browser, "owner@example.com")
        assert is_signed_in(browser)
    laptop.post(
        reverse("account_change_password"),
        {
            "oldpassword": "correct horse battery staple",
            "password1": NEW_PASSWORD,
            "password2": NEW_PASSWORD,
        },
    )
    owner.refresh_from_db()
    assert owner.check_password(NEW_PASSWORD)
    assert not is_signed_in(phone)


def test_the_owner_is_told_by_mail_that_the_password_was_changed(
    client: Client, owner: User
) -> None:
    ask(client, "owner@example.com")
    choose(client, mailed_link())
    assert "password" in mail.outbox[-1].subject.lower()
    assert len(mail.outbox) == 2
    assert NEW_PASSWORD not in mail.outbox[-1].body


def _text(response: Answer) -> str:
    return str(response.content.decode())
