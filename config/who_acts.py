"""Who acts in a request: said once, for whatever is written down of it."""

from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.acting import Acting, Via, acting


class WhoActsMiddleware:
    """Says who is signed in, from where and with what program. Behind the one that signs in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_staff = request.path.startswith(reverse("admin:index"))

        def user() -> Any:
            return request.user if request.user.is_authenticated else None

        who = Acting(
            Via.STAFF if is_staff else Via.PAGE,
            user=user,
            ip=_address_of(request),
            client=request.headers.get("User-Agent", ""),
        )
        with acting(who):
            return self._get_response(request)


def _address_of(request: HttpRequest) -> str:
    """The visitor's, as the proxies say that are trusted; "" where nobody says it."""
    try:
        return get_adapter().get_client_ip(request) or ""
    except PermissionDenied:
        return ""
