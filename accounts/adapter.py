"""How allauth makes our users."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.urls import reverse


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sends people who signed in or up to their keys."""

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """A new user's first need is a key."""
        return reverse("keys")
