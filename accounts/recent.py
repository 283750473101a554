"""Whether somebody has just shown that it is they: by signing in, or when they were asked again.

A session that was left open, or stolen, may look, and do nothing that changes who has access.
"""

import json
import time
from collections.abc import Callable

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse

from accounts.models import User

_SAFE = {"GET", "HEAD", "OPTIONS"}
_SECRET_HEADERS = ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION")


def is_recent(request: HttpRequest) -> bool:
    """Whether the visitor gave a proof of who they are within ACCOUNT_REAUTHENTICATION_TIMEOUT."""
    if not isinstance(request.user, User):
        return False
    records = get_authentication_records(request, request.user)
    latest = max((record["at"] for record in records), default=0.0)
    seconds: int = app_settings.REAUTHENTICATION_TIMEOUT
    return 0 <= time.time() - latest < seconds


def ask_again_unless_recent(request: HttpRequest) -> None:
    """Let nothing be done that was sent, until its sender has shown again that it is they.

    allauth keeps what was sent in the session meanwhile, and goes on with it.
    """
    if request.method not in _SAFE and not is_recent(request):
        raise ReauthenticationRequired


def is_something_kept(request: HttpRequest) -> bool:
    """Whether what was sent waits for its sender, who is asked by this request."""
    kept = request.session.get(STATE_SESSION_KEY, {}).get("request")
    wanted = request.GET.get(REDIRECT_FIELD_NAME) or request.POST.get(REDIRECT_FIELD_NAME)
    return bool(kept) and json.loads(kept)["path"] == wanted


class KeepNoSecretsMiddleware:
    """Takes secrets out of what allauth keeps of a request. Behind allauth's own middleware.

    It keeps whole heads, in the session; the cookies have been read by then.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        if isinstance(error, ReauthenticationRequired):
            for name in _SECRET_HEADERS:
                request.META.pop(name, None)
