"""Chats, as customers ask for them, and the same chat asked of the model server itself."""

import json

from benchmark.callers import Load, over_http, post
from benchmark.model import END, LAST_PIECE, NAME
from benchmark.subjects import Subject
from benchmark.target import GATE, Target

MODEL = "benchmark.model:application"
_MESSAGES = {"messages": [{"role": "user", "content": "Say something in eight pieces."}]}


def environment_of(model_port: int) -> dict[str, str]:
    """What makes a site ask our model server, by one process."""
    return {
        "MODEL_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
        "MODEL_NAME": NAME,
        "GATE_WORKERS": "1",
    }


def _itself(target: Target) -> Load:
    # What the gate sends to it, so that both are asked the same.
    asked = {
        **_MESSAGES,
        "model": NAME,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    question = post("/v1/chat/completions", json.dumps(asked).encode())
    return Load(over_http(target.ports[MODEL], mark=END), [question])


def _of_gate(target: Target, path: str, mark: bytes, *, stream: bool) -> Load:
    body = json.dumps({**_MESSAGES, "stream": stream}).encode()
    questions = [post(path, body, authorization=f"Bearer {key}") for key in target.keys]
    return Load(over_http(target.ports[GATE], mark=mark), questions)


ITSELF = Subject("model", "the model server itself, streamed", _itself, MODEL, charges=False)
# An answer that broke off has no last piece, and none of events has an end.
CHATS: tuple[Subject, ...] = (
    ITSELF,
    Subject(
        "chat",
        "POST /api/v1/chat, streamed",
        lambda target: _of_gate(target, "/api/v1/chat", LAST_PIECE, stream=True),
        GATE,
    ),
    Subject(
        "chat-whole",
        "POST /api/v1/chat, whole",
        lambda target: _of_gate(target, "/api/v1/chat", LAST_PIECE, stream=False),
        GATE,
    ),
    Subject(
        "completions",
        "POST /api/v1/chat/completions, streamed",
        lambda target: _of_gate(target, "/api/v1/chat/completions", END, stream=True),
        GATE,
    ),
)
