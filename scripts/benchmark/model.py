"""A model server that thinks for no time: what is left of an answer is what we add to it.

It streams as the servers of others do: eight pieces of text, why it ended, the tokens, the end.
"""

import json
from typing import Any

from gate.service.http import Message, Receive, Scope, Send, lifespan

NAME = "bench"
PIECES = ("An ", "answer ", "in ", "eight ", "pieces, ", "this ", "the ", "last-of-them")
LAST_PIECE = PIECES[-1].encode()
END = b"data: [DONE]"

_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


def _event(**members: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": NAME,
        **members,
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _event(choices=[choice])


_FIRST, *_OTHERS = PIECES
_EVENTS = (
    _choice({"role": "assistant", "content": _FIRST}),
    *(_choice({"content": piece}) for piece in _OTHERS),
    _choice({}, "stop"),
    _event(
        choices=[],
        usage={"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17},
    ),
    END + b"\n\n",
)
_MESSAGES: tuple[Message, ...] = (
    *({"type": "http.response.body", "body": event, "more_body": True} for event in _EVENTS),
    {"type": "http.response.body", "body": b""},
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any question with the same chat, once all of the question is there."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    for message in _MESSAGES:
        await send(message)
