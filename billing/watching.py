"""What is wrong with how money is watched: in words, and in the log once when it begins or ends."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from redis.exceptions import RedisError

from billing import reconciling
from billing.stripe_client import asking

logger = logging.getLogger(__name__)

_RECONCILED_WITHIN = timedelta(hours=3)
_COMPARED_WITHIN = timedelta(hours=36)
_KEPT_SECONDS = 30 * 24 * 3600
RECONCILIATION, COMPARISON, DIFFERENCES = "reconciliation", "comparison", "differences"
EVENTS_MISSING, API_VERSION = "stripe_events", "stripe_version"
WORDS = (RECONCILIATION, COMPARISON, DIFFERENCES, EVENTS_MISSING, API_VERSION)
# Those that are about what Stripe sends us.
OF_EVENTS = frozenset({EVENTS_MISSING, API_VERSION})


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong: a word that stays, and a sentence for people and the log."""

    word: str
    sentence: str


def look(*, at: datetime) -> list[Alarm]:
    """What is wrong now; what is new among it is an error in the log, once."""
    # The log is in English, whatever the language of whoever looks.
    with translation.override(None):
        found = alarms(facts(), at=at)
    wrong = {alarm.word: alarm for alarm in found}
    try:
        for word in WORDS:
            name = f"money-alarm:{word}"
            if word not in wrong:
                if cache.delete(name):
                    logger.warning("alarm over: %s", word)
            elif cache.add(name, at, _KEPT_SECONDS):
                logger.error("alarm: %s: %s", word, wrong[word].sentence)
    except (RedisError, OSError) as error:
        logger.warning("alarms about money are not remembered: %s", type(error).__name__)
    return found


@dataclass(frozen=True, slots=True)
class Paying:
    """So many subscriptions in one currency, and what they come to a month, a year as twelve."""

    currency: str
    number: int
    month_cents: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What alarms follow from, as it is now; differences, purchases and subscriptions: those that
    need a person; paying: subscriptions that are paid for, by currency.
    """

    reconciled_at: datetime | None
    compared_at: datetime | None
    untold_at: datetime | None
    told_at: datetime | None
    version: str | None
    differences: int
    purchases: int
    subscriptions: int
    first_purchase_at: datetime | None
    paying: tuple[Paying, ...]


def facts() -> Facts:
    """All of it in one query, of places that an index has."""
    with connection.cursor() as cursor:
        cursor.execute(_FACTS, {"tells": list(reconciling.TELL_OF_PAYMENTS)})
        row: Any = cursor.fetchone()
    *told, paying = row
    told.append(tuple(Paying(*one) for one in json.loads(paying)))
    return Facts(*told)


_FACTS = """
SELECT
    (SELECT max(until) FROM billing_bookcheck
     WHERE kind = 'reconciliation' AND error = '' AND finished_at IS NOT NULL),
    (SELECT max(until) FROM billing_bookcheck
     WHERE kind = 'comparison' AND error = '' AND finished_at IS NOT NULL),
    (SELECT untold_at FROM billing_bookcheck
     WHERE kind = 'reconciliation' AND finished_at IS NOT NULL
     ORDER BY started_at DESC, id DESC LIMIT 1),
    (SELECT max(newest) FROM unnest(%(tells)s::text[]) AS one (type), LATERAL (
        SELECT received_at AS newest FROM billing_stripeevent AS event
        WHERE event.type = one.type ORDER BY received_at DESC, id DESC LIMIT 1
     ) AS found),
    (SELECT payload ->> 'api_version' FROM billing_stripeevent
     ORDER BY received_at DESC, id DESC LIMIT 1),
    (SELECT count(*) FROM billing_difference WHERE resolved_at IS NULL),
    (SELECT count(*) FROM billing_purchase WHERE NOT problem = '' AND resolved_at IS NULL),
    (SELECT count(*) FROM billing_subscription WHERE NOT problem = '' AND ended_at IS NULL),
    (SELECT created_at FROM billing_purchase ORDER BY created_at, id LIMIT 1),
    (SELECT coalesce(
        jsonb_agg(jsonb_build_array(currency, number, cents) ORDER BY number DESC, currency), '[]'
     )::text FROM (
        SELECT currency, count(*) AS number, sum(
            CASE "interval" WHEN 'year' THEN amount_cents / 12 ELSE amount_cents END
        )::bigint AS cents
        FROM billing_subscription WHERE ended_at IS NULL AND status IN ('active', 'trialing')
        GROUP BY currency
     ) AS of_one_currency)
"""


def alarms(now: Facts, *, at: datetime) -> list[Alarm]:
    """What is wrong, in the language of whoever looks."""
    return [*_of_checks(now, at), *_of_differences(now), *_of_events(now)]


def _of_checks(now: Facts, at: datetime) -> Iterator[Alarm]:
    for word, done_at, within in (
        (RECONCILIATION, now.reconciled_at, _RECONCILED_WITHIN),
        (COMPARISON, now.compared_at, _COMPARED_WITHIN),
    ):
        # Before the first purchase there is nothing to look at.
        since = done_at or now.first_purchase_at
        if since is not None and since <= at - within:
            yield Alarm(word, _silent(word, done_at))


def _silent(word: str, done_at: datetime | None) -> str:
    when = _("never") if done_at is None else date_format(done_at, "j M H:i")
    if word == RECONCILIATION:
        return _(
            "Stripe was not looked through for payments for more than 3 hours (last: %(when)s). "
            "Look at the checks of the books and at the worker of the queue “waiting”."
        ) % {"when": when}
    return _(
        "The books were not compared for more than 36 hours (last: %(when)s). Look at the checks "
        "of the books, or run manage.py compare_books."
    ) % {"when": when}


def _of_differences(now: Facts) -> Iterator[Alarm]:
    if now.differences:
        says = ngettext(
            "%(number)s difference between the books needs a person.",
            "%(number)s differences between the books need a person.",
            now.differences,
        )
        yield Alarm(DIFFERENCES, says % {"number": now.differences})


def _of_events(now: Facts) -> Iterator[Alarm]:
    # One that came since: they arrive again.
    if now.untold_at is not None and (now.told_at is None or now.told_at <= now.untold_at):
        yield Alarm(
            EVENTS_MISSING,
            _(
                "Events of Stripe do not arrive: no event told of a payment of %(when)s. Look at "
                "the webhook endpoint in Stripe’s dashboard. Payments are found every hour "
                "meanwhile."
            )
            % {"when": date_format(now.untold_at, "j M H:i")},
        )
    if now.version and asking.is_of_another_release(now.version):
        yield Alarm(
            API_VERSION,
            _(
                "The webhook endpoint speaks version %(theirs)s of Stripe’s API, and the site "
                "%(ours)s. Events are handled all the same; set the endpoint’s version to that of "
                "the site."
            )
            % {"theirs": now.version, "ours": asking.API_VERSION},
        )
