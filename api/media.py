"""POST /api/v1/images and POST /api/v1/voice: bytes as they are made, or JSON with base64."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api import shapes
from api.delivery import Ask
from api.offer import IMAGES, VOICE, Model
from api.providers.answers import Outcome
from api.reading import read_json, read_members, take_tag
from api.serving import Customer, Serving
from gate.service.http import Headers, invalid

# How OpenAI's audio/speech calls what is asked.
_AS_SPEECH = {"model": "model", "text": "input", "voice": "voice", "format": "response_format"}


class Images:
    """One picture of a prompt."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def answer(self, request: Request) -> Response:
        customer = await self._serving.customer(request, meter=IMAGES)
        asked = read_members(await read_json(request), shapes.Image)
        _require_words(asked, "prompt")
        customer = customer.asking_for(take_tag(asked))
        model, is_streamed = await self._serving.choose(customer, asked, endpoint=IMAGES)

        def ask(outcome: Outcome) -> AsyncGenerator[bytes, None]:
            return model.provider.image(asked, outcome)

        return _answer(
            self._serving, customer, model, ask, is_streamed=is_streamed, counted={"images": 1}
        )


class Voice:
    """A text, spoken."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def answer(self, request: Request) -> Response:
        customer = await self._serving.customer(request, meter=VOICE)
        asked = read_members(await read_json(request), shapes.Voice)
        _require_words(asked, "text")
        customer = customer.asking_for(take_tag(asked))
        model, is_streamed = await self._serving.choose(customer, asked, endpoint=VOICE)
        spoken = {_AS_SPEECH[name]: value for name, value in asked.items()}

        def ask(outcome: Outcome) -> AsyncGenerator[bytes, None]:
            return model.provider.voice(spoken, outcome)

        return _answer(
            self._serving,
            customer,
            model,
            ask,
            is_streamed=is_streamed,
            counted={"characters": len(asked["text"])},
        )


def _require_words(asked: dict[str, Any], name: str) -> None:
    if not asked[name].strip():
        raise invalid(name, f"“{name}” must be a text that is not empty.")


def _answer(
    serving: Serving,
    customer: Customer,
    model: Model,
    ask: Ask[bytes],
    *,
    is_streamed: bool,
    counted: dict[str, int],
) -> Response:
    if is_streamed:
        return serving.streamed(customer, model, ask, Bytes())
    return serving.whole(
        customer,
        model,
        ask,
        Bytes(),
        lambda data, outcome: {
            "media_type": outcome.media_type,
            "data": b64encode(data).decode("ascii"),
            "usage": {
                **counted,
                "input_tokens": outcome.tokens_in or 0,
                "output_tokens": outcome.tokens_out or 0,
            },
        },
    )


class Bytes:
    """A picture or sound as it comes."""

    alive = b""

    def __init__(self) -> None:
        self.is_empty = True

    def take(self, piece: bytes) -> bytes:
        """The same."""
        self.is_empty = self.is_empty and not piece
        return piece

    def is_at_work(self, piece: bytes) -> bool:
        """Every piece is a part."""
        return False

    def media_type(self, outcome: Outcome) -> str:
        """As the provider says."""
        return outcome.media_type or "application/octet-stream"

    def end(self, outcome: Outcome) -> bytes:
        """Nothing."""
        return b""

    def broken(self) -> bytes | None:
        """A picture cannot say that it is none."""
        return None

    def trailers(self, outcome: Outcome) -> Headers:
        """None."""
        return []
