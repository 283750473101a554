"""No cache keeps a page of somebody who is signed in, and nobody else can set their cookies."""

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from tests.accounts.acts import sign_in
from tests.site.test_access import ALLAUTH, ALLAUTH_ARGUMENTS, ARGUMENTS, DECIDED, admin_urls
from tests.site.test_settings import PRODUCTION, read


@pytest.mark.parametrize("name", sorted({*DECIDED, *ALLAUTH} - {"dev_inbox_message"}))
def test_no_answer_to_somebody_who_is_signed_in_is_kept(owner: User, name: str) -> None:
    arguments = ALLAUTH_ARGUMENTS | ARGUMENTS
    for method in ("get", "post"):
        browser = Client()
        browser.force_login(owner)
        answer = getattr(browser, method)(reverse(name, args=arguments.get(name)))
        assert "no-store" in answer["Cache-Control"], method


def test_nor_any_page_of_the_admin(admin_client: Client) -> None:
    for name, url in admin_urls().items():
        if name != "admin:logout":
            assert "no-store" in admin_client.get(url)["Cache-Control"], name


def test_a_page_that_is_not_there_knows_the_visitor_and_is_not_kept(owner_client: Client) -> None:
    assert "no-store" in owner_client.get("/no/such/page")["Cache-Control"]


def test_the_answers_that_sign_in_and_out_are_not_kept(owner: User) -> None:
    browser = Client()
    assert "no-store" in sign_in(browser, "owner@example.com")["Cache-Control"]
    assert "no-store" in browser.post(reverse("account_logout"))["Cache-Control"]


def test_public_pages_of_strangers_may_be_kept(client: Client, plans: None) -> None:
    assert "no-store" not in client.get(reverse("pricing")).get("Cache-Control", "")


def test_static_files_may_be_kept_by_everybody(owner_client: Client, plans: None) -> None:
    answer = owner_client.get("/static/css/base.css")
    assert answer.status_code == 200
    assert "no-store" not in answer.get("Cache-Control", "")
    answer.close()


def test_it_goes_by_the_cookie_whatever_its_name(owner: User, settings: Settings) -> None:
    settings.SESSION_COOKIE_NAME = "__Host-sessionid"
    browser = Client()
    browser.force_login(owner)
    assert "no-store" in browser.get(reverse("pricing"))["Cache-Control"]


@pytest.mark.slow
def test_cookies_of_production_belong_to_this_very_host(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        PRODUCTION,
        "SESSION_COOKIE_NAME",
        "SESSION_COOKIE_SECURE",
        "SESSION_COOKIE_PATH",
        "SESSION_COOKIE_DOMAIN",
        "CSRF_COOKIE_NAME",
        "CSRF_COOKIE_SECURE",
        "CSRF_COOKIE_PATH",
        "CSRF_COOKIE_DOMAIN",
    )
    found.pop("inbox")
    assert found == {
        "SESSION_COOKIE_NAME": "__Host-sessionid",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_PATH": "/",
        "SESSION_COOKIE_DOMAIN": None,
        "CSRF_COOKIE_NAME": "__Host-csrftoken",
        "CSRF_COOKIE_SECURE": True,
        "CSRF_COOKIE_PATH": "/",
        "CSRF_COOKIE_DOMAIN": None,
    }


@pytest.mark.slow
def test_development_over_plain_http_keeps_cookies_that_browsers_take(tmp_path: Path) -> None:
    found = read(tmp_path, {}, "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME")
    assert found["SESSION_COOKIE_NAME"] == "sessionid"
    assert found["CSRF_COOKIE_NAME"] == "csrftoken"
