"""What a server that speaks the OpenAI API says in one chat, read as real ones say it.

What is text, a tool call or an end counts; numbers and decoration never fail an answer.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from api.providers import characters, failures
from api.providers.answers import CannotAnswer, Chunk, Delta, Outcome
from api.providers.characters import Halves
from api.providers.server_events import Event
from api.providers.tool_calls import ToolCalls

_MOST_CHOICES = 128
_MOST_TOKENS = 1_000_000_000
# Ways in which a provider says that a choice did not end by itself.
_BROKEN = frozenset({"error", "abort"})
_NO_REASON = frozenset({"", "null", "none"})
_LONGEST_REASON = 64


class ChatReply:
    """Reads a chat chunk by chunk, and fills in its outcome.

    choices: how many were asked for. secrets: what no sentence may hold.
    """

    def __init__(self, outcome: Outcome, *, choices: int, secrets: tuple[str, ...]) -> None:
        self._outcome = outcome
        self._asked_for = choices
        self._secrets = secrets
        self._begun: set[int] = set()
        self._characters = Halves()
        self._tool_calls: defaultdict[int, ToolCalls] = defaultdict(ToolCalls)
        self.is_done = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing if nothing more comes."""
        return self.is_done or bool(self._begun and self._begun <= self._finished)

    @property
    def is_finished(self) -> bool:
        """Whether every choice that was asked for has come, and has finished."""
        return self.is_done or (self.is_whole and len(self._begun) >= self._asked_for)

    @property
    def _finished(self) -> set[int]:
        return set(self._outcome.finish_reasons)

    def read(self, event: Event) -> Chunk:
        """One event. Raises CannotAnswer."""
        if event.name == "error":
            raise self._error(event.data)
        return self._read_data(event.data)

    def read_whole(self, body: bytes) -> Chunk:
        """A chat that comes as one JSON document. Raises CannotAnswer."""
        text = body.decode("utf-8-sig", errors="replace").strip()
        # The end of a stream may stand behind it.
        text = text.removesuffix("[DONE]").rstrip().removesuffix("data:")
        try:
            said = _loads(text)
        except (ValueError, RecursionError):
            raise CannotAnswer("the provider sent something that is not a chat") from None
        chunk = self._read_chunk(said)
        if not self._begun:
            raise CannotAnswer("the provider sent a chat without choices")
        return _joined((chunk, self.end()))

    def end(self) -> Chunk:
        """The answer is complete; what was held back."""
        self.is_done = True
        rests = (self._rest(index, None) for index in sorted(self._begun))
        return Chunk(tuple(delta for delta in rests if _says_something(delta)))

    def _read_data(self, data: str) -> Chunk:
        data = data.strip()
        if data == "[DONE]":
            return self.end()
        # What keeps a connection alive: nothing, null, or a comment that a gateway made data of.
        if not data or data == "null" or data.startswith(":"):
            return Chunk()
        try:
            chunk = _loads(data)
        except (ValueError, RecursionError):
            if "\n" not in data:
                raise CannotAnswer("the provider sent something that is not a chunk") from None
            # Events that somebody forgot to put an empty line between.
            return _joined(self._read_data(line) for line in data.split("\n"))
        return self._read_chunk(chunk)

    def _error(self, data: str) -> CannotAnswer:
        try:
            said = _loads(data)
        except (ValueError, RecursionError):
            said = data
        return failures.in_stream(said, secrets=self._secrets)

    def _read_chunk(self, chunk: Any) -> Chunk:
        if not isinstance(chunk, dict):
            raise CannotAnswer("the provider sent something that is not a chunk")
        if chunk.get("error") or chunk.get("object") == "error" or chunk.get("type") == "error":
            raise failures.in_stream(chunk, secrets=self._secrets)
        self._count(chunk)
        choices = chunk.get("choices")
        deltas = (
            self._read_choice(choice, at)
            for at, choice in enumerate(choices if isinstance(choices, list) else ())
            if isinstance(choice, dict)
        )
        return Chunk(tuple(delta for delta in deltas if _says_something(delta)))

    def _read_choice(self, choice: dict[str, Any], at: int) -> Delta:
        index = choice.get("index")
        if not isinstance(index, int) or not 0 <= index < _MOST_CHOICES:
            index = min(at, _MOST_CHOICES - 1)
        said = choice.get("delta")
        if not (isinstance(said, dict) and said):
            # Some repeat the whole message in the end.
            message = None if index in self._begun else choice.get("message")
            said = message if isinstance(message, dict) else {"content": choice.get("text")}
        self._begun.add(index)
        delta = Delta(
            index=index,
            text=self._characters.join((index, "text"), _text(said.get("content"))),
            refusal=self._characters.join((index, "refusal"), _text(said.get("refusal"))),
            tool_calls=self._tool_calls[index].read(said.get("tool_calls")),
        )
        reason = _reason(choice.get("finish_reason"))
        if reason is None:
            return delta
        if reason in _BROKEN:
            raise CannotAnswer("the provider gave up in the middle of its answer")
        self._outcome.finish_reasons[index] = reason
        rest = self._rest(index, reason)
        return Delta(
            index=index,
            text=delta.text + rest.text,
            refusal=delta.refusal + rest.refusal,
            tool_calls=delta.tool_calls + rest.tool_calls,
            finish_reason=reason,
        )

    def _rest(self, index: int, reason: str | None) -> Delta:
        return Delta(
            index=index,
            text=self._characters.rest((index, "text")),
            refusal=self._characters.rest((index, "refusal")),
            tool_calls=self._tool_calls[index].rest(),
            finish_reason=reason,
        )

    def _count(self, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        # Where OpenAI has it, where Groq had it, where Moonshot has it.
        for holder in (chunk, chunk.get("x_groq"), first):
            if isinstance(holder, dict):
                count(holder.get("usage"), self._outcome)


def count(usage: object, outcome: Outcome) -> None:
    """Fill in the tokens that a provider's "usage" tells; what is no sensible count is unknown."""
    if not isinstance(usage, dict):
        return
    tokens_in = _tokens(usage, "prompt_tokens", "input_tokens")
    tokens_out = _tokens(usage, "completion_tokens", "output_tokens")
    outcome.tokens_in = outcome.tokens_in if tokens_in is None else tokens_in
    outcome.tokens_out = outcome.tokens_out if tokens_out is None else tokens_out


def _tokens(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if type(value) is int and 0 <= value <= _MOST_TOKENS:
            return value
    return None


def _loads(text: str) -> Any:
    # Python refuses to read numbers with thousands of digits; nobody counts so far.
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 19 else None)


def _text(content: object) -> str:
    """The text in a message's content: a text, a part, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_text(part) for part in content if isinstance(part, dict))
    if isinstance(content, dict) and content.get("type", "text") in ("text", "output_text"):
        text = content.get("text")
        return text if isinstance(text, str) else ""
    return ""


def _reason(value: object) -> str | None:
    # SGLang's own shape is an object.
    if isinstance(value, dict):
        value = value.get("type")
    if not isinstance(value, str):
        return "stop" if value else None
    reason = value.strip()
    return None if reason.lower() in _NO_REASON else characters.whole(reason[:_LONGEST_REASON])


def _says_something(delta: Delta) -> bool:
    return bool(delta.text or delta.refusal or delta.tool_calls or delta.finish_reason)


def _joined(chunks: Iterable[Chunk]) -> Chunk:
    return Chunk(tuple(delta for chunk in chunks for delta in chunk.deltas))
