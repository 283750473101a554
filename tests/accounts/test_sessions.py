"""Where somebody is signed in, and how that ends."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEvent, User
from accounts.sessions import client_in_words
from tests.accounts.acts import is_signed_in, sign_in
from tests.conftest import PASSWORD

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def laptop(owner: User) -> Client:
    browser = Client(HTTP_USER_AGENT=LAPTOP, REMOTE_ADDR="192.0.2.7")
    sign_in(browser, owner.email)
    return browser


@pytest.fixture
def phone(owner: User) -> Client:
    browser = Client(HTTP_USER_AGENT=PHONE, REMOTE_ADDR="192.0.2.8")
    sign_in(browser, owner.email)
    return browser


def page_of(browser: Client) -> str:
    return browser.get(reverse("security")).content.decode()


def test_they_are_listed_with_place_and_program(laptop: Client, phone: Client) -> None:
    page = page_of(laptop)
    for words in ("Firefox on Linux", "192.0.2.7", "Safari on iPhone", "192.0.2.8"):
        assert words in page
    this = page.index("This one")
    assert page.index("Firefox on Linux") < this < page.index("Safari on iPhone")
    # The number of a session is its key.
    for browser in (laptop, phone):
        assert str(browser.session.session_key) not in page


def test_one_is_ended(laptop: Client, phone: Client, owner: User) -> None:
    row = UserSession.objects.get(session_key=phone.session.session_key)
    laptop.post(reverse("session_end", args=[row.pk]))
    assert not is_signed_in(phone)
    assert is_signed_in(laptop)
    assert "Safari on iPhone" not in page_of(laptop)
    event = AuditEvent.objects.filter(account=owner.personal_account).last()
    assert event is not None
    assert (event.act, event.thing) == ("session ended", "Safari on iPhone, 192.0.2.8")


def test_somebody_elses_is_not_there(phone: Client, outsider_client: Client) -> None:
    row = UserSession.objects.get(session_key=phone.session.session_key)
    assert outsider_client.post(reverse("session_end", args=[row.pk])).status_code == 404
    assert is_signed_in(phone)


def test_all_others_are_ended_also_those_that_nobody_wrote_down(
    laptop: Client, phone: Client, owner: User
) -> None:
    unknown = Client()
    unknown.force_login(owner)
    laptop.post(reverse("sessions_end"))
    assert is_signed_in(laptop)
    assert [is_signed_in(browser) for browser in (phone, unknown)] == [False, False]
    page = page_of(laptop)
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" not in page
    again = Client()
    sign_in(again, owner.email)
    assert is_signed_in(again)
    laptop.post(reverse("sessions_end"))
    assert not is_signed_in(again)


def test_a_new_password_ends_the_others_and_the_list_says_so(laptop: Client, phone: Client) -> None:
    new = "another-long-password-7"
    sent = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    laptop.post(reverse("account_change_password"), sent)
    assert not is_signed_in(phone)
    page = page_of(laptop)
    assert "This one" in page
    assert "Safari on iPhone" not in page
    assert page.count("Firefox on Linux</") <= 1


def test_one_that_ended_by_itself_is_not_listed(laptop: Client, phone: Client) -> None:
    key = str(phone.session.session_key)
    before = timezone.now() - timedelta(minutes=1)
    Session.objects.filter(session_key=key).update(expire_date=before)
    assert "Safari on iPhone" not in page_of(laptop)


def test_a_session_of_an_earlier_release_is_written_down_when_it_is_used(
    owner: User, laptop: Client
) -> None:
    old = Client(HTTP_USER_AGENT=PHONE)
    old.force_login(owner)
    assert "Safari on iPhone" not in page_of(laptop)
    is_signed_in(old)
    assert "Safari on iPhone" in page_of(laptop)


def test_where_it_was_last_used_is_kept_and_not_at_every_page(laptop: Client) -> None:
    row = UserSession.objects.get()
    laptop.get(reverse("keys"))
    laptop.defaults["REMOTE_ADDR"] = "192.0.2.99"
    laptop.get(reverse("keys"))
    row.refresh_from_db()
    assert row.ip == "192.0.2.7"
    session = laptop.session
    session["seen_at"] -= 700
    session.save()
    laptop.get(reverse("keys"))
    row.refresh_from_db()
    assert row.ip == "192.0.2.99"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("", "Unknown program"),
        ("python-requests/2", "python-requests/2"),
        ("x" * 500, "x" * 40),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/126.0 Mobile Safari/537.36", "Chrome on Android"),
    ],
)
def test_a_program_is_called_what_it_seems_to_be(agent: str, words: str) -> None:
    assert client_in_words(agent) == words
