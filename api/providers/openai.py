"""Any server that speaks the OpenAI API, as real ones speak it."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from api.providers import pictures
from api.providers.answers import CannotAnswer, Chunk, Outcome
from api.providers.calls import Call, Calls, Extra, Limits
from api.providers.chat_reply import ChatReply
from api.providers.server_events import Event, EventReader, EventTooLong

_EVENT_BYTES = 4 * 1024 * 1024
_WHOLE_BYTES = 32 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_USAGE = Extra("stream_options", ("stream_options", "include_usage"))
_IN_THE_ANSWER = Extra("response_format", ("response_format",))
_AUDIO = re.compile(r"audio/[\w.+-]+", re.ASCII)
_AUDIO_BY_FORMAT = {
    "aac": "audio/aac",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "pcm": "audio/pcm",
    "wav": "audio/wav",
}


class OpenAIProvider:
    """Asks `POST {base_url}/chat/completions`, `images/generations` and `audio/speech`.

    base_url: with the version, as in "https://api.openai.com/v1". api_key: empty for none.
    """

    def __init__(self, base_url: str, api_key: str, *, limits: Limits) -> None:
        self._calls = Calls(base_url, api_key, limits=limits)

    async def chat(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[Chunk, None]:
        """A chat, always streamed."""
        choices = asked.get("n")
        reply = ChatReply(
            outcome,
            choices=choices if isinstance(choices, int) else 1,
            secrets=self._calls.secrets,
        )
        body = {**asked, "stream": True, "stream_options": {"include_usage": True}}
        async with self._calls.ask("chat/completions", body, extra=_USAGE) as call:
            first = await call.first_byte()
            if first == b"{":
                # Whatever the headers call it, it is no stream of events.
                yield reply.read_whole(await call.read_all(most_bytes=_WHOLE_BYTES))
                return
            if first == b"<":
                raise CannotAnswer("the provider answered with a page for people")
            async with aclosing(_streamed(call, reply)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def image(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[bytes, None]:
        """One picture, in pieces of 64 KiB."""
        body = {**asked, "n": 1, "response_format": "b64_json"}
        async with self._calls.ask("images/generations", body, extra=_IN_THE_ANSWER) as call:
            answer = await call.read_all(most_bytes=_WHOLE_BYTES)
        # Megabytes of JSON and base64 would hold up everybody else.
        picture = await asyncio.to_thread(
            pictures.read, answer, outcome, secrets=self._calls.secrets
        )
        for start in range(0, len(picture), _PIECE_BYTES):
            yield picture[start : start + _PIECE_BYTES]

    async def voice(self, asked: dict[str, Any], outcome: Outcome) -> AsyncGenerator[bytes, None]:
        """Speech, as it comes."""
        async with self._calls.ask("audio/speech", asked) as call:
            outcome.media_type = _audio_type(call.media_type, asked.get("response_format"))
            is_empty = True
            while piece := await call.read():
                call.came()
                is_empty = False
                yield piece
        if is_empty:
            raise CannotAnswer("the provider sent no sound")

    async def aclose(self) -> None:
        """Close every connection."""
        await self._calls.aclose()


async def _streamed(call: Call, reply: ChatReply) -> AsyncGenerator[Chunk, None]:
    """The chunks of a stream of events, until it is whole. Raises CannotAnswer."""
    try:
        async with aclosing(_events(call)) as events:
            async for event in events:
                chunk = reply.read(event)
                if not reply.is_finished:
                    call.came()
                elif chunk.deltas:
                    call.ends()
                yield chunk
                if reply.is_done:
                    break
    except CannotAnswer:
        # However it ends behind the last word: nothing of the answer is missing.
        if not reply.is_finished:
            raise
    if reply.is_done:
        await call.drain()
    elif reply.is_whole:
        yield reply.end()
    else:
        raise CannotAnswer("the provider's answer broke off")


async def _events(call: Call) -> AsyncGenerator[Event, None]:
    reader = EventReader(event_bytes=_EVENT_BYTES)
    try:
        while piece := await call.read():
            for event in reader.read(piece):
                yield event
        for event in reader.end():
            yield event
    except EventTooLong:
        raise CannotAnswer("the provider sent an event that is too long") from None


def _audio_type(media_type: str, asked_for: object) -> str:
    if _AUDIO.fullmatch(media_type):
        return media_type
    if media_type in {"", "application/octet-stream", "binary/octet-stream"}:
        return _AUDIO_BY_FORMAT.get(str(asked_for or "mp3"), "application/octet-stream")
    raise CannotAnswer("the provider sent something that is not a sound")
