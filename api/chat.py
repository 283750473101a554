"""POST /api/v1/chat: one chat, charged before the model is asked and given back if it fails."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from api.model import CannotAnswer, ChatModel, Usage
from gate.decision.check import Gate, QuotaUnavailable
from gate.service.http import (
    ClientGone,
    Headers,
    Message,
    Problem,
    Receive,
    Send,
    invalid,
    send_json,
)

logger = logging.getLogger(__name__)

_ROLES = {"system", "developer", "user", "assistant"}
_MESSAGES_AT_MOST = 1_000
_MODEL_NAME_AT_MOST = 128


class BrokenOff(Exception):
    """The reply had begun when the model failed; only cutting the connection tells the client."""


def read_request(body: dict[str, Any]) -> tuple[list[dict[str, str]], bool, str | None]:
    """Messages, whether to stream, and the model asked for; Problem 400 that names the field."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise invalid("messages", "“messages” must be a list with at least one message.")
    if len(messages) > _MESSAGES_AT_MOST:
        raise invalid("messages", f"“messages” may hold at most {_MESSAGES_AT_MOST:,} messages.")
    stream = body.get("stream", False)
    if not isinstance(stream, bool):
        raise invalid("stream", "“stream” must be true or false.")
    model = body.get("model")
    if model is not None and (
        not isinstance(model, str) or not 1 <= len(model) <= _MODEL_NAME_AT_MOST
    ):
        raise invalid("model", f"“model” must be a text of 1 to {_MODEL_NAME_AT_MOST} characters.")
    return [_message(message, at) for at, message in enumerate(messages)], stream, model


def _message(message: object, at: int) -> dict[str, str]:
    field = f"messages[{at}]"
    if not isinstance(message, dict):
        raise invalid(field, f"“{field}” must be an object with “role” and “content”.")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        raise invalid(f"{field}.role", f"“role” must be one of {', '.join(sorted(_ROLES))}.")
    if not isinstance(content, str) or not content.strip():
        raise invalid(f"{field}.content", "“content” must be a text that is not empty.")
    return {"role": role, "content": content}


async def answer(
    *,
    gate: Gate,
    model: ChatModel,
    charge_id: str,
    body: tuple[list[dict[str, str]], bool, str | None],
    headers: Headers,
    receive: Receive,
    send: Send,
) -> None:
    """Ask the model and pass its reply on. A model that fails gives the charge back.

    Raises ClientGone when nobody is there any more; the model is not asked for the rest.
    """
    messages, stream, model_name = body
    usage = Usage()
    made = model.stream(messages, model=model_name, usage=usage)
    # The server tells of a client that has gone only to those who ask.
    gone = asyncio.ensure_future(receive())
    async with aclosing(made):  # type: ignore[type-var]
        pieces = _while_wanted(made, gone)
        try:
            if stream:
                await _stream(pieces, headers, send)
            else:
                text = "".join([piece async for piece in pieces])
                await send_json(send, 200, {"text": text, "usage": usage.as_json()}, headers)
        except (CannotAnswer, BrokenOff) as error:
            logger.warning("%s", error)
            await _give_back(gate, charge_id)
            if isinstance(error, BrokenOff):
                raise
            raise Problem(
                502,
                "model_failed",
                "The model could not answer. The chat was not counted; try again.",
            ) from None
        finally:
            gone.cancel()


async def _while_wanted(
    pieces: AsyncIterator[str], gone: "asyncio.Future[Message]"
) -> AsyncIterator[str]:
    """The pieces, until the client has gone."""
    async for piece in pieces:
        if gone.done():
            raise ClientGone
        yield piece


async def _stream(pieces: AsyncIterator[str], headers: Headers, send: Send) -> None:
    # Nothing is sent before the first piece, so that a model that fails at once is a clean 502.
    first = await anext(pieces, "")
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"cache-control", b"no-store"),
                # nginx would collect the chunks otherwise.
                (b"x-accel-buffering", b"no"),
                *headers,
            ],
        }
    )
    try:
        await send({"type": "http.response.body", "body": first.encode(), "more_body": True})
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
    except CannotAnswer as error:
        raise BrokenOff(str(error)) from error
    await send({"type": "http.response.body", "body": b""})


async def _give_back(gate: Gate, charge_id: str) -> None:
    try:
        await gate.refund(charge_id=charge_id)
    except QuotaUnavailable:
        logger.error("a failed chat could not be given back: the gate gave no answer")
