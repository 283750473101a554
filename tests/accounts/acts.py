"""What people do to get in."""

from typing import Any

from django.test import Client
from django.urls import reverse

from tests.conftest import PASSWORD
from tests.site.answer import Answer


def sign_up(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Answer:
    """Submit the form for a new user."""
    fields = {"email": email, "password1": password, **more}
    return client.post(reverse("account_signup"), fields)


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Answer:
    """Submit the form to sign in; `HTTP_…` arguments are headers."""
    headers = {name: value for name, value in more.items() if name.isupper()}
    fields = {name: value for name, value in more.items() if not name.isupper()}
    fields = {"login": email, "password": password, **fields}
    return client.post(reverse("account_login"), fields, **headers)


def is_signed_in(client: Client) -> bool:
    """Whether the browser may see its account."""
    return client.get(reverse("keys")).status_code == 200
