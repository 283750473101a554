"""Staff reach the admin with more than a password only, wherever it matters."""

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.acting import Acting, Via, acting
from accounts.models import AuditEvent, User
from tests.accounts.acts import is_signed_in, sign_in
from tests.accounts.test_second_factor import add_app, code_of, give
from tests.site.test_access import admin_urls

pytestmark = pytest.mark.django_db(transaction=True)
INDEX = "/admin/"


@pytest.fixture
def strict(settings: Settings) -> None:
    """As in production."""
    settings.ADMIN_NEEDS_SECOND_FACTOR = True


def test_in_development_a_password_will_do_and_the_page_says_so(admin_client: Client) -> None:
    page = admin_client.get(INDEX)
    assert page.status_code == 200
    assert "the admin opens to a password alone" in page.content.decode()


@pytest.mark.usefixtures("strict")
def test_by_a_password_alone_no_page_of_the_admin_opens(admin_client: Client) -> None:
    for name, url in admin_urls().items():
        for answer in (admin_client.get(url), admin_client.post(url)):
            if name == "admin:login":
                assert answer.status_code == 403
                assert "The admin asks for more than a password" in answer.content.decode()
            elif name != "admin:logout":
                assert answer["Location"].startswith(reverse("admin:login")), name


@pytest.mark.usefixtures("strict")
def test_with_a_code_it_opens(admin_user: User) -> None:
    browser = Client()
    sign_in(browser, admin_user.email)
    assert browser.get(INDEX, follow=True).status_code == 403
    secret = add_app(browser)
    # The code was typed, but to add the app: it is asked for once more, and leads back.
    wanted = "/admin/accounts/account/"
    asked = browser.get(wanted, follow=True)
    where, _ = asked.redirect_chain[-1]
    assert where.startswith(reverse("mfa_reauthenticate"))
    code = code_of(secret, steps_later=1)
    answer = browser.post(reverse("mfa_reauthenticate"), {"code": code, "next": wanted})
    assert answer["Location"] == wanted
    page = browser.get(wanted)
    assert page.status_code == 200
    assert "the admin opens to a password alone" not in page.content.decode()


@pytest.mark.usefixtures("strict")
def test_who_signed_in_with_a_code_is_not_asked_again(admin_user: User) -> None:
    first, browser = Client(), Client()
    sign_in(first, admin_user.email)
    secret = add_app(first)
    sign_in(browser, admin_user.email)
    give(browser, code_of(secret, steps_later=1))
    assert browser.get(INDEX).status_code == 200


@pytest.mark.usefixtures("strict")
def test_the_way_back_leads_to_no_other_site(admin_user: User) -> None:
    browser = Client()
    sign_in(browser, admin_user.email)
    secret = add_app(browser)
    asked = browser.get(reverse("admin:login"), {"next": "https://evil.example/"})
    code = code_of(secret, steps_later=1)
    answer = browser.post(asked["Location"], {"code": code, "next": "https://evil.example/"})
    assert "evil.example" not in answer["Location"]


def test_who_lost_everything_is_helped_by_a_command(admin_client: Client, admin_user: User) -> None:
    add_app(admin_client)
    with acting(Acting(Via.COMMAND, name="manage.py forget_second_factor")):
        call_command("forget_second_factor", admin_user.email.upper())
    assert not Authenticator.objects.exists()
    assert not is_signed_in(admin_client)
    browser = Client()
    sign_in(browser, admin_user.email)
    assert is_signed_in(browser)
    event = AuditEvent.objects.filter(act="second factor forgotten").get()
    assert (event.via, event.user) == ("command", None)
    with pytest.raises(CommandError, match="Nobody signs in"):
        call_command("forget_second_factor", "nobody@example.com")
