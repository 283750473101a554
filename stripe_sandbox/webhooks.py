"""Events: written down with what caused them, signed as Stripe signs, sent at least once."""

import asyncio
import hashlib
import hmac
import json
import ssl
import time
from dataclasses import dataclass

import httpx

from stripe_sandbox import objects
from stripe_sandbox.store import Books, Json

ATTEMPT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 3600.0
GIVE_UP_SECONDS = 3 * 24 * 3600.0
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe-sandbox/1.0",
}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The API request behind an event; both are None for what a buyer did on the page."""

    request_id: str | None = None
    idempotency_key: str | None = None


ON_THE_PAGE = Cause()


def announce(books: Books, kind: str, thing: Json, *, cause: Cause = ON_THE_PAGE) -> None:
    """Write the event down and have it delivered once this transaction is committed."""
    event = objects.event(
        kind=kind,
        thing=thing,
        at=int(books.now),
        request_id=cause.request_id,
        idempotency_key=cause.idempotency_key,
    )
    books.add(event, parent=thing["id"])
    books.add_delivery(event["id"])


def sign(payload: bytes, *, secret: str, at: int) -> str:
    """The Stripe-Signature header: HMAC-SHA-256 of "{at}.{payload}"."""
    signed = b"%d.%s" % (at, payload)
    return f"t={at},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def wait_before_retry(attempts: int, *, first_seconds: float) -> float:
    """Seconds to the next try after `attempts` failed ones: doubling, at most an hour."""
    return min(first_seconds * 2.0 ** min(attempts - 1, 30), LONGEST_WAIT_SECONDS)


def sender() -> httpx.AsyncClient:
    """What `send` posts with: one connection per event, straight to where it belongs."""
    return httpx.AsyncClient(
        headers=HEADERS,
        timeout=ATTEMPT_SECONDS,
        limits=httpx.Limits(max_keepalive_connections=0),
        follow_redirects=False,
        # A proxy of the developer's does not reach the developer's own machine.
        trust_env=False,
        verify=ssl.create_default_context(),
    )


async def send(event: Json, *, url: str, secret: str, client: httpx.AsyncClient) -> int | None:
    """Post the event once; the HTTP status of the answer, or None when there was none."""
    payload = json.dumps(event, indent=2).encode()
    # The signature dates the sending, not the event, or a retry would be too old to be accepted.
    headers = {"Stripe-Signature": sign(payload, secret=secret, at=int(time.time()))}
    try:
        # httpx bounds each step; this bounds them together. Nobody reads what else was answered.
        async with (
            asyncio.timeout(ATTEMPT_SECONDS),
            client.stream("POST", url, content=payload, headers=headers) as answer,
        ):
            return answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return None
