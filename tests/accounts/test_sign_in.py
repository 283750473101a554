"""Signing in and out."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.accounts.acts import is_signed_in, sign_in
from tests.conftest import PASSWORD

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "http:evil.example",
    "https:///evil.example",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "https://testserver@evil.example/",
    "https://testserver.evil.example/",
    " https://evil.example",
]


@pytest.mark.parametrize("email", ["owner@example.com", "OWNER@Example.Com", " owner@example.com "])
def test_the_right_password_signs_in_whatever_the_case_of_the_address(
    client: Client, owner: User, email: str
) -> None:
    response = sign_in(client, email)
    assert response["Location"] == reverse("keys")
    assert is_signed_in(client)


def test_a_wrong_password_does_not(client: Client, owner: User) -> None:
    response = sign_in(client, "owner@example.com", "wrong")
    assert response.status_code == 200
    assert "password you specified are not correct" in response.content.decode()
    assert not is_signed_in(client)


def test_known_and_unknown_addresses_are_refused_alike(owner: User) -> None:
    known, unknown = (
        sign_in(Client(), email, "wrong").content.decode().replace(email, "…")
        for email in ("owner@example.com", "nobody@example.com")
    )
    without_token = [page[: page.index("csrfmiddlewaretoken")] for page in (known, unknown)]
    assert without_token[0] == without_token[1]
    assert known.count("errorlist") == unknown.count("errorlist")


def test_a_user_who_is_switched_off_cannot_sign_in(client: Client, owner: User) -> None:
    owner.is_active = False
    owner.save()
    sign_in(client, "owner@example.com")
    assert not is_signed_in(client)


def test_switching_a_user_off_ends_their_sessions(owner_client: Client, owner: User) -> None:
    assert is_signed_in(owner_client)
    owner.is_active = False
    owner.save()
    assert not is_signed_in(owner_client)


def test_signing_in_changes_the_session_key(client: Client, owner: User) -> None:
    client.get(reverse("account_login"))
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    before = session.session_key
    sign_in(client, "owner@example.com")
    assert client.session.session_key != before


def test_signing_out_needs_a_post(owner_client: Client) -> None:
    assert owner_client.get(reverse("account_logout")).status_code == 200
    assert is_signed_in(owner_client)
    response = owner_client.post(reverse("account_logout"))
    assert response["Location"] == reverse("home")
    assert not is_signed_in(owner_client)


def test_a_page_that_needs_a_user_is_shown_after_signing_in(client: Client, owner: User) -> None:
    response = client.get(reverse("billing"))
    assert response["Location"] == f"{reverse('account_login')}?next={reverse('billing')}"
    answer = client.post(
        response["Location"],
        {"login": "owner@example.com", "password": PASSWORD, "next": reverse("billing")},
    )
    assert answer["Location"] == reverse("billing")


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_leads_to_no_other_site(client: Client, owner: User, target: str) -> None:
    client.get(reverse("account_login"), {"next": target})
    response = client.post(
        reverse("account_login", query={"next": target}),
        {"login": "owner@example.com", "password": PASSWORD, "next": target},
    )
    assert response.status_code == 302
    assert response["Location"] == reverse("keys")


def test_a_line_end_in_the_target_makes_no_header(client: Client, owner: User) -> None:
    response = sign_in(client, "owner@example.com", next="/account/keys\r\nSet-Cookie: a=b")
    assert response["Location"] == "/account/keys%0D%0ASet-Cookie:%20a=b"
    assert "a" not in response.cookies


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_out_leads_to_no_other_site(owner_client: Client, target: str) -> None:
    response = owner_client.post(reverse("account_logout"), {"next": target})
    assert response["Location"] == reverse("home")


@pytest.mark.parametrize("target", ELSEWHERE)
def test_a_visit_to_the_sign_in_page_sends_nobody_away(owner_client: Client, target: str) -> None:
    response = owner_client.get(reverse("account_login"), {"next": target})
    assert response.status_code == 302
    assert response["Location"] == reverse("keys")


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    client: Client, owner: User
) -> None:
    sign_in(client, "owner@example.com")
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_form_from_another_site_is_refused(owner: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert sign_in(browser, "owner@example.com").status_code == 403
    assert not is_signed_in(browser)
