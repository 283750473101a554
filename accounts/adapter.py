"""How allauth makes our users."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts import language
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sends people who signed in or up to their keys."""

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """A new user's first need is a key."""
        return reverse("keys")

    def post_login(self, request: HttpRequest, user: User, **how: Any) -> HttpResponse:
        """Where they go now; the browser has their language from now on."""
        response: HttpResponse = super().post_login(request, user, **how)
        language.meet(user, response)
        return response

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """In the language of whose address it is, whoever asks for it."""
        with language.spoken_to(context.get("user")):
            super().send_mail(template_prefix, email, context)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count wrong passwords by e-mail address alone.

        allauth counts by Host and port besides, which the guesser chooses: another port each time
        was another count.
        """
        return str(credentials.get("email", credentials.get("username", ""))).lower()
