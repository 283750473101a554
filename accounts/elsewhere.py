"""Signing in by way of somebody else's site, where the operator has made ours known to it."""

from typing import Any

import requests
from allauth.socialaccount import signals
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.dispatch import receiver
from django.http import HttpRequest
from django.urls import reverse

from accounts.audit_sign_in import record_of_person
from accounts.models import User
from accounts.outside import CannotCall, Line

_WAIT_SECONDS, _LONGEST_SECONDS = 5, 8
_line = Line("sign-in elsewhere", at_once=8)


class ElsewhereAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """How allauth asks those sites, and where it leads afterwards."""

    def get_connect_redirect_url(self, request: HttpRequest, socialaccount: SocialAccount) -> str:
        """Where connections stand."""
        return reverse("security")

    def get_requests_session(self) -> requests.Session:
        """Bounded as every call to others is. Raises what allauth has a page for."""
        return _BoundedSession()


class _BoundedSession(requests.Session):
    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = _WAIT_SECONDS
        ask = super().request
        try:
            return _line.call(lambda: ask(*args, **kwargs), within_seconds=_LONGEST_SECONDS)
        except CannotCall as error:
            raise requests.ConnectionError(str(error)) from error


@receiver(signals.social_account_added)
def _connected(request: HttpRequest, sociallogin: SocialLogin, **_more: Any) -> None:
    if isinstance(sociallogin.user, User):
        thing = sociallogin.account.get_provider().name
        record_of_person(sociallogin.user, "connected", thing=thing)


@receiver(signals.social_account_removed)
def _disconnected(request: HttpRequest, socialaccount: SocialAccount, **_more: Any) -> None:
    thing = socialaccount.get_provider().name
    record_of_person(socialaccount.user, "disconnected", thing=thing)
