"""Asking Stripe about one thing after another, until it seems to be away."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from billing.stripe_client.errors import StripeUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")

# In a row; then Stripe is taken to be away, and the next turn is soon enough.
_FAILURES_AT_MOST = 3


def ask_in_turn(things: Iterable[T], ask: Callable[[T], bool], *, named: Callable[[T], str]) -> int:
    """Ask about each; what fails holds up nothing. Answers how many were asked about.

    ask: answers False where somebody else is at it; named: what a thing is called in the log.
    """
    asked = failures = 0
    for thing in things:
        if failures == _FAILURES_AT_MOST:
            break
        try:
            if not ask(thing):
                continue
        except StripeUnavailable as error:
            failures += 1
            logger.warning("%s: Stripe gave no answer: %s", named(thing), error)
        except Exception:
            logger.exception("%s could not be brought to an end", named(thing))
        else:
            failures = 0
        asked += 1
    return asked
