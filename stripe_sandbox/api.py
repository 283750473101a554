"""Stripe's REST manners: who may call, idempotency, errors, request ids, and the routes."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stripe_sandbox import switches
from stripe_sandbox.books import Books, Cause, Json
from stripe_sandbox.calls import Call, Endpoint, expand
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.objects import API_VERSION, new_id
from stripe_sandbox.params import CannotAccept, CannotDo, Params, Tree, parse_form
from stripe_sandbox.replies import Reply
from stripe_sandbox.routes import ROUTES
from stripe_sandbox.store import Store
from stripe_sandbox.switches import Switch

IDEMPOTENT = ("POST", "DELETE")


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What a developer has go wrong with this call."""

    hang: Switch | None = None
    refuse: Switch | None = None


class Content(JSONResponse):
    """JSON as Stripe writes it: indented, so that it can be read in a terminal."""

    hold_seconds: float = 0.0

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
    trouble = Trouble()
    try:
        authenticate(request, secret_key=configuration.secret_key)
        endpoint, ids = _route(request)
        tree = parse_form(_form(request, body))
        trouble = _trouble(request, store=store, configuration=configuration)
        if request.method not in IDEMPOTENT:
            _refuse_before(trouble)
            with store.read(configuration) as books:
                content = _run(books, endpoint, ids, tree)
            return _held(Content(content, headers=headers), trouble)
        cause = Cause(request_id=request_id, idempotency_key=key)
        with store.write(configuration, cause=cause) as books:
            reply = _once(
                books,
                lambda: _run(books, endpoint, ids, tree),
                trouble=trouble,
                fingerprint=_fingerprint(request, tree),
            )
        if reply.request_id != request_id:
            headers |= {"Idempotent-Replayed": "true", "Original-Request": reply.request_id}
            trouble = Trouble()
        return _held(Content(reply.body, status_code=reply.status, headers=headers), trouble)
    except CannotAccept as refusal:
        if refusal.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="Stripe sandbox"'
        content = {"error": refusal.error}
        return _held(Content(content, status_code=refusal.status, headers=headers), trouble)


def _run(books: Books, endpoint: Endpoint, ids: tuple[str, ...], tree: Tree) -> Json:
    params = Params(tree)
    paths = params.texts("expand")
    content = endpoint(Call(books=books, params=params), *ids)
    params.finish()
    for path in paths:
        expand(books, content, path)
    return content


def _once(books: Books, act: Callable[[], Json], *, trouble: Trouble, fingerprint: str) -> Reply:
    """Act unless this idempotency key has an answer already.

    An answer is kept once the endpoint had begun, be it a success, a declined card or our own
    failure; what was refused before (a parameter, too many calls) may be tried again.
    """
    key = books.cause.idempotency_key
    if key is not None:
        if len(key) > 255:
            raise CannotAccept("Idempotency keys may be at most 255 characters long.")
        first = _first(books, key, fingerprint=fingerprint)
        if first is not None:
            return first
    status, body = _acted(books, act, trouble)
    reply = Reply(
        fingerprint=fingerprint,
        request_id=books.cause.request_id or "",
        status=status,
        body=body,
        ready_at=books.now + (trouble.hang.seconds if trouble.hang else 0),
    )
    if key is not None:
        books.replies.keep(key, reply)
    return reply


def _first(books: Books, key: str, *, fingerprint: str) -> Reply | None:
    first = books.replies.get(key)
    if first is None:
        return None
    if first.fingerprint != fingerprint:
        raise CannotAccept(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request.",
            kind="idempotency_error",
        )
    if first.ready_at > books.now:
        raise CannotAccept(
            "There is currently another in-progress request using this Idempotent Key (that "
            "probably means you submitted twice, and the other request is still going through): "
            f"{key}. Please try again later.",
            code="idempotency_key_in_use",
            kind="idempotency_error",
            status=409,
        )
    return first


def _acted(books: Books, act: Callable[[], Json], trouble: Trouble) -> tuple[int, Json]:
    refuse = trouble.refuse
    if refuse is not None and not refuse.after_acting:
        if refuse.status == 500:
            return 500, {"error": _failed().error}
        _refuse_before(trouble)
    try:
        with books.undone_by(CannotAccept):
            content = act()
    except CannotDo as refusal:
        return refusal.status, {"error": refusal.error}
    if refuse is not None:
        return refuse.status, {"error": _failed().error}
    return 200, content


def _trouble(request: Request, *, store: Store, configuration: Configuration) -> Trouble:
    with store.read(configuration) as books:
        on = switches.every(books)
    if not set(on) & set(switches.CALL_SWITCHES):
        return Trouble()
    names = (_path(request), f"{request.method} {_path(request)}")
    with store.write(configuration) as books:
        return Trouble(
            hang=switches.take(books, "hang", *names), refuse=switches.take(books, "refuse", *names)
        )


def _refuse_before(trouble: Trouble) -> None:
    """Refuse a call before anything of it was begun."""
    if trouble.refuse is None:
        return
    if trouble.refuse.status == 429:
        raise CannotAccept(
            "Request rate limit exceeded. Learn more about rate limits here "
            "https://docs.stripe.com/rate-limits.",
            code="rate_limit",
            status=429,
        )
    raise _failed(trouble.refuse.status)


def _failed(status: int = 500) -> CannotAccept:
    return CannotAccept(
        "An unknown error occurred (the sandbox was told to fail).", kind="api_error", status=status
    )


def _held(content: "Content", trouble: Trouble) -> Response:
    content.hold_seconds = trouble.hang.seconds if trouble.hang else 0.0
    return content


def _fingerprint(request: Request, tree: Tree) -> str:
    content = json.dumps([request.method, _path(request), tree], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def authenticate(request: Request, *, secret_key: str) -> None:
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
        # What is deleted is said in the address, as the official client does.
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
