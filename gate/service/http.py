"""The little of HTTP that the two hot services need, straight on ASGI."""

import itertools
import os
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from gate.service import shapes, strict_json
from gate.service.alarms import Alarm
from gate.terms.redaction import holds_secret, shown

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
# Ours: so many random bytes and a count, because random bytes for each would be a system call.
_OURS, _count = os.urandom(12).hex(), itertools.count(1)


@dataclass(slots=True)
class Request:
    """A whole request; the names of its headers are in lower case, its path is decoded.

    shown_id: the X-Request-Id of its answer, "" where it has none.
    """

    method: str
    path: str
    headers: Headers
    body: bytes = b""
    shown_id: str = ""


@dataclass(slots=True)
class Response:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes = b""


class Problem(Exception):
    """An error answer as `application/problem+json` (RFC 9457).

    `code` is stable and for programs; `detail` is a sentence for people that says what to do.
    `alarm` is for the operator, and reaches nobody else.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
        alarm: Alarm | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        self.alarm = alarm
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = list(headers)
        self.members = members

    def body(self) -> shapes.Problem:
        """The problem document."""
        return shapes.Problem(
            type="about:blank",
            title=_TITLES.get(self.status, "Error"),
            status=self.status,
            code=self.code,
            detail=self.detail,
            **self.members,
        )


_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    429: "Too many requests",
    431: "Request header fields too large",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
}


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """The request body; Problem 413 as soon as it exceeds `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        require_size(size, limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def require_size(size: int, limit: int) -> None:
    """Problem 413 for a body of more than `limit` bytes."""
    if size > limit:
        raise Problem(413, "too_large", f"The body may have at most {limit:,} bytes.")


def header_values(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a header, in order; `name` in lower case."""
    return [value for key, value in headers if key == name]


def request_id_of(headers: Headers) -> bytes:
    """The `X-Request-Id` of the answer: the caller's own if it sent a fair one."""
    return told_request_id(headers) or f"{_OURS}{next(_count):08x}".encode()


def told_request_id(headers: Headers) -> bytes:
    """The `X-Request-Id` that came with a request if it is a fair one, or nothing.

    A key is none: answers are logged by whoever passes them on.
    """
    given = header_values(headers, b"x-request-id")
    if (
        len(given) == 1
        and _REQUEST_ID.fullmatch(given[0])
        and not holds_secret(given[0].decode("ascii"))
    ):
        return given[0]
    return b""


def client_address(scope: Scope, *, by_port: int = 0, by_socket: int = 0) -> str | None:
    """Where a request comes from; None when nobody can tell.

    by_port, by_socket: how many trusted proxies are before us for whoever comes in over a port,
    and over a Unix socket, which tells nobody's address itself.
    """
    client = scope.get("client")
    hops = by_socket if client is None else by_port
    if hops:
        return forwarded_address(scope["headers"], hops=hops)
    return None if client is None else str(client[0])


def forwarded_address(headers: Headers, *, hops: int) -> str | None:
    """What stands in X-Forwarded-For where so many trusted proxies added one address each.

    What stands before those was written by the client and is worth nothing. None where there are
    fewer.
    """
    values = header_values(headers, b"x-forwarded-for")
    forwarded = b",".join(values).decode("latin-1").split(",")
    if not values or len(forwarded) < hops:
        return None
    return forwarded[-hops].strip()


def bearer_token(headers: Headers) -> str | None:
    """The one bearer token of a request; None when there is none, or more than one header."""
    values = header_values(headers, b"authorization")
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    try:
        return token.strip().decode("ascii")
    except UnicodeDecodeError:
        return None


def require_method(given: str, method: str) -> None:
    """Problem 405 for any other method."""
    if given != method:
        raise Problem(
            405, "method_not_allowed", f"Use {method}.", headers=[(b"allow", method.encode())]
        )


def json_object(headers: Headers, body: bytes) -> dict[str, Any]:
    """The JSON object in a body; Problem 415 or 400 when there is none."""
    content_type = header_values(headers, b"content-type")
    if content_type and content_type[0].split(b";")[0].strip().lower() != b"application/json":
        raise Problem(415, "unsupported_media_type", "Send the body as application/json.")
    try:
        value = strict_json.loads(body)
    except strict_json.NotJSON as error:
        raise invalid(error.field, str(error)) from None
    if not isinstance(value, dict):
        raise invalid("body", "The body must be a JSON object.")
    return value


def invalid(field: str, detail: str) -> Problem:
    """The answer to bad input: 400 that names the field. Both may quote what the caller sent."""
    return Problem(400, "invalid_request", shown(detail), field=shown(field))


def json_response(status: int, value: Any, headers: Iterable[tuple[bytes, bytes]] = ()) -> Response:
    """An answer with a JSON body."""
    return _response(status, b"application/json", strict_json.dumps(value), headers)


def problem_response(problem: Problem) -> Response:
    """An answer with a problem document."""
    body = strict_json.dumps(problem.body())
    return _response(problem.status, b"application/problem+json", body, problem.headers)


def _response(
    status: int, content_type: bytes, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> Response:
    return Response(
        status,
        [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *headers,
        ],
        body,
    )


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer a server that begins and ends, where nothing has to be done for it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def send_response(send: Send, response: Response) -> None:
    """Answer an ASGI request."""
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": response.headers,
        }
    )
    await send({"type": "http.response.body", "body": response.body})


async def send_json(
    send: Send, status: int, value: Any, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer an ASGI request with a JSON body."""
    await send_response(send, json_response(status, value, headers))


async def send_problem(send: Send, problem: Problem) -> None:
    """Answer an ASGI request with a problem document."""
    await send_response(send, problem_response(problem))
