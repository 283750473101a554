"""POST /api/v1/chat/completions: the same chats in the shape of the OpenAI API."""

import secrets
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api import shapes
from api.messages import read_messages
from api.offer import CHAT, Model
from api.problems import error_of
from api.providers.answers import Chunk, Delta, Outcome
from api.reading import read_json, read_members, take_tag
from api.serving import Serving
from gate.service.http import Headers, Problem, invalid
from gate.service.strict_json import dumps


class Completions:
    """The endpoint."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def answer(self, request: Request) -> Response:
        customer = await self._serving.customer(request, meter=CHAT)
        asked = read_members(await read_json(request), shapes.Completion)
        read_messages(asked["messages"])
        customer = customer.asking_for(take_tag(asked))
        with_usage = _wants_usage(asked.pop("stream_options", {}))
        model, is_streamed = await self._serving.choose(customer, asked, endpoint=CHAT)
        units = model.units * asked.get("n", 1)

        def ask(outcome: Outcome) -> AsyncGenerator[Chunk, None]:
            return model.provider.chat(asked, outcome)

        if is_streamed:
            events = Events(_head(model, "chat.completion.chunk"), with_usage=with_usage)
            return self._serving.streamed(customer, model, ask, events, units=units)
        collected = Collected()
        head = _head(model, "chat.completion")
        return self._serving.whole(
            customer,
            model,
            ask,
            collected,
            lambda _, outcome: {
                **head,
                "choices": collected.choices(outcome),
                "usage": outcome.usage,
            },
            units=units,
        )


def _wants_usage(options: dict[str, Any]) -> bool:
    for name in options:
        if name not in ("include_usage", "include_obfuscation"):
            raise invalid("stream_options", f"There is no member “{name}” in “stream_options”.")
    wanted = options.get("include_usage")
    if wanted is not None and not isinstance(wanted, bool):
        raise invalid("stream_options", "“include_usage” must be true or false.")
    return bool(wanted)


def _head(model: Model, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model.name,
    }


class Events:
    """Server-sent events, each a chunk."""

    # A comment: readers of events skip it.
    alive = b": alive\n\n"

    def __init__(self, head: dict[str, Any], *, with_usage: bool) -> None:
        self.is_empty = True
        self._head = head
        self._with_usage = with_usage
        self._begun: set[int] = set()

    def take(self, piece: Chunk) -> bytes:
        """The events of a chunk; none where the provider says only that it is at work."""
        choices = [self._choice(delta) for delta in piece.deltas]
        return self._event(choices=choices) if choices else b""

    def _choice(self, delta: Delta) -> dict[str, Any]:
        said: dict[str, Any] = {}
        if delta.index not in self._begun:
            self._begun.add(delta.index)
            said["role"] = "assistant"
        if delta.text:
            said["content"] = delta.text
        if delta.refusal:
            said["refusal"] = delta.refusal
        if delta.tool_calls:
            said["tool_calls"] = list(delta.tool_calls)
        self.is_empty = self.is_empty and not (delta.text or delta.refusal or delta.tool_calls)
        return {
            "index": delta.index,
            "delta": said,
            "logprobs": None,
            "finish_reason": delta.finish_reason,
        }

    def _event(self, **members: Any) -> bytes:
        if self._with_usage:
            members.setdefault("usage", None)
        return b"data: " + dumps({**self._head, **members}) + b"\n\n"

    def is_at_work(self, piece: Chunk) -> bool:
        """Whether it thinks, or says something else that is no part of the answer."""
        return not piece.deltas

    def media_type(self, outcome: Outcome) -> str:
        """Server-sent events."""
        return "text/event-stream; charset=utf-8"

    def end(self, outcome: Outcome) -> bytes:
        """The usage, where it was asked for, and the mark of the end."""
        usage = self._event(choices=[], usage=outcome.usage) if self._with_usage else b""
        return usage + b"data: [DONE]\n\n"

    def broken(self) -> bytes | None:
        """An event that OpenAI's clients raise as an error."""
        problem = Problem(
            502,
            "model_failed",
            "The answer broke off. What it would have cost is given back; try again.",
        )
        return b"data: " + dumps({"error": error_of(problem)}) + b"\n\n"

    def trailers(self, outcome: Outcome) -> Headers:
        """None: the chunks say why they ended."""
        return []


class Collected:
    """All chunks, as one message for each choice."""

    def __init__(self) -> None:
        self._texts: dict[int, list[str]] = defaultdict(list)
        self._refusals: dict[int, list[str]] = defaultdict(list)
        self._calls: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)

    def take(self, piece: Chunk) -> bytes:
        """Nothing yet."""
        for delta in piece.deltas:
            if delta.text:
                self._texts[delta.index].append(delta.text)
            if delta.refusal:
                self._refusals[delta.index].append(delta.refusal)
            for part in delta.tool_calls:
                _add_to_call(self._calls[delta.index], part)
        return b""

    @property
    def is_empty(self) -> bool:
        """Whether there is no text, refusal or call of a tool."""
        return not (self._texts or self._refusals or self._calls)

    def choices(self, outcome: Outcome) -> list[dict[str, Any]]:
        """The choices, in their order."""
        numbers = self._texts.keys() | self._refusals.keys() | self._calls.keys()
        numbers |= outcome.finish_reasons.keys()
        return [
            {
                "index": number,
                "message": self._message(number),
                "logprobs": None,
                "finish_reason": outcome.finish_reasons.get(number, "stop"),
            }
            for number in sorted(numbers)
        ]

    def _message(self, number: int) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._texts[number]) or None,
            "refusal": "".join(self._refusals[number]) or None,
        }
        if self._calls[number]:
            calls = self._calls[number]
            message["tool_calls"] = [calls[at] for at in sorted(calls)]
        return message


def _add_to_call(calls: dict[int, dict[str, Any]], part: dict[str, Any]) -> None:
    """Join a part of a tool's call to what there is of it."""
    call = calls.setdefault(
        part.get("index", 0),
        {"id": "", "type": "function", "function": {"name": "", "arguments": ""}},
    )
    call["id"] = call["id"] or part.get("id") or ""
    function = part.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""
