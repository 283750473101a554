"""What a page says while PostgreSQL or Valkey is away: what is so, and that trying again helps."""

import logging
import sys
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10
_AWAY = (RedisError, OperationalError, InterfaceError)


class OutageMiddleware:
    """Answers 503 for a view that needs a server which is away.

    Throttles stand in Valkey: without it nobody signs in or up, rather than anybody any number of
    times.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        return _unavailable(request, error) if isinstance(error, _AWAY) else None


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what no view has handled: an outage that hit a middleware, or a fault of ours."""
    error = sys.exception()
    if isinstance(error, _AWAY):
        return _unavailable(request, error)
    return render(None, "500.html", _context(request), status=500)


def _unavailable(request: HttpRequest, error: BaseException) -> HttpResponse:
    logger.warning("%s %s: %s", request.method, request.path, type(error).__name__)
    response = render(None, "503.html", _context(request), status=503)
    response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "no-store"
    return response


def _context(request: HttpRequest) -> dict[str, bool]:
    """Nothing that would have to be asked for."""
    return {
        "was_paying": request.path.startswith(reverse("billing")),
        "was_changing": request.method not in {"GET", "HEAD"},
    }
