"""What the API asks of a provider, and what it gets: pieces as they are made, and how it ended.

A provider that cannot answer raises one of the errors here. Their messages are for our log and
hold no words of the customer; only `Refused` holds a sentence for the customer.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Protocol


class CannotAnswer(Exception):
    """The provider failed, or its answer broke off."""


class Refused(CannotAnswer):
    """The provider finds the request wrong (its 400): the customer's to mend.

    sentence: the provider's own, without secrets; empty where it does not say why. It may quote
    what the customer asked, so it belongs in the answer and in no log.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__("the provider refused the request")
        self.sentence = sentence


class Busy(CannotAnswer):
    """The provider has no room now, or all connections to it are taken.

    retry_after: seconds, at most a day, as the provider says; None where it does not.
    """

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SetUpWrongly(CannotAnswer):
    """The provider does not know our key, or the model, or wants money: the operator's alarm."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one choice of a chat has more.

    tool_calls: as the OpenAI API streams them: {"index", "id"?, "type"?, "function": {"name"?,
    "arguments"?}}; id, type and name come once, arguments in parts.
    finish_reason: "stop", "length", "tool_calls", "content_filter" or what else the provider says.
    """

    index: int = 0
    text: str = ""
    refusal: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One step of a chat. Without deltas it says only that the provider is at work."""

    deltas: tuple[Delta, ...] = ()


@dataclass(slots=True)
class Outcome:
    """What is known of an answer by its end; the provider fills it in.

    tokens_in, tokens_out: as the provider counts them; None where it does not say.
    media_type: of a picture or sound, known before its first piece.
    finish_reasons: by choice; a choice that ended without saying why is not in it.
    """

    tokens_in: int | None = None
    tokens_out: int | None = None
    media_type: str = ""
    finish_reasons: dict[int, str] = field(default_factory=dict)

    @property
    def usage(self) -> dict[str, int]:
        """Tokens in OpenAI's words; those that nobody counted are 0."""
        tokens_in, tokens_out = self.tokens_in or 0, self.tokens_out or 0
        return {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        }


class Provider(Protocol):
    """Who answers. Every method raises CannotAnswer, before the first piece or after it.

    Closing a generator (`aclose`) before its end ends the call to the provider at once, and so
    does cancelling whoever waits for its next piece.
    """

    def chat(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[Chunk, None]:
        """A chat. `asked` has "model" and "messages", and what else the OpenAI API has for it."""
        ...

    def image(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[bytes, None]:
        """One picture. `asked` has "model" and "prompt", and may have "size"."""
        ...

    def voice(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[bytes, None]:
        """Speech. `asked` has "model" and "input", and may have "voice" and "response_format"."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...
