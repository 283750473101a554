"""Whole answers that call tools."""

from typing import Any

from tests.api.behaving.behaviour import (
    DONE,
    Behaviour,
    delta,
)

_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look"}}


def _call(*parts: dict[str, Any]) -> tuple[bytes, ...]:
    """A stream that has nothing but parts of tool calls."""
    return (
        *(delta({"tool_calls": [part]}) for part in parts),
        delta({}, finish_reason="tool_calls"),
        DONE,
    )


TOOL_CALLS: dict[str, Behaviour] = {
    "tool call": Behaviour(
        "Calls a tool, its arguments in parts.",
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"at":'}},
            {"index": 0, "function": {"arguments": '"sea"}'}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": '{"at":"sea"}'},),
    ),
    "tool call with nulls": Behaviour(
        "Has null wherever nothing is new.",  # togethercomputer/together-python#454
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": None}},
            {"index": 0, "id": None, "type": None, "function": {"name": None, "arguments": "{}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": "{}"},),
    ),
    "tool call without index": Behaviour(
        "Leaves the index out.",  # ollama/ollama#7881
        steps=_call(
            {"id": "call_1", "function": {"name": "look", "arguments": '{"a'}},
            {"function": {"arguments": '":1}'}},
            {"id": "call_2", "function": {"name": "hear", "arguments": "{}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=(
            {"id": "call_1", "name": "look", "arguments": '{"a":1}'},
            {"id": "call_2", "name": "hear", "arguments": "{}"},
        ),
    ),
    "tool calls with one index": Behaviour(
        "Begins the second call under the first one's index.",  # agno-agi/agno#8880
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": "{}"}},
            {"index": 0, "id": "call_2", "function": {"name": "hear", "arguments": "{"}},
            {"index": 1, "function": {"arguments": "}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=(
            {"id": "call_1", "name": "look", "arguments": "{}"},
            {"id": "call_2", "name": "hear", "arguments": "{}"},
        ),
    ),
    "tool call repeats itself": Behaviour(
        "Repeats id and name in every part.",
        steps=_call(
            {**_CALL, "function": {"name": "look", "arguments": "{"}},
            {**_CALL, "function": {"name": "look", "arguments": "}"}},
        ),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": "{}"},),
    ),
    "tool call with an object": Behaviour(
        "Gives the arguments as an object.",
        steps=_call({**_CALL, "function": {"name": "look", "arguments": {"a": 1}}}),
        text="",
        finish_reason="tool_calls",
        tool_calls=({"id": "call_1", "name": "look", "arguments": '{"a": 1}'},),
    ),
}
