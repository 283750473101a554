"""While Valkey or PostgreSQL is away a page says what is so, and nothing is half done."""

import socket
from collections.abc import Iterator

import pytest
from django.core import mail
from django.core.cache import caches
from django.db import connections
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import Account, User
from tests.accounts.acts import is_signed_in, sign_in, sign_up
from tests.conftest import PASSWORD
from tests.site.test_access import (
    ALLAUTH,
    ALLAUTH_ARGUMENTS,
    ARGUMENTS,
    DECIDED,
    admin_urls,
)

SENTENCE = "A part of the site that this page needs does not answer."


def _nobody_listens() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def valkey_away(settings: Settings) -> None:
    """Cache, broker and gate lead to where nobody listens."""
    server = _nobody_listens()
    settings.REDIS_URL = f"{server}/0"
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": f"{server}/2"},
    }


@pytest.fixture
def hung_cache(settings: Settings) -> Iterator[None]:
    """A Valkey that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/2"
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": address}}
        yield
        caches["default"].close()


def browser() -> Client:
    return Client(raise_request_exception=False)


def signed_in(user: User) -> Client:
    client = browser()
    client.force_login(user)
    return client


@pytest.mark.usefixtures("valkey_away")
def test_signing_up_says_what_is_so_and_makes_nobody(plans: None) -> None:
    answer = sign_up(browser(), "new@example.com")
    page = answer.content.decode()
    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert SENTENCE in page
    assert "pay" not in page.partition("<main")[2]
    assert "no-store" in answer["Cache-Control"]
    assert not User.objects.exists()
    assert not Account.objects.exists()
    assert mail.outbox == []


@pytest.mark.usefixtures("valkey_away")
def test_nobody_signs_in_past_a_throttle_that_cannot_count(owner: User) -> None:
    client = browser()
    assert sign_in(client, "owner@example.com").status_code == 503
    assert not is_signed_in(client)


@pytest.mark.usefixtures("valkey_away")
def test_no_reset_mail_is_sent_past_a_throttle_that_cannot_count(owner: User) -> None:
    answer = browser().post(reverse("account_reset_password"), {"email": "owner@example.com"})
    assert answer.status_code == 503
    assert mail.outbox == []


@pytest.mark.usefixtures("hung_cache")
def test_a_valkey_that_hangs_is_as_good_as_away(plans: None) -> None:
    assert sign_up(browser(), "new@example.com").status_code == 503
    assert not User.objects.exists()


@pytest.mark.usefixtures("valkey_away")
@pytest.mark.parametrize("name", sorted({*DECIDED, *ALLAUTH}))
def test_no_address_answers_with_a_fault_of_ours(owner: User, name: str) -> None:
    arguments = ALLAUTH_ARGUMENTS | ARGUMENTS
    arguments["dev_inbox_message"] = ["00001700000000000000-" + "0" * 32]
    url = reverse(name, args=arguments.get(name))
    fields = {
        "email": "new@example.com",
        "password1": PASSWORD,
        "login": "owner@example.com",
        "password": PASSWORD,
        "oldpassword": PASSWORD,
        "action_add": "",
    }
    for client in (browser(), signed_in(owner)):
        for answer in (client.get(url), client.post(url, fields)):
            assert answer.status_code < 500 or answer.status_code == 503
            if answer.status_code == 503 and name != "readyz":
                assert SENTENCE in answer.content.decode()
                assert answer["Retry-After"]


@pytest.mark.usefixtures("valkey_away")
def test_the_admin_works_on(admin_user: User) -> None:
    client = signed_in(admin_user)
    for name, url in admin_urls().items():
        assert client.get(url).status_code < 500, name


@pytest.mark.usefixtures("valkey_away")
def test_pages_that_need_no_valkey_work_on(owner: User) -> None:
    client = signed_in(owner)
    for name in ("home", "pricing", "quickstart", "keys", "usage", "billing", "account_login"):
        assert client.get(reverse(name), follow=True).status_code == 200, name


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["home", "pricing", "keys", "billing"])
def test_without_postgres_a_page_says_so_too(
    owner: User, settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a middleware is the first to need it."""
    client = signed_in(owner)
    connection = connections["default"]
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    real = dict(connection.settings_dict)
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "HOST", "/nonexistent")
        patch.setitem(connection.settings_dict, "OPTIONS", {"connect_timeout": 1})
        answer = client.get(reverse(name))
    connection.close()
    assert connection.settings_dict == real
    assert answer.status_code == 503
    assert SENTENCE in answer.content.decode()


# --- what the page says -------------------------------------------------------------------------


def test_only_who_was_paying_is_told_not_to_pay_twice() -> None:
    for template in ("500.html", "503.html"):
        elsewhere = render_to_string(template, {"was_paying": False})
        paying = render_to_string(template, {"was_paying": True})
        assert "pay" not in elsewhere.partition("<main")[2]
        assert "do not pay twice" in paying
        assert reverse("billing") in paying


def test_a_fault_while_paying_says_not_to_pay_twice_and_another_does_not(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("billing.views.standing_of", broken)
    monkeypatch.setattr("keys.views.NewKeyForm", broken)
    client = signed_in(owner)
    billing, keys = client.get(reverse("billing")), client.get(reverse("keys"))
    assert (billing.status_code, keys.status_code) == (500, 500)
    assert "do not pay twice" in billing.content.decode()
    assert "pay twice" not in keys.content.decode()
