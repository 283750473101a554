"""Pages of somebody who is signed in stay in no cache: the next person at this computer, and any
proxy between, sees nothing of them."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class PrivatePagesMiddleware:
    """`Cache-Control: no-store` on every answer to, or that begins, a session.

    It goes by the cookie and asks nobody who that is: it holds when the database is away, and an
    answer that signs out is covered, too. Static files are answered before it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        name = settings.SESSION_COOKIE_NAME
        if name in request.COOKIES or name in response.cookies:
            said = response.get("Cache-Control", "")
            if "no-store" not in said:
                response["Cache-Control"] = "no-store"
        return response
