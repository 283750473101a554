"""Events: written down with what caused them, signed as Stripe signs, sent at least once."""

import asyncio
import hashlib
import hmac
import json
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from stripe_sandbox import objects
from stripe_sandbox.store import Books, Json

ATTEMPT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 3600.0
GIVE_UP_SECONDS = 3 * 24 * 3600.0
MOST_ANSWER_BYTES = 64 * 1024


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


async def send(event: Json, *, url: str, secret: str) -> int | None:
    """Post the event once; the HTTP status of the answer, or None when there was none."""
    payload = json.dumps(event, indent=2).encode()
    # The signature dates the sending, not the event, or a retry would be too old to be accepted.
    signature = sign(payload, secret=secret, at=int(time.time()))
    try:
        async with asyncio.timeout(ATTEMPT_SECONDS):
            return await _post(url, payload, signature=signature)
    except (OSError, TimeoutError, ValueError):
        return None


async def _post(url: str, payload: bytes, *, signature: str) -> int:
    """A bare HTTP/1.1 POST: redirects are not followed and only the status is of interest."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        parts.hostname,
        parts.port or (443 if secure else 80),
        ssl=ssl.create_default_context() if secure else None,
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = (
            f"POST {target} HTTP/1.1",
            f"Host: {parts.netloc}",
            "User-Agent: Stripe-sandbox/1.0",
            "Accept: */*",
            "Content-Type: application/json; charset=utf-8",
            f"Content-Length: {len(payload)}",
            f"Stripe-Signature: {signature}",
            "Connection: close",
        )
        writer.write("\r\n".join((*head, "", "")).encode("latin-1") + payload)
        await writer.drain()
        status = int((await reader.readline()).split(b" ", 2)[1])
        await reader.read(MOST_ANSWER_BYTES)
        return status
    except IndexError:
        raise ValueError("the answer is not HTTP") from None
    finally:
        writer.close()
