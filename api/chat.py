"""POST /api/v1/chat: one chat, answered as text."""

from collections.abc import AsyncGenerator

from starlette.requests import Request
from starlette.responses import Response

from api import shapes
from api.messages import read_messages
from api.offer import CHAT
from api.providers.answers import Chunk, Outcome
from api.reading import read_json, read_members, take_tag
from api.serving import Serving
from gate.service.http import Headers, invalid

_ONLY_OF_COMPLETIONS = frozenset(shapes.Completion.__struct_fields__) - frozenset(
    shapes.Chat.__struct_fields__
)


class Chat:
    """The endpoint."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def answer(self, request: Request) -> Response:
        customer = await self._serving.customer(request, meter=CHAT)
        body = await read_json(request)
        for name in body:
            if name in _ONLY_OF_COMPLETIONS:
                raise invalid(
                    name, f"“{name}” is not for texts: ask POST /api/v1/chat/completions with it."
                )
        asked = read_members(body, shapes.Chat)
        read_messages(asked["messages"])
        customer = customer.asking_for(take_tag(asked))
        model, is_streamed = await self._serving.choose(customer, asked, endpoint=CHAT)

        def ask(outcome: Outcome) -> AsyncGenerator[Chunk, None]:
            return model.provider.chat(asked, outcome)

        if is_streamed:
            return self._serving.streamed(customer, model, ask, Text())
        return self._serving.whole(
            customer,
            model,
            ask,
            Text(),
            lambda text, outcome: {
                "text": text.decode(),
                "usage": {**outcome.usage, "finish_reason": outcome.finish_reasons.get(0)},
            },
        )


class Text:
    """The text of the first choice, or why it is refused."""

    alive = b""

    def __init__(self) -> None:
        self.is_empty = True

    def take(self, piece: Chunk) -> bytes:
        """The text of a chunk."""
        text = "".join(delta.text or delta.refusal for delta in piece.deltas if not delta.index)
        self.is_empty = self.is_empty and not text
        return text.encode()

    def is_at_work(self, piece: Chunk) -> bool:
        """Whether it thinks, or says something else that is no part of the answer."""
        return not piece.deltas

    def media_type(self, outcome: Outcome) -> str:
        """Plain text."""
        return "text/plain; charset=utf-8"

    def end(self, outcome: Outcome) -> bytes:
        """Nothing."""
        return b""

    def broken(self) -> bytes | None:
        """A text cannot say that it is none."""
        return None

    def trailers(self, outcome: Outcome) -> Headers:
        """Why the answer ended."""
        reason = outcome.finish_reasons.get(0, "")
        is_plain = reason.isascii() and reason.isprintable()
        return [(b"x-finish-reason", reason.encode() if is_plain else b"")]
