"""Calls to a provider over HTTP: bounded in number, size and time."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from api.providers import failures
from api.providers.answers import Busy, CannotAnswer
from api.providers.exchange import Exchange

_ERROR_BYTES = 64 * 1024
_ERROR_SECONDS = 5.0
# What still comes after the end of an answer is waited for so long, to keep the connection.
_DRAIN_SECONDS = 0.05
_BLANK = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a provider may take, and how many calls it gets at once.

    first_seconds: until the first sign of an answer. between_seconds: between two.
    total_seconds: until its end. end_seconds: between the last word and the end.
    connections: at once; a call waits wait_seconds for a free one.
    """

    first_seconds: float = 120
    between_seconds: float = 60
    total_seconds: float = 600
    end_seconds: float = 2
    connections: int = 64
    wait_seconds: float = 5
    connect_seconds: float = 5


@dataclass(frozen=True, slots=True)
class Extra:
    """A member of a request that some providers refuse; `words`: how their error names it."""

    name: str
    words: tuple[str, ...]


class Calls:
    """Asks one provider. Connections are made in the event loop of the first call."""

    def __init__(self, base_url: str, api_key: str, *, limits: Limits) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._limits = limits
        self._client: httpx.AsyncClient | None = None
        self._unwanted: set[tuple[str, Any]] = set()
        address = httpx.URL(self._base_url)
        place = (self._base_url, address.netloc.decode(), address.host)
        self.secrets = tuple(secret for secret in (api_key, *place) if secret)

    @asynccontextmanager
    async def ask(
        self, path: str, asked: dict[str, Any], *, extra: Extra | None = None
    ) -> AsyncIterator["Call"]:
        """A successful answer under way, closed at the end of the block. Raises CannotAnswer.

        A provider that refuses `extra` is asked without it, and for this model from then on.
        """
        clock = _Clock(self._limits)
        # Whether something is refused depends on the model, too, where many are behind one address.
        marker = (extra.name, asked.get("model")) if extra else None
        if extra and marker in self._unwanted:
            asked = _without(asked, extra.name)
        async with AsyncExitStack() as stack:
            answer = await stack.enter_async_context(self._answer(path, asked, clock))
            if not answer.response.is_success:
                body = await _error_body(answer, clock)
                if not (extra and extra.name in asked and _is_about(extra, answer, body)):
                    raise self._failure(answer, body)
                await answer.close()
                asked = _without(asked, extra.name)
                answer = await stack.enter_async_context(self._answer(path, asked, clock))
                if not answer.response.is_success:
                    raise self._failure(answer, await _error_body(answer, clock))
                self._unwanted.add((extra.name, asked.get("model")))
            yield Call(answer, clock)

    async def aclose(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def _answer(
        self, path: str, asked: dict[str, Any], clock: "_Clock"
    ) -> AsyncIterator[Exchange]:
        client = self._connected()
        request = client.build_request(
            "POST",
            f"{self._base_url}/{path}",
            # ASCII, so that half a character in what a customer wrote can be sent, too.
            content=json.dumps(asked, allow_nan=False).encode(),
            headers={"Content-Type": "application/json"},
        )
        exchange = Exchange(client, request)
        try:
            await _begin(exchange, clock)
            yield exchange
        finally:
            await exchange.close()

    def _failure(self, answer: Exchange, body: bytes) -> CannotAnswer:
        response = answer.response
        return failures.of_status(
            response.status_code, headers=response.headers, body=body, secrets=self.secrets
        )

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = self._limits
            self._client = httpx.AsyncClient(
                # Compression would hold words back.
                headers={**self._headers, "Accept-Encoding": "identity"},
                # How long reading takes is bounded by `_Clock`.
                timeout=httpx.Timeout(
                    None, connect=limits.connect_seconds, pool=limits.wait_seconds
                ),
                limits=httpx.Limits(
                    max_connections=limits.connections,
                    max_keepalive_connections=limits.connections,
                ),
                trust_env=False,
                follow_redirects=False,
            )
        return self._client


class Call:
    """An answer that is under way."""

    def __init__(self, answer: Exchange, clock: "_Clock") -> None:
        self._answer = answer
        self._clock = clock
        self._peeked = b""
        content_type = answer.response.headers.get("content-type", "")
        self.media_type = content_type.partition(";")[0].strip().lower()

    async def read(self) -> bytes:
        """More of the answer; empty at its end. Raises CannotAnswer."""
        if self._peeked:
            peeked, self._peeked = self._peeked, b""
            return peeked
        try:
            async with asyncio.timeout_at(self._clock.deadline()):
                return await self._answer.read()
        except TimeoutError:
            raise CannotAnswer("the provider was silent for too long") from None
        except httpx.HTTPError as error:
            raise _broken(error) from None

    async def first_byte(self) -> bytes:
        """The first byte that is not blank, without taking it; empty if there is none."""
        while piece := await self.read():
            if visible := piece.lstrip(_BLANK):
                self._peeked = visible
                return visible[:1]
        return b""

    async def read_all(self, *, most_bytes: int) -> bytes:
        """The whole of an answer that may not have more bytes than that. Raises CannotAnswer."""
        parts: list[bytes] = []
        size = 0
        while piece := await self.read():
            self.came()
            parts.append(piece)
            size += len(piece)
            if size > most_bytes:
                raise CannotAnswer("the provider's answer is too long")
        return b"".join(parts)

    async def drain(self) -> None:
        """Read the little that may follow an answer, so that its connection can be used again."""
        self._clock.allow(_DRAIN_SECONDS)
        with suppress(CannotAnswer):
            while await self.read():
                pass

    def came(self) -> None:
        """Something came: there is time again until the next."""
        self._clock.came()

    def ends(self) -> None:
        """The last word came: only the end is waited for, and not long."""
        self._clock.ends()


class _Clock:
    """Until when the next piece must have come. Time in which nobody reads does not count."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._time = asyncio.get_running_loop().time
        self._total_at = self._time() + limits.total_seconds
        self._seconds = limits.first_seconds
        self._since: float | None = None

    def deadline(self) -> float:
        if self._since is None:
            self._since = self._time()
        return min(self._since + self._seconds, self._total_at)

    def came(self) -> None:
        self.allow(self._limits.between_seconds)

    def ends(self) -> None:
        self.allow(self._limits.end_seconds)

    def allow(self, seconds: float) -> None:
        self._seconds, self._since = seconds, None


async def _begin(answer: Exchange, clock: _Clock) -> None:
    try:
        async with asyncio.timeout_at(clock.deadline()):
            await answer.begin()
    except httpx.PoolTimeout:
        raise Busy("all connections to the provider are taken") from None
    except TimeoutError:
        raise CannotAnswer("the provider did not begin to answer in time") from None
    except httpx.HTTPError as error:
        raise _broken(error) from None


async def _error_body(answer: Exchange, clock: _Clock) -> bytes:
    """What there is of an error's body within bounds."""
    body = bytearray()
    in_time = min(asyncio.get_running_loop().time() + _ERROR_SECONDS, clock.deadline())
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout_at(in_time):
            while len(body) < _ERROR_BYTES and (piece := await answer.read()):
                body += piece
    return bytes(body[:_ERROR_BYTES])


def _is_about(extra: Extra, answer: Exchange, body: bytes) -> bool:
    # Some gateways make a 500 of what was another's 400.
    return answer.response.status_code in {400, 422, 500} and any(
        word.encode() in body for word in extra.words
    )


def _without(asked: dict[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in asked.items() if member != name}


def _broken(error: httpx.HTTPError) -> CannotAnswer:
    # What the error says may hold our key, or what the provider sent.
    return CannotAnswer(f"the call to the provider broke: {type(error).__name__}")
