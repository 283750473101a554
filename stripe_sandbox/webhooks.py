"""Events: written down with what caused them, signed as Stripe signs, sent at least once."""

import asyncio
import hashlib
import hmac
import json
import ssl
import time

import httpx

from stripe_sandbox import switches
from stripe_sandbox.books import Books, Json
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.objects import events as objects
from stripe_sandbox.objects.events import changed_from
from stripe_sandbox.sendings import CONFIGURED

ATTEMPT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 3600.0
GIVE_UP_SECONDS = 3 * 24 * 3600.0
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "User-Agent": "Stripe-sandbox/1.0",
}


def announce(books: Books, kind: str, thing: Json, *, previous: Json | None = None) -> None:
    """Write the event down and have it sent once this transaction is committed.

    `previous` are the values before, of an event that says that something was updated.
    """
    wanted = [
        endpoint["id"]
        for endpoint in reversed(books.every("webhook_endpoint", status="enabled"))
        if {"*", kind} & set(endpoint["enabled_events"])
    ]
    endpoints = [CONFIGURED, *wanted]
    event = objects.event(
        kind=kind,
        thing=thing,
        at=int(books.now),
        cause=books.cause,
        endpoints=len(endpoints),
        previous=previous,
    )
    books.add(event, parent=thing.get("id"))
    lost = switches.take(books, "lose", kind)
    twice = switches.take(books, "twice", kind)
    late = switches.take(books, "late", kind)
    for endpoint_id in endpoints:
        books.sendings.add(
            event["id"],
            endpoint_id,
            state="lost" if lost else "pending",
            later_seconds=late.seconds if late else 0,
            again=1 if twice else 0,
        )


def save_changed(books: Books, kind: str, thing: Json) -> None:
    """Write an object back and announce what changed in it, if anything did."""
    before = books.known(thing["object"], thing["id"])
    if before == thing:
        return
    books.save(thing)
    announce(books, kind, thing, previous=changed_from(before, thing))


def secret_of(endpoint_id: str, *, configuration: Configuration) -> str:
    """What events for an endpoint are signed with; those beside the configured one have their own.

    It is made of the configured one, so that no secret is kept in the file.
    """
    if endpoint_id == CONFIGURED:
        return configuration.webhook_secret
    key = configuration.webhook_secret.encode()
    return f"whsec_{hmac.new(key, endpoint_id.encode(), hashlib.sha256).hexdigest()[:32]}"


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
