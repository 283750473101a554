"""Stripe's REST manners: who may call, idempotency, errors, request ids, and the routes."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stripe_sandbox import resources, returns
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.objects import API_VERSION, new_id
from stripe_sandbox.params import CannotAccept, Params, Tree, parse_form
from stripe_sandbox.resources import Call
from stripe_sandbox.store import Books, Json, Reply, Store
from stripe_sandbox.webhooks import Cause

Endpoint = Callable[..., Json]

SESSION = "/v1/checkout/sessions/(cs_[A-Za-z0-9_]+)"
ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/v1/checkout/sessions", resources.create_session),
    ("GET", "/v1/checkout/sessions", resources.list_sessions),
    ("GET", SESSION, resources.retrieve_session),
    ("POST", f"{SESSION}/expire", resources.expire_session),
    ("GET", f"{SESSION}/line_items", resources.list_line_items),
    ("GET", "/v1/payment_intents/([A-Za-z0-9_]+)", resources.retrieve_payment_intent),
    ("POST", "/v1/refunds", returns.create_refund),
    ("GET", "/v1/disputes", returns.list_disputes),
    ("POST", "/v1/disputes/([A-Za-z0-9_]+)", returns.update_dispute),
    ("POST", "/v1/prices", resources.create_price),
    ("GET", "/v1/prices/([A-Za-z0-9_]+)", resources.retrieve_price),
    ("GET", "/v1/events", resources.list_events),
    ("GET", "/v1/events/([A-Za-z0-9_]+)", resources.retrieve_event),
)


class Content(JSONResponse):
    """JSON as Stripe writes it: indented, so that it can be read in a terminal."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, indent=2).encode()


def failure(status: int, message: str, *, kind: str) -> Response:
    """One of Stripe's error objects, for what happened before a request was understood."""
    return Content({"error": {"type": kind, "message": message}}, status_code=status)


def answer(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """Answer one API request; every failure is one of Stripe's error objects."""
    request_id = new_id("req_", length=14)
    headers = {
        "Request-Id": request_id,
        "Stripe-Version": request.headers.get("stripe-version", API_VERSION),
        "Cache-Control": "no-cache, no-store",
    }
    key = request.headers.get("idempotency-key")
    if key:
        headers["Idempotency-Key"] = key
    try:
        _authenticate(request, secret_key=configuration.secret_key)
        endpoint, ids = _route(request)
        tree = parse_form(_form(request, body))
        if request.method != "POST":
            with store.read() as books:
                content = _run(books, endpoint, ids, tree, configuration, cause=Cause())
            return Content(content, headers=headers)
        cause = Cause(request_id=request_id, idempotency_key=key)
        with store.write() as books:
            return _once(
                books,
                lambda: _run(books, endpoint, ids, tree, configuration, cause=cause),
                cause=cause,
                fingerprint=_fingerprint(request, tree),
                headers=headers,
            )
    except CannotAccept as refusal:
        if refusal.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="Stripe sandbox"'
        return Content({"error": refusal.error}, status_code=refusal.status, headers=headers)


def _run(
    books: Books,
    endpoint: Endpoint,
    ids: tuple[str, ...],
    tree: Tree,
    configuration: Configuration,
    *,
    cause: Cause,
) -> Json:
    params = Params(tree)
    call = Call(books=books, params=params, configuration=configuration, cause=cause)
    paths = params.texts("expand")
    content = endpoint(call, *ids)
    params.finish()
    for path in paths:
        resources.expand(call, content, path)
    return content


def _once(
    books: Books,
    act: Callable[[], Json],
    *,
    cause: Cause,
    fingerprint: str,
    headers: dict[str, str],
) -> Response:
    """Act unless this idempotency key has an answer already; refusals are not remembered."""
    key = cause.idempotency_key
    if key is None:
        return Content(act(), headers=headers)
    if len(key) > 255:
        raise CannotAccept("Idempotency keys may be at most 255 characters long.")
    first = books.reply(key)
    if first is None:
        content = act()
        reply = Reply(
            fingerprint=fingerprint,
            request_id=cause.request_id or "",
            status=200,
            body=content,
        )
        books.keep_reply(key, reply)
        return Content(content, headers=headers)
    if first.fingerprint != fingerprint:
        raise CannotAccept(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request.",
            kind="idempotency_error",
        )
    replayed = {"Idempotent-Replayed": "true", "Original-Request": first.request_id}
    return Content(first.body, status_code=first.status, headers={**headers, **replayed})


def _fingerprint(request: Request, tree: Tree) -> str:
    content = json.dumps([request.method, _path(request), tree], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _authenticate(request: Request, *, secret_key: str) -> None:
    """Accept the key as a bearer token or as the user name of basic auth; never echo it."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    given = credentials.strip()
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    if not given or scheme.lower() not in ("bearer", "basic"):
        raise CannotAccept(
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    if not hmac.compare_digest(given.encode(), secret_key.encode()):
        raise CannotAccept("Invalid API Key provided.", status=401)


def _route(request: Request) -> tuple[Endpoint, tuple[str, ...]]:
    path = _path(request)
    for method, pattern, endpoint in ROUTES:
        match = re.fullmatch(pattern, path)
        if match and method == request.method:
            return endpoint, tuple(match.groups())
    raise CannotAccept(
        f"Unrecognized request URL ({request.method}: {path[:200]}). "
        "The sandbox has only the endpoints that this project calls.",
        status=404,
    )


def _path(request: Request) -> str:
    return f"/v1/{request.path_params['path']}"


def _form(request: Request, body: bytes) -> str:
    if request.method != "POST":
        return str(request.scope["query_string"], "latin-1")
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if body and content_type != "application/x-www-form-urlencoded":
        raise CannotAccept(
            "Invalid request (check that your POST content type is "
            "application/x-www-form-urlencoded)."
        )
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise CannotAccept("Invalid request: the body is not UTF-8.") from None
