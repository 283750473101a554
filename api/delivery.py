"""An answer on its way from a provider to a customer: in pieces as it is made, or whole.

What was delivered is paid for. An answer that breaks off, has nothing in it, or that nobody waits
for any more before it begins, is given back.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from api.calls import Call
from api.providers.answers import CannotAnswer, Outcome
from gate.service.http import ClientGone, Headers, Receive, Send
from gate.store.hot_state import Tokens

logger = logging.getLogger(__name__)

# A silent connection is kept alive so often, where the form of the answer has something for it.
_ALIVE_EVERY_SECONDS = 15.0

Piece = TypeVar("Piece")
# Asks a provider, once: it fills in what it is given.
Ask = Callable[[Outcome], AsyncGenerator[Piece, None]]
Taken = TypeVar("Taken", contravariant=True)  # noqa: PLC0105 - it is what is taken


class BrokenOff(Exception):
    """The answer had begun when it failed; only cutting the connection tells the client."""


class Form(Protocol[Taken]):
    """How an answer is written, and what was written of it so far."""

    def take(self, piece: Taken) -> bytes:
        """The next bytes; none where a piece has nothing to show."""
        ...

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing in the answer that somebody would pay for."""
        ...


class StreamForm(Form[Taken], Protocol[Taken]):
    """An answer that is sent as it is made.

    alive: what keeps a silent connection alive without being part of the answer, or nothing.
    """

    alive: bytes

    def media_type(self, outcome: Outcome) -> str:
        """Of what is written."""
        ...

    def is_at_work(self, piece: Taken) -> bool:
        """Whether a piece says only that the provider is at work."""
        ...

    def end(self, outcome: Outcome) -> bytes:
        """What stands behind the last piece."""
        ...

    def broken(self) -> bytes | None:
        """How the answer itself says that it failed; None where only a cut connection can."""
        ...

    def trailers(self, outcome: Outcome) -> Headers:
        """Headers behind the answer, for clients that take some."""
        ...


class Delivery(Generic[Piece]):
    """One answer being made, and the client that waits for it."""

    def __init__(
        self,
        ask: "Ask[Piece]",
        *,
        call: Call,
        model: str,
        receive: Receive,
        send: Send,
    ) -> None:
        self.outcome = Outcome()
        self._made = ask(self.outcome)
        self._call = call
        self._model = model
        self._receive = receive
        self._send = send

    async def stream(self, form: StreamForm[Piece], headers: Headers, *, trailing: bool) -> None:
        """Send the answer as it is made.

        Raises CannotAnswer where nothing was sent yet, BrokenOff afterwards, and ClientGone.
        trailing: whether the client takes headers behind the answer.
        """
        sent = _Sent(form, self.outcome, headers, self._send, trailing=trailing)
        try:
            async with aclosing(self._pieces()) as pieces:
                async for piece in pieces:
                    await (sent.keep_alive() if piece is None else sent.add(piece))
            self._require_content(form)
            await sent.end()
        except ClientGone:
            # Who leaves in the middle has what was sent until then.
            if sent.has_content:
                self.delivered()
            raise
        except CannotAnswer as error:
            if not sent.has_begun:
                raise
            if not await sent.say_that_it_broke():
                raise BrokenOff(str(error)) from error
            logger.warning("%s: the answer broke off: %s", self._model, error)
            return
        self.delivered()

    async def whole(self, form: Form[Piece]) -> bytes:
        """The answer, once all of it is made; `delivered` is to be called when it was sent.

        Raises CannotAnswer and ClientGone.
        """
        async with aclosing(self._pieces()) as pieces:
            parts = [form.take(piece) async for piece in pieces if piece is not None]
        self._require_content(form)
        return b"".join(parts)

    async def _pieces(self) -> AsyncGenerator[Piece | None, None]:
        """The pieces; None every now and then while there is none. ClientGone as soon as it is."""
        async with aclosing(self._made) as made:
            gone = asyncio.ensure_future(_until_gone(self._receive))
            coming: asyncio.Future[Piece] | None = None
            try:
                while True:
                    coming = coming or asyncio.ensure_future(anext(made))
                    await asyncio.wait(
                        (coming, gone),
                        timeout=_ALIVE_EVERY_SECONDS,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    if gone.done():
                        raise ClientGone
                    if not coming.done():
                        yield None
                        continue
                    try:
                        piece = coming.result()
                    except StopAsyncIteration:
                        return
                    coming = None
                    yield piece
            finally:
                gone.cancel()
                if coming is not None:
                    # The call to the provider ends where it is waited for.
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)

    def _require_content(self, form: Form[Piece]) -> None:
        if form.is_empty:
            reasons = sorted(self.outcome.finish_reasons.values())
            raise CannotAnswer(
                f"the answer has nothing in it ({', '.join(reasons) or 'no reason'})"
            )

    def delivered(self) -> None:
        """The client has the answer, as far as it wanted it."""
        self._call.deliver(
            Tokens(
                model=self._model,
                tokens_in=self.outcome.tokens_in or 0,
                tokens_out=self.outcome.tokens_out or 0,
            )
        )


class _Sent(Generic[Piece]):
    """What was sent of an answer as it is made."""

    def __init__(
        self,
        form: StreamForm[Piece],
        outcome: Outcome,
        headers: Headers,
        send: Send,
        *,
        trailing: bool,
    ) -> None:
        self.has_begun = False
        self.has_content = False
        self._form = form
        self._outcome = outcome
        self._headers = headers
        self._send = send
        self._trailing = trailing
        # An answer that may have nothing in it is none yet.
        self._waiting = b""

    async def add(self, piece: Piece) -> None:
        """Send a piece, if there is anything to show."""
        self._waiting += self._form.take(piece)
        if self._form.is_at_work(piece) and not self._outcome.finish_reasons:
            # It thinks, and is well: the head goes ahead.
            await self._begin()
        if self._waiting and not self._form.is_empty:
            await self._begin()
            await self._write(self._waiting)
            self._waiting, self.has_content = b"", True

    async def keep_alive(self) -> None:
        """Send something that is no part of the answer, where there is such."""
        if self.has_begun and self._form.alive:
            await self._write(self._form.alive)

    async def end(self) -> None:
        """Send what stands behind the last piece."""
        await self._write(self._waiting + self._form.end(self._outcome), is_last=True)
        trailers = self._form.trailers(self._outcome) if self._trailing else []
        if trailers:
            await self._send({"type": "http.response.trailers", "headers": trailers})

    async def say_that_it_broke(self) -> bool:
        """End an answer that says itself that it failed; False where it cannot."""
        said_so = self._form.broken()
        if said_so is None:
            return False
        await self._write(said_so, is_last=True)
        return True

    async def _begin(self) -> None:
        if self.has_begun:
            return
        self.has_begun = True
        names = [n for n, _ in self._form.trailers(self._outcome)] if self._trailing else []
        head: dict[str, Any] = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", self._form.media_type(self._outcome).encode("latin-1")),
                (b"cache-control", b"no-store"),
                # nginx would collect the chunks otherwise.
                (b"x-accel-buffering", b"no"),
                *([(b"trailer", b", ".join(names))] if names else []),
                *self._headers,
            ],
            "trailers": bool(names),
        }
        await self._send(head)

    async def _write(self, body: bytes, *, is_last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def _until_gone(receive: Receive) -> None:
    """Wait until the client has gone; the server tells only those who ask."""
    while (await receive())["type"] != "http.disconnect":
        pass
