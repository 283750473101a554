"""Every answer has an `X-Request-Id`: the caller's own if it sent a fair one, or else ours."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from gate.service.http import request_id_of


class RequestIdMiddleware:
    """The same rule as at the gate; the front has told one already."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        told = request.headers.get("X-Request-Id")
        headers = [] if told is None else [(b"x-request-id", told.encode("latin-1", "replace"))]
        response = self.get_response(request)
        response["X-Request-Id"] = request_id_of(headers).decode("ascii")
        return response
