"""The model behind the API: any server that speaks the OpenAI API, or a built-in demo."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from httpx_sse import SSEError, aconnect_sse

# A model may think for a while before its first word, and between two words.
_TIMEOUT = httpx.Timeout(120.0, connect=5.0)
_WORD_SECONDS = 0.012


class CannotAnswer(Exception):
    """The model failed; the message is for our log, not for the customer."""


@dataclass(slots=True)
class Usage:
    """Tokens, as the model counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def as_json(self) -> dict[str, int]:
        """The `usage` member of an answer."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


class ChatModel(Protocol):
    """What the API needs of a model."""

    def stream(
        self, messages: list[dict[str, str]], *, model: str | None, usage: Usage
    ) -> AsyncIterator[str]:
        """The reply in pieces as it is made; fills `usage` by the end. Raises CannotAnswer."""
        ...


class DemoModel:
    """Answers without any server, and says that it is a demo. Its tokens are words."""

    async def stream(
        self, messages: list[dict[str, str]], *, model: str | None, usage: Usage
    ) -> AsyncIterator[str]:
        """A short reply, word by word."""
        question = messages[-1]["content"].strip()
        shown = question if len(question) <= 200 else question[:200] + "…"
        reply = (
            "Hello from the built-in demo model of sansxel. I am not an AI: I only show that your "
            f"key, your quota and streaming work. You wrote: “{shown}” "
            "Set MODEL_BASE_URL to connect a real model."
        )
        usage.prompt_tokens = sum(len(message["content"].split()) for message in messages)
        for word in reply.split(" "):
            usage.completion_tokens += 1
            yield word if usage.completion_tokens == 1 else " " + word
            await asyncio.sleep(_WORD_SECONDS)


class OpenAIModel:
    """Asks `POST {base_url}/chat/completions`, always streaming."""

    def __init__(self, *, base_url: str, api_key: str, model: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._base_url = base_url
        self._headers = headers
        self._model = model
        self._client: httpx.AsyncClient | None = None

    async def stream(
        self, messages: list[dict[str, str]], *, model: str | None, usage: Usage
    ) -> AsyncIterator[str]:
        """The pieces of the model's first choice."""
        request = {
            "model": model or self._model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        finished = False
        try:
            async with aconnect_sse(
                self._connected(), "POST", f"{self._base_url}/chat/completions", json=request
            ) as source:
                if source.response.status_code != 200:
                    raise CannotAnswer(f"the model answered {source.response.status_code}")
                async for event in source.aiter_sse():
                    if event.data == "[DONE]":
                        finished = True
                        break
                    piece, ended = _read_chunk(event.data, usage)
                    finished = finished or ended
                    if piece:
                        yield piece
        except (httpx.HTTPError, SSEError) as error:
            raise CannotAnswer(f"the model gave no answer: {type(error).__name__}") from error
        if not finished:
            raise CannotAnswer("the model's answer broke off")

    def _connected(self) -> httpx.AsyncClient:
        # Made inside the event loop that it will be used in.
        if self._client is None:
            self._client = httpx.AsyncClient(
                headers=self._headers,
                timeout=_TIMEOUT,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
                trust_env=False,
            )
        return self._client


def _read_chunk(data: str, usage: Usage) -> tuple[str, bool]:
    """The text in one chunk, and whether the model says that it has finished."""
    try:
        chunk: Any = json.loads(data)
        if "error" in chunk:
            raise CannotAnswer("the model reported an error")
        counted = chunk.get("usage")
        if counted:
            usage.prompt_tokens = int(counted.get("prompt_tokens", 0))
            usage.completion_tokens = int(counted.get("completion_tokens", 0))
        if not chunk.get("choices"):
            return "", False
        choice = chunk["choices"][0]
        piece = (choice.get("delta") or {}).get("content") or ""
        return str(piece), choice.get("finish_reason") is not None
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise CannotAnswer("the model sent something that is not a chunk") from error
