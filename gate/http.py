"""The little of HTTP that the two hot services need, straight on ASGI."""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Problem(Exception):
    """An error answer as `application/problem+json` (RFC 9457).

    `code` is stable and for programs; `detail` is a sentence for people that says what to do.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = list(headers)
        self.members = members

    def body(self) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": "about:blank",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.members,
        }


_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    429: "Too many requests",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
}


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, *, limit: int) -> bytes:
    """The request body; Problem 413 as soon as it exceeds `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise Problem(413, "too_large", f"The body may have at most {limit:,} bytes.")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of a header, in order; `name` in lower case."""
    return [value for key, value in scope["headers"] if key == name]


def client_address(scope: Scope, *, trusted_proxies: int) -> str | None:
    """Where a request comes from; None when nobody can tell.

    Each trusted proxy adds one address to X-Forwarded-For. What stands before those was written by
    the client and is worth nothing.
    """
    if not trusted_proxies:
        client = scope.get("client")
        return None if client is None else str(client[0])
    forwarded = b",".join(header_values(scope, b"x-forwarded-for")).decode("latin-1").split(",")
    if len(forwarded) < trusted_proxies:
        return None
    return forwarded[-trusted_proxies].strip()


def bearer_token(scope: Scope) -> str | None:
    """The one bearer token of a request; None when there is none, or more than one header."""
    values = header_values(scope, b"authorization")
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    try:
        return token.strip().decode("ascii")
    except UnicodeDecodeError:
        return None


def require_method(scope: Scope, method: str) -> None:
    """Problem 405 for any other method."""
    if scope["method"] != method:
        raise Problem(
            405, "method_not_allowed", f"Use {method}.", headers=[(b"allow", method.encode())]
        )


@lru_cache(maxsize=64)
def utc_text(at: datetime) -> str:
    """A moment as RFC 3339 text that ends in Z."""
    return at.isoformat().replace("+00:00", "Z")


def json_object(scope: Scope, body: bytes) -> dict[str, Any]:
    """The JSON object in a body; Problem 415 or 400 when there is none.

    Doubled member names and NaN are refused: two readers could understand them differently.
    """
    content_type = header_values(scope, b"content-type")
    if content_type and content_type[0].split(b";")[0].strip().lower() != b"application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    try:
        value = _DECODER.decode(body.decode())
    except RecursionError:
        raise invalid("body", "The body is nested too deeply.") from None
    except _Doubled as error:
        raise invalid(error.name, f"The member “{error.name}” is given twice.") from None
    except ValueError:
        raise invalid("body", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise invalid("body", "The body must be a JSON object.")
    return value


def invalid(field: str, detail: str) -> Problem:
    """The answer to bad input: 400 that names the field."""
    return Problem(400, "invalid_request", detail, field=field)


async def send_json(
    send: Send, status: int, value: Any, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a JSON body."""
    await _send(send, status, b"application/json", value, headers)


async def send_problem(send: Send, problem: Problem) -> None:
    """Answer with a problem document."""
    await _send(send, problem.status, b"application/problem+json", problem.body(), problem.headers)


async def _send(
    send: Send,
    status: int,
    content_type: bytes,
    value: Any,
    headers: Iterable[tuple[bytes, bytes]],
) -> None:
    body = _ENCODER.encode(value).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
                (b"cache-control", b"no-store"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


class _Doubled(ValueError):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Doubled(name)
            seen.add(name)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


# Made once: json.loads and json.dumps make new ones for every call with options.
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)
