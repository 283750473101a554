"""What Stripe did not let us do, because of our key: only whoever runs the site can mend that.

It is known to every process until Stripe lets us do the same again.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext_noop
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_PREFIX = "stripe-refuses:"
# What the key is for. A restricted one may lack any of them.
RIGHTS = (
    gettext_noop("opening Checkout Sessions"),
    gettext_noop("reading Checkout Sessions"),
    gettext_noop("ending Checkout Sessions"),
    gettext_noop("reading payments"),
    gettext_noop("reading disputes"),
    gettext_noop("returning payments"),
    gettext_noop("reading refunds"),
    gettext_noop("reading and making customers"),
    gettext_noop("reading and making products and prices"),
    gettext_noop("reading and changing subscriptions"),
    gettext_noop("opening the customer portal"),
    gettext_noop("charging saved cards"),
)
OPENING, LOOKING, ENDING, PAYMENTS, DISPUTES, REFUNDING, REFUNDS, *_OF_PLANS = RIGHTS
CUSTOMERS, PRICES, SUBSCRIPTIONS, PORTAL, PAYMENTS_OFF_SESSION = _OF_PLANS
# Of a refusal that nobody repeats and nobody lifts. Open orders are asked about every hour.
_KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that Stripe does not let us do, since when, and what it calls the error."""

    right: str
    error: str
    since: datetime


def refused(right: str, *, error: str, request_id: str) -> None:
    """Remember a refusal. It is an error in the log once, and a warning while it lasts."""
    try:
        is_new = cache.add(_key(right), (error, timezone.now()), _KEPT_SECONDS)
    except (RedisError, OSError) as trouble:
        logger.warning("a refusal of Stripe is not remembered: %s", type(trouble).__name__)
        is_new = True
    level = logging.ERROR if is_new else logging.WARNING
    logger.log(
        level,
        "Stripe refuses our key (STRIPE_SECRET_KEY) for %s: %s, request %s",
        right,
        error,
        request_id,
    )


def granted(right: str) -> None:
    """Forget that it was refused, if it was."""
    try:
        cache.delete(_key(right))
    except (RedisError, OSError) as trouble:
        logger.warning("a right at Stripe is not remembered: %s", type(trouble).__name__)


def refusals() -> list[Refusal]:
    """Everything that is refused now. RedisError or OSError when nobody remembers."""
    found: dict[str, Any] = cache.get_many([_key(right) for right in RIGHTS])
    return [Refusal(right, *found[_key(right)]) for right in RIGHTS if _key(right) in found]


def _key(right: str) -> str:
    return _PREFIX + right.replace(" ", "-").lower()
