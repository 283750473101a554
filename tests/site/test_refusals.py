"""Requests that are refused get a page that says why, and nothing more."""

from uuid import uuid4

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from accounts.models import User


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "evil.example:80",
        "127.0.0.1/evil",
        "",
        "a" * 300,
    ],
)
@pytest.mark.parametrize("path", ["/", "/auth/password/reset/", "/account/keys", "/admin/"])
def test_a_forged_host_is_refused(client: Client, plans: None, host: str, path: str) -> None:
    response = client.get(path, HTTP_HOST=host)
    assert response.status_code == 400
    assert host not in response.content.decode() or not host


def test_a_forwarded_host_is_not_believed(client: Client, plans: None) -> None:
    response = client.get("/docs/quickstart", HTTP_X_FORWARDED_HOST="evil.example")
    assert response.status_code == 200
    assert "evil.example" not in response.content.decode()


def test_a_page_that_is_not_there_says_so(client: Client, plans: None) -> None:
    response = client.get("/no/such/page")
    assert response.status_code == 404
    assert "Page not found" in response.content.decode()


def test_the_page_about_a_missing_page_knows_who_is_signed_in(owner_client: Client) -> None:
    page = owner_client.get(f"/account/billing/purchases/{uuid4()}").content.decode()
    assert "Page not found" in page
    assert "Olga Owner" in page


@pytest.mark.parametrize(
    "path",
    ["/account/keys/abc/revoke", "/account/keys/-1/revoke", "/account/billing/purchases/1", "/%00"],
)
def test_an_address_that_makes_no_sense_is_not_found(owner_client: Client, path: str) -> None:
    assert owner_client.get(path).status_code == 404


def test_a_form_without_its_token_is_explained(owner: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    response = browser.post(reverse("key_create"), {"name": "x", "submission": uuid4()})
    page = response.content.decode()
    assert response.status_code == 403
    assert "<h1>" in page
    assert "CSRF" not in page.partition("<main")[2]


def test_the_page_for_a_forbidden_request_renders(client: Client, plans: None) -> None:
    assert "<h1>" in render_to_string("403.html")


def test_the_page_for_too_many_requests_renders(plans: None) -> None:
    for _ in range(21):
        response = Client().post(reverse("account_signup"), {"email": "no address"})
    assert response.status_code == 429
    assert "<h1>" in response.content.decode()


def test_the_page_for_our_own_failure_needs_nothing() -> None:
    page = render_to_string("500.html")
    assert "Something went wrong on our side" in page
