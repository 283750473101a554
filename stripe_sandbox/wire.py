"""The ASGI edge: one whole request in, one whole response out."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_LIMIT_BYTES = 256 * 1024


class CannotReadRequest(Exception):
    """The body is too large, or the caller went away before sending all of it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """An HTTP request; `path` is relative to the mount and header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Response:
    """An HTTP response with its body in memory."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def json_response(
    content: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """`content` as Stripe writes it: indented, so that it can be read in a terminal."""
    body = json.dumps(content, indent=2).encode()
    return Response(
        status=status, headers={"Content-Type": "application/json", **(headers or {})}, body=body
    )


async def read_request(*, scope: Scope, receive: Receive, mount: str) -> Request:
    """Collect the whole request; raises CannotReadRequest past BODY_LIMIT_BYTES."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise CannotReadRequest("the caller went away")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > BODY_LIMIT_BYTES:
            raise CannotReadRequest("the body is too large")
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    return Request(
        method=scope["method"],
        path=scope["path"].removeprefix(mount) or "/",
        query=scope["query_string"].decode("latin-1"),
        headers={k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]},
        body=b"".join(chunks),
    )


async def send_response(response: Response, *, send: Send, head_only: bool = False) -> None:
    """Send `response`, without its body when it answers a HEAD."""
    headers = {**response.headers, "Content-Length": str(len(response.body))}
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"" if head_only else response.body})
