"""One address of the site, whatever Host or port a request names."""

from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port

from accounts.site_address import site_address

_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
# Asked by machines, under any name.
_PROBES = {"/healthz", "/readyz"}


class OneAddressMiddleware:
    """Has every absolute link begin with SITE_URL, also those that other packages make.

    In development a page that is opened by another name of this machine is sent to the one of
    SITE_URL: sessions belong to a name, and a customer would come back from paying signed out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.IS_DEVELOPMENT and _is_another_name_of_this_machine(request):
            response = HttpResponse(status=307)
            response["Location"] = site_address(request.get_full_path())
            return response

        def build_absolute_uri(location: str | None = None) -> str:
            here = site_address(request.get_full_path())
            return here if location is None else urljoin(here, str(location))

        request.build_absolute_uri = build_absolute_uri  # type: ignore[method-assign]
        return self.get_response(request)


def _is_another_name_of_this_machine(request: HttpRequest) -> bool:
    if request.method not in {"GET", "HEAD"} or request.path in _PROBES:
        return False
    site = urlsplit(settings.SITE_URL)
    ours, our_port = split_domain_port(site.netloc)
    asked, asked_port = split_domain_port(request.get_host())
    # Another port is a tunnel to this machine: our own may not be reachable from there.
    return {asked, ours} <= _LOOPBACK and asked != ours and asked_port == our_port
