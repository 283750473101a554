"""The only way to Stripe: how long it is waited for, by how many, and what its errors mean."""

import logging
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import stripe
from django.conf import settings

from accounts.outside import CannotCall, Line, TooManyCalls
from billing import rights
from billing.stripe_client.answers import unusable
from billing.stripe_client.errors import (
    AskedOtherwiseBefore,
    CardRefused,
    StripeBusy,
    StripeRefuses,
    StripeRefusesUs,
    StripeUnavailable,
    UnknownToStripe,
)

logger = logging.getLogger(__name__)

# How long a person waits for a page, and how long a worker waits for Stripe, repetitions included.
PAGE_SECONDS = 5.0
WORKER_SECONDS = 15.0
# Of one try: a connection that says nothing for so long is given up.
_SILENCE_SECONDS = 4
_REPETITIONS = 1
# Two lines: however many people look at a purchase, another can be begun. The second takes fewer
# than the worker has threads: however long Stripe hangs, some are left for mail.
opening = Line("opening a payment page at Stripe", at_once=8)
looking = Line("asking Stripe about a session", at_once=6)
returning = Line("returning a payment through Stripe", at_once=2)

# What answers and events look like changes with it, so it is chosen here and nowhere else: not by
# the library that happens to be installed, nor by what the dashboard calls the default.
API_VERSION = "2026-10-28.endive"


@cache
def client() -> stripe.StripeClient:
    """Stripe's own client, as the settings say; only within what `ask` calls."""
    base = settings.STRIPE_API_BASE
    return stripe.StripeClient(
        settings.STRIPE_SECRET_KEY,
        stripe_version=API_VERSION,
        base_addresses={"api": base} if base else {},
        max_network_retries=_REPETITIONS,
        http_client=stripe.RequestsClient(timeout=_SILENCE_SECONDS),
    )


def is_of_another_release(version: str) -> bool:
    """Whether a version of Stripe's API may look otherwise than ours: its release has another name.

    Versions of one release, as “2026-10-28.endive”, only add to each other.
    """
    return version.partition(".")[2] != API_VERSION.partition(".")[2]


def is_live() -> bool:
    """Whether real money moves."""
    return settings.STRIPE_SECRET_KEY.startswith(("sk_live_", "rk_live_"))


def ask(
    call: Callable[[], Any], *, line: Line, within_seconds: float, right: str = rights.LOOKING
) -> Any:
    """The only way to Stripe. What is wrong with an answer, stripe-python says in many ways.

    right: what our key must be allowed for this.
    """
    try:
        answer = line.call(call, within_seconds=within_seconds)
    except TooManyCalls as error:
        raise StripeBusy(str(error)) from None
    except CannotCall as error:
        raise StripeUnavailable(str(error)) from None
    except stripe.StripeError as error:
        raise _meant_by(error, right=right) from error
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise unusable(type(error).__name__) from error
    rights.granted(right)
    return answer


def _meant_by(error: stripe.StripeError, *, right: str) -> Exception:
    """What an error means for whoever asked, by its kind; in the log with Stripe's number of it.

    What Stripe says in words is not kept: it may repeat what was sent.
    """
    name, request = type(error).__name__, _request_id(error)
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        rights.refused(right, error=name, request_id=request)
        return StripeRefusesUs(f"Stripe refuses our key for {right}: {name}")
    said = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    kind = said.get("type") if isinstance(said, dict) else None
    # By the status alone, anything between us and Stripe might have said it.
    if isinstance(error, stripe.IdempotencyError) and kind == "idempotency_error":
        logger.error("Stripe was asked for the same in other words, request %s", request)
        return AskedOtherwiseBefore("asked in other words before")
    if isinstance(error, stripe.InvalidRequestError) and kind == "invalid_request_error":
        if error.code == "resource_missing" and error.http_status == 404:
            logger.warning("Stripe does not know what was asked for, request %s", request)
            return UnknownToStripe("Stripe does not know this session")
        param = _plain(error.param)
        # A session that is to end may have ended: no mistake of ours.
        logger.log(
            logging.INFO if right == rights.ENDING else logging.ERROR,
            "Stripe refuses a request: %s %s, request %s",
            param,
            _plain(error.code),
            request,
        )
        return StripeRefuses(
            f"Stripe refuses what was asked: {param or name}", param=param, code=_plain(error.code)
        )
    if isinstance(error, stripe.CardError) and kind == "card_error":
        logger.warning("Stripe refuses a card: %s, request %s", _plain(error.code), request)
        return CardRefused("the card was refused", code=_plain(error.code))
    logger.warning("no usable answer of Stripe: %s, request %s", name, request)
    return StripeUnavailable(name)


def _request_id(error: stripe.StripeError) -> str:
    return _plain(error.request_id) or "without a number"


def _plain(text: object) -> str:
    """A name that Stripe gives to something; "" for whatever else stands in its place."""
    is_plain = isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_\[\]]{1,100}", text)
    return str(text) if is_plain else ""
