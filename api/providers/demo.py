"""Answers without any server, and says that it is a demo: words, a picture and a tune."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from api.providers import demo_picture, demo_tune
from api.providers.answers import Chunk, Delta, Outcome, Refused

_WORD_SECONDS = 0.012
_LONGEST_QUOTE = 200
_PICTURE_BYTES = 1024
_PICTURE_SECONDS = 0.02
# A tenth of a second of sound, in a fifth of that.
_TUNE_BYTES = demo_tune.BYTES_PER_SECOND // 10
_TUNE_SECONDS = 0.02


class DemoProvider:
    """Shows that key, quota and streaming work. Its tokens are words."""

    async def chat(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[Chunk, None]:
        """A short reply, word by word. It calls no tools."""
        messages = [_text(message.get("content")) for message in asked["messages"]]
        question = messages[-1].strip()
        shown = question[:_LONGEST_QUOTE] + ("…" if len(question) > _LONGEST_QUOTE else "")
        reply = (
            "Hello from the built-in demo model of sansxel. I am not an AI: I only show that your "
            f"key, your quota and streaming work. You wrote: “{shown}” "
            "Set MODEL_BASE_URL to connect a real model."
        )
        outcome.tokens_in = sum(len(message.split()) for message in messages)
        outcome.tokens_out = 0
        for word in reply.split(" "):
            outcome.tokens_out += 1
            yield Chunk((Delta(text=word if outcome.tokens_out == 1 else " " + word),))
            await asyncio.sleep(_WORD_SECONDS)
        outcome.finish_reasons[0] = "stop"
        yield Chunk((Delta(finish_reason="stop"),))

    async def image(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[bytes, None]:
        """A drawing with the prompt in it."""
        size = asked.get("size") or demo_picture.USUAL_SIZE
        try:
            drawing = demo_picture.draw(asked["prompt"], size=size).encode()
        except demo_picture.CannotDraw as error:
            raise Refused(str(error)) from None
        outcome.tokens_in = len(asked["prompt"].split())
        outcome.media_type = "image/svg+xml"
        async for piece in _paced(drawing, size=_PICTURE_BYTES, seconds=_PICTURE_SECONDS):
            yield piece

    async def voice(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[bytes, None]:
        """A tune, the longer the more there is to say."""
        if (asked.get("response_format") or "wav") != "wav":
            raise Refused("The demo makes only sounds of the format “wav”.")
        words = len(asked["input"].split())
        outcome.tokens_in = words
        outcome.media_type = "audio/wav"
        sound = await asyncio.to_thread(demo_tune.play, words=words)
        async for piece in _paced(sound, size=_TUNE_BYTES, seconds=_TUNE_SECONDS):
            yield piece

    async def aclose(self) -> None:
        """There is nothing to close."""


async def _paced(data: bytes, *, size: int, seconds: float) -> AsyncGenerator[bytes, None]:
    """The bytes in pieces, as if they were just being made."""
    for start in range(0, len(data), size):
        if start:
            await asyncio.sleep(seconds)
        yield data[start : start + size]


def _text(content: object) -> str:
    """What a message says: a text, or those of its parts that are texts."""
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return " ".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""
