"""What all pages share: how they are filled in and guarded, and how forms are read."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stripe_sandbox import templates
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.store import Store


def style_sheet(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """What all pages look like."""
    sheets = ("checkout.css", "overview.css")
    content = b"\n".join((templates.HOSTED / name).read_bytes() for name in sheets)
    return Response(content, media_type="text/css", headers={"Cache-Control": "max-age=300"})


def missing(configuration: Configuration) -> Response:
    """The page of whatever is not there."""
    return page("missing.html", status=404, configuration=configuration, form_action="'none'")


def page(
    template: str,
    *,
    configuration: Configuration,
    status: int = 200,
    form_action: str = "'self'",
    **values: Any,
) -> Response:
    """A template filled in, which may load, run and send to nothing that is not said."""
    content = templates.fill(
        template, merchant=configuration.merchant, mount=configuration.mount, **values
    )
    policy = (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {form_action}"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(content, status_code=status, headers=headers)


def actions(*addresses: str | None) -> str:
    """Where forms may lead: Chromium holds the redirect that follows a form to it as well."""
    origins = sorted({origin(address) for address in addresses if address})
    return " ".join(["'self'", *origins])


def origin(address: str) -> str:
    """The origin of an address, as Content-Security-Policy wants it."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def see_other(url: str) -> Response:
    """Go on there, with a fresh page."""
    return Response(status_code=303, headers={"Location": url, "Cache-Control": "no-store"})


def form_of(body: bytes) -> dict[str, str]:
    """The fields of a form that was sent."""
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def is_from_elsewhere(request: Request) -> bool:
    """Whether a page of another site sent this form; a developer's buttons are not for those."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    sender = request.headers.get("origin")
    return sender is not None and urlsplit(sender).netloc != request.headers.get("host")
