"""Posting webhooks: many at once, each within a bounded time, to the address that was checked.

A name is resolved once, its addresses are judged, and the connection goes to one of exactly those:
a name that changes meanwhile leads nowhere else. Redirects are not followed, no proxy of the
environment is used, and of an answer little more than its status is read.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache

import httpx

from accounts.outside import Line
from alerts import public_addresses
from alerts.public_addresses import CannotLeadThere, Target
from alerts.reasons import Reason

# All of one: name, connection, request and answer, however slowly it trickles.
SECONDS = 10.0
_SPARE_SECONDS = 5.0
# Of the answer's body, so that a receiver comes to its end; what it says does not matter.
_BODY_BYTES = 4_096
_BODY_SECONDS = 1.0

_line = Line("posting webhooks", at_once=4)
_looking_up = Line("looking up a webhook's host", at_once=4)


@dataclass(frozen=True, slots=True)
class Message:
    """One request to be made."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it: the status of an answer, or in words why there is none."""

    status: int | None = None
    error: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300


def check(url: str) -> None:
    """Raise CannotLeadThere unless a webhook may go to this address now. Waits for name servers.

    CannotCall when these give no answer.
    """
    target = public_addresses.read(url)
    _looking_up.call(lambda: public_addresses.resolve(target), within_seconds=SECONDS)


def post_all(messages: Sequence[Message]) -> list[Outcome]:
    """Make all requests at once, and answer what became of each, in order. Raises CannotCall."""
    return _line.call(
        lambda: asyncio.run(_post_all(messages)), within_seconds=SECONDS + _SPARE_SECONDS
    )


async def _post_all(messages: Sequence[Message]) -> list[Outcome]:
    return list(await asyncio.gather(*map(_post, messages)))


async def _post(message: Message) -> Outcome:
    try:
        async with asyncio.timeout(SECONDS):
            return await _exchange(message)
    except TimeoutError:
        return Outcome(error=_no_answer())
    except CannotLeadThere as error:
        return Outcome(error=str(error))
    except ssl.SSLError:
        return Outcome(error=Reason.TLS_FAILED)
    except (httpx.HTTPError, OSError) as error:
        return Outcome(error=_in_words(error))


async def _exchange(message: Message) -> Outcome:
    target = public_addresses.read(message.url)
    addresses = await _resolved(target)
    # A client for each: a connection is reused by its address, and this one is some name's.
    async with httpx.AsyncClient(
        # A proxy would look the name up again, and a redirect leads elsewhere.
        trust_env=False,
        follow_redirects=False,
        verify=_trusted(),
        timeout=SECONDS,
    ) as client:
        for address in addresses[:-1]:
            try:
                return await _ask(client, message, target, address)
            except httpx.ConnectError:
                # The next one may be there.
                continue
        return await _ask(client, message, target, addresses[-1])


async def _ask(
    client: httpx.AsyncClient, message: Message, target: Target, address: str
) -> Outcome:
    host = f"[{address}]" if ":" in address else address
    request = client.build_request(
        "POST",
        f"{target.scheme}://{host}:{target.port}{target.path}",
        content=message.body,
        headers={
            **message.headers,
            "Host": target.authority,
            "Content-Type": "application/json",
            "User-Agent": "sansxel-webhooks",
            "Accept-Encoding": "identity",
            "Connection": "close",
        },
        # The certificate is asked of the name, not of the address.
        extensions={"sni_hostname": target.host},
    )
    response = await client.send(request, stream=True)
    try:
        await _hear_out(response)
    finally:
        await response.aclose()
    status = response.status_code
    if 200 <= status < 300:
        return Outcome(status=status)
    if 300 <= status < 400:
        return Outcome(status=status, error=Reason.REDIRECTED % {"status": status})
    return Outcome(status=status, error=Reason.ANSWERED % {"status": status})


async def _hear_out(response: httpx.Response) -> None:
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(_BODY_SECONDS):
            read = 0
            async for piece in response.aiter_raw():
                read += len(piece)
                if read >= _BODY_BYTES:
                    return


async def _resolved(target: Target) -> list[str]:
    """The addresses of a host, by a thread of its own: name servers cannot be told to stop.

    It ends by itself when they have been silent for long enough, and nobody waits for it.
    """
    answer: Future[list[str]] = Future()
    answer.set_running_or_notify_cancel()

    def ask() -> None:
        try:
            answer.set_result(public_addresses.resolve(target))
        except CannotLeadThere as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="looking up a host", daemon=True).start()
    return await asyncio.wrap_future(answer)


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Whose certificates count; reading them takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=False)


def _in_words(error: Exception) -> str:
    """For people; no text of the other side, which may be anything."""
    if isinstance(error, httpx.ConnectError):
        is_tls = "ssl" in str(error).lower() or "certificate" in str(error).lower()
        return Reason.TLS_FAILED if is_tls else Reason.NOT_REACHED
    if isinstance(error, httpx.TimeoutException):
        return _no_answer()
    return Reason.BROKE_OFF


def _no_answer() -> str:
    return Reason.NO_ANSWER % {"seconds": f"{SECONDS:g}"}
