"""What behaviours of model servers are made of: bytes with exact cuts, and what they lead to.

The text is nearly always HELLO, so that a test sees at once what is missing.
"""

import json
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

PIECES = ("Hel", "lo, ", "wörld")
HELLO = "".join(PIECES)
TOKENS = (3, 4)


class Leads(Enum):
    """What an answer must lead to."""

    # All of the text was delivered: paid.
    WHOLE = auto()
    # The customer's 400, with the provider's sentence.
    REFUSED = auto()
    # Ours to tell as 503.
    BUSY = auto()
    # An alarm for the operator.
    ALARM = auto()
    # No answer, and nothing was sent yet.
    BROKEN_BEFORE = auto()
    # No answer, and its beginning was sent already.
    BROKEN_AFTER = auto()


class Act(Enum):
    """What a server does between bytes."""

    # Ends the connection as if the process had died.
    RESET = auto()
    # Sends nothing until whoever asked goes away.
    HANG = auto()
    # Sends a comment again and again until whoever asked goes away.
    HEARTBEAT = auto()


Step = bytes | Act


@dataclass(frozen=True)
class Behaviour:
    """One way to answer a chat.

    steps: each piece of bytes is sent by itself. text: of the first choice, as far as it comes.
    refuses: a member of the request that `error` is the answer to; without it come the steps.
    choices: how many are asked for. tokens: as the outcome must have them.
    """

    says: str
    leads_to: Leads = Leads.WHOLE
    steps: tuple[Step, ...] = ()
    text: str = HELLO
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_chunked: bool = False
    refuses: str = ""
    error: bytes = b""
    choices: int = 1
    tokens: tuple[int | None, int | None] = (None, None)
    finish_reason: str | None = "stop"
    sentence: str = ""
    retry_after: int | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()


def event(value: object) -> bytes:
    """An event with this JSON."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def delta(more: dict[str, Any], *, index: int = 0, **choice: Any) -> bytes:
    """An event with one choice that has this delta."""
    return event({"choices": [{"index": index, "delta": more, **choice}]})


def text(piece: str) -> bytes:
    """An event with more text of the first choice."""
    return delta({"content": piece})


HELLO_EVENTS = tuple(text(piece) for piece in PIECES)
STOP = delta({}, finish_reason="stop")
USAGE = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
DONE = b"data: [DONE]\n\n"
ENDING = (STOP, USAGE, DONE)


def hello(*extra: Step) -> tuple[Step, ...]:
    """All of the text with something between its pieces, and a proper end."""
    return (HELLO_EVENTS[0], *extra, *HELLO_EVENTS[1:], *ENDING)


def ended(*ending: Step) -> tuple[Step, ...]:
    """All of the text, and an end of its own."""
    return (*HELLO_EVENTS, *ending)


def cut(data: bytes, size: int) -> tuple[bytes, ...]:
    """The bytes in pieces of this size."""
    return tuple(data[at : at + size] for at in range(0, len(data), size))


PLAIN = b"".join((*HELLO_EVENTS, *ENDING))
COMPLETION = {
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": HELLO},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
}
JSON = {"Content-Type": "application/json"}


def error(message: str, **more: Any) -> bytes:
    """The body of an error with this message."""
    return json.dumps({"error": {"message": message, **more}}).encode()
