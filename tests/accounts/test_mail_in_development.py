"""In development no mail leaves: it lies in an inbox that is a page."""

import re
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from tests.accounts.acts import is_signed_in, sign_in, sign_up

pytestmark = pytest.mark.usefixtures("inbox")


@pytest.fixture
def inbox(settings: Settings, tmp_path: Path) -> Path:
    """An empty inbox instead of Django's outbox for tests."""
    settings.EMAIL_BACKEND = "dev.inbox.InboxBackend"
    settings.DATA_DIR = tmp_path
    return tmp_path / "inbox"


def newest_message(client: Client) -> str:
    """The page of the mail on top of the inbox."""
    page = client.get(reverse("dev_inbox")).content.decode()
    found = re.search(r'href="(/dev/inbox/[0-9a-f-]+)"', page)
    assert found, page
    return str(client.get(found[1]).content.decode())


def link_in(page: str, beginning: str) -> str:
    found = re.search(rf'href="http://testserver({re.escape(beginning)}[^"]+)"', page)
    assert found, page
    return found[1]


def test_an_empty_inbox_says_so(client: Client, plans: None) -> None:
    assert "No mail yet" in client.get(reverse("dev_inbox")).content.decode()


def test_the_confirmation_lies_in_the_inbox_and_its_link_works(client: Client, plans: None) -> None:
    sign_up(client, "new@example.com")
    page = newest_message(client)
    assert "new@example.com" in page
    link = link_in(page, "/auth/confirm-email/")
    client.post(link)
    address = EmailAddress.objects.get(user=User.objects.get())
    assert address.verified
    assert address.primary


def test_the_reset_mail_lies_in_the_inbox_and_its_link_works(client: Client, owner: User) -> None:
    client.post(reverse("account_reset_password"), {"email": "owner@example.com"})
    form = client.get(link_in(newest_message(client), "/auth/password/reset/key/"), follow=True)
    password = "a wholly different passphrase"
    client.post(form.redirect_chain[-1][0], {"password1": password, "password2": password})
    browser = Client()
    sign_in(browser, "owner@example.com", password)
    assert is_signed_in(browser)


def test_mails_are_files_that_only_their_owner_reads(
    client: Client, plans: None, inbox: Path
) -> None:
    sign_up(client, "new@example.com")
    (mail,) = inbox.glob("*.eml")
    assert mail.stat().st_mode & 0o777 == 0o600
    assert inbox.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "name",
    [
        "../secrets.json",
        "..%2Fsecrets.json",
        "%2e%2e%2fsecrets",
        "..%5csecrets",
        "../../etc/passwd",
        "%2Fetc%2Fpasswd",
        "secrets",
        "secrets.json%00",
        "0" * 20,
        "0" * 20 + "-" + "g" * 32,
        "0" * 20 + "-" + "0" * 32,
        "0" * 20 + "-" + "0" * 32 + "%0A",
        "x" * 5_000,
    ],
)
def test_nothing_but_a_mail_of_the_inbox_is_shown(
    client: Client, plans: None, inbox: Path, name: str
) -> None:
    inbox.mkdir()
    (inbox.parent / "secrets.json").write_text("a secret")
    (inbox / "secrets.eml").write_text("Subject: a secret\n\na secret")
    response = client.get(f"/dev/inbox/{name}")
    assert response.status_code == 404
    assert "a secret" not in response.content.decode()


def test_a_mail_is_shown_as_text(client: Client, plans: None, inbox: Path) -> None:
    inbox.mkdir()
    name = "00001700000000000000-" + "0" * 32
    (inbox / f"{name}.eml").write_text("Subject: <b>x</b>\nTo: a@b\n\n<script>alert(1)</script>")
    page = client.get(f"/dev/inbox/{name}").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
