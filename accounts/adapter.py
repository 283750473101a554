"""How allauth makes our users."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sends people who signed in or up to their keys."""

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """A new user's first need is a key."""
        return reverse("keys")

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong passwords by e-mail address alone.

        allauth counts by Host and port besides, which the guesser chooses: another port each time
        was another count.
        """
        return str(credentials.get("email", credentials.get("username", ""))).lower()
