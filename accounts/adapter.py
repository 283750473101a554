"""How allauth makes our users."""

from typing import Any, cast

from allauth import app_settings as allauth_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import record_authentication
from allauth.core import context
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import language
from accounts.models import User
from accounts.recent import is_recent


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sends people who signed in or up to their keys."""

    def get_signup_redirect_url(self, request: HttpRequest) -> str:
        """A new user's first need is a key."""
        return reverse("keys")

    def post_login(self, request: HttpRequest, user: User, **how: Any) -> HttpResponse:
        """Where they go now; the browser has their language from now on."""
        if how.get("signup"):
            # Who chose a password a moment ago is not asked for it again.
            record_authentication(request, user, method="signup")
        response: HttpResponse = super().post_login(request, user, **how)
        language.meet(user, response)
        return response

    def is_reauthentication_required(self, *, app: str, **_more: Any) -> bool:
        """Signing in counts, too: allauth would ask again at once."""
        return not is_recent(context.request)

    def get_reauthentication_methods(self, user: User | AnonymousUser) -> list[dict[str, Any]]:
        """Who has no password and no second factor shows who they are where they came in."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if methods or not user.is_authenticated or not allauth_settings.SOCIALACCOUNT_ENABLED:
            return methods
        rows = cast("Any", user).socialaccount_set
        connected = rows.values_list("provider", flat=True).order_by("pk")
        return [
            {
                "id": f"elsewhere:{name}",
                "description": _("Use %(site)s") % {"site": name},
                "url": reverse(f"{name}_login"),
            }
            for name in connected
            if name in settings.SOCIALACCOUNT_PROVIDERS
        ]

    def reauthenticate(self, user: User, password: str) -> bool:
        """By the password alone, and not by the count of those who guess at the sign-in page.

        Otherwise strangers would bar whoever is signed in already. What is guessed here is counted
        by user (`reauthenticate` in ACCOUNT_RATE_LIMITS).
        """
        return user.check_password(password)

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
