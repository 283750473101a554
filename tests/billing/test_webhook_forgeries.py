"""What Stripe did not sign for us is refused in words, never an error of ours, never a row."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from billing.models import StripeEvent
from stripe_sandbox.webhooks import sign
from tests.billing.buyer import WEBHOOK, event_of, post
from tests.stripe_sandbox.running_sandbox import WEBHOOK_SECRET

pytestmark = pytest.mark.django_db(transaction=True)

EVENT = event_of("cs_test_1")
BODY = json.dumps(EVENT).encode()
NOW = int(time.time())


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, ago: int = 0) -> str:
    """The header as Stripe writes it, so many seconds ago."""
    return sign(body, secret=secret, at=int(time.time()) - ago)


def changed(**changes: Any) -> bytes:
    """An event with other fields; None leaves one out."""
    event = {name: value for name, value in {**EVENT, **changes}.items() if value is not None}
    return json.dumps(event).encode()


def v1(body: bytes = BODY) -> str:
    return signed(body).partition("v1=")[2]


# What stands in the header, of a body that is fine.
HEADERS: dict[str, Callable[[], str | None]] = {
    "no header": lambda: None,
    "an empty header": lambda: "",
    "a space": lambda: " ",
    "noise": lambda: "letmein",
    "only commas": lambda: ",,,===,,",
    "the secret of another endpoint": lambda: signed(BODY, secret="whsec_another"),
    "an empty secret": lambda: signed(BODY, secret=""),
    "the signature of another event": lambda: signed(BODY + b" "),
    "no signature": lambda: f"t={int(time.time())}",
    "an empty signature": lambda: f"t={int(time.time())},v1=",
    "v0 only": lambda: signed(BODY).replace("v1=", "v0="),
    "capitals": lambda: f"t={int(time.time())},v1={v1().upper()}",
    "a signature that is not ASCII": lambda: f"t={int(time.time())},v1=é{v1()[1:]}",
    "a signature cut short": lambda: signed(BODY)[:-1],
    "six minutes old": lambda: signed(BODY, ago=360),
    "a year old": lambda: signed(BODY, ago=365 * 24 * 3600),
    "six minutes ahead": lambda: signed(BODY, ago=-360),
    "a year ahead": lambda: signed(BODY, ago=-365 * 24 * 3600),
    "no time": lambda: f"v1={v1()}",
    "an empty time": lambda: f"t=,v1={v1()}",
    "a time in words": lambda: f"t=now,v1={v1()}",
    "a negative time": lambda: f"t=-{int(time.time())},v1={v1()}",
    "a time with a fraction": lambda: f"t={time.time()},v1={v1()}",
    "a time beyond all numbers": lambda: f"t={'9' * 5000},v1={v1()}",
    "digits of another script": lambda: f"t=١٢٣,v1={v1()}",
    "another time beside the signed one": lambda: f"t={NOW - 9000},{signed(BODY)}",
    "a fresh time before a stale one": lambda: f"t={int(time.time())},{signed(BODY, ago=9000)}",
    "a very long header": lambda: "t=1,v1=" + "a" * 60_000,
}

# Bodies that are no event although the signature is right.
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \n",
    "no JSON": b"id=evt_1&type=x",
    "half an event": BODY[:-1],
    "two events": BODY + BODY,
    "invalid UTF-8": BODY.replace(b"cs_test_1", b"\xff\xfe"),
    "UTF-16": json.dumps(EVENT).encode("utf-16"),
    "an array": b"[" + BODY + b"]",
    "null": b"null",
    "a number": b"7",
    "a text": b'"event"',
    "true": b"true",
    "brackets without end": b"[" * 200_000,
    "objects without end": b'{"a":' * 100_000,
    "another object": changed(object="charge"),
    "no object": changed(object=None),
    "no id": changed(id=None),
    "an empty id": changed(id=""),
    "a number as id": changed(id=7),
    "a list as id": changed(id=["evt_1"]),
    "an id without end": changed(id="e" * 256),
    "no type": changed(type=None),
    "an empty type": changed(type=""),
    "an object as type": changed(type={}),
    "a type without end": changed(type="t" * 121),
    "live mode": changed(livemode=True),
    "no mode": changed(livemode=None),
    "a text as mode": changed(livemode="false"),
    "a zero byte in the id": changed(id="evt_\x00"),
    "half a character in the id": changed(id="evt_\ud800"),
    "a zero byte in the type": changed(type="x\x00"),
    "a zero byte somewhere": changed(data={"object": {"id": "\x00"}}),
    "half a character somewhere": changed(data={"object": {"id": "\ud800"}}),
    "not a number somewhere": changed(data={"amount": float("nan")}),
    "more than a number somewhere": changed(data={"amount": float("inf")}),
    "two megabytes": changed(data={"padding": "x" * 2_000_000}),
    "ten megabytes": changed(data={"padding": "x" * 10_000_000}),
}


def refused(answer: Any) -> None:
    assert answer.status_code in {400, 413}
    assert list(answer.json()) == ["error"]
    assert not StripeEvent.objects.exists()


def test_the_event_that_the_forgeries_imitate_is_accepted(webhook_secret: str) -> None:
    assert post(BODY, signed(BODY)).status_code == 200
    assert StripeEvent.objects.count() == 1


@pytest.mark.parametrize("forged", HEADERS.values(), ids=HEADERS)
def test_a_forged_signature_is_refused(
    webhook_secret: str, forged: Callable[[], str | None]
) -> None:
    refused(post(BODY, forged()))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_signed_body_that_is_no_event_is_refused(webhook_secret: str, body: bytes) -> None:
    refused(post(body, signed(body)))


@pytest.mark.parametrize("place", [0, len(BODY) // 2, len(BODY) - 1])
def test_a_body_that_was_changed_on_the_way_is_refused(webhook_secret: str, place: int) -> None:
    tampered = BODY[:place] + bytes([BODY[place] ^ 1]) + BODY[place + 1 :]
    refused(post(tampered, signed(BODY)))


def test_a_length_that_is_no_number_is_refused(webhook_secret: str) -> None:
    answer = Client().generic(
        "POST", WEBHOOK, BODY, headers={"Stripe-Signature": signed(BODY)}, CONTENT_LENGTH="many"
    )
    refused(answer)


def test_after_the_secret_was_changed_the_old_one_is_a_forgery(
    webhook_secret: str, settings: Any
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_the_new_one",)
    refused(post(BODY, signed(BODY)))
    assert post(BODY, signed(BODY, secret="whsec_the_new_one")).status_code == 200


def test_five_minutes_of_travel_and_of_clocks_that_differ_are_no_forgery(
    webhook_secret: str,
) -> None:
    for ago in (290, -290):
        assert post(BODY, signed(BODY, ago=ago)).status_code == 200


def test_while_a_secret_is_rotated_events_signed_with_either_are_taken_and_no_others(
    webhook_secret: str, settings: Any
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ("whsec_the_new_one", webhook_secret, "whsec_a_third")
    refused(post(BODY, signed(BODY, secret="whsec_nobodys")))
    for secret in settings.STRIPE_WEBHOOK_SECRETS:
        assert post(BODY, signed(BODY, secret=secret)).status_code == 200
