"""The least that an ASGI application can do: the floor under everything else on that server."""

from gate.service.http import Message, Receive, Scope, Send, lifespan

_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
}
_BODY: Message = {"type": "http.response.body", "body": b"hello"}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    await send(_START)
    await send(_BODY)
