"""What the site cannot do without, looked at again and again.

`/readyz` and a task of every ten seconds look; what is lost is logged as an alarm, once, and once
more when it is back.
"""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
from django.conf import settings
from django.db import DatabaseError
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from redis.exceptions import RedisError

from accounts.kept_sentences import reader_of
from config import signs_of_life
from quotas import epochs
from quotas.models.plans import Plan

logger = logging.getLogger(__name__)

CLOCK_SECONDS = 1.0
# A probe must not hang where a server does.
_PATIENCE_SECONDS = 0.4
_WITHOUT_SIGNS = ("front", "sandbox")
# Without these a process must not be asked anything; the rest is an alarm, and it goes on.
STOPS = frozenset({"database", "valkey", "forgetful_valkey"})

# What `gate.store.durability` says of a server, which has no translations.
_forgets = reader_of(
    (
        gettext_noop("it may evict keys (set maxmemory-policy noeviction)"),
        gettext_noop("it has no append-only file (set appendonly yes)"),
        gettext_noop("it may lose acknowledged writes (set appendfsync always)"),
    )
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is lost: a word that stays, and a sentence for people and the log."""

    word: str
    sentence: str


class Alarms:
    """Says once what is lost, and once that it is back."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._began = time.monotonic()

    def hear(self, problems: list[Problem]) -> None:
        """Take the problems of now."""
        now = {problem.word: problem for problem in problems}
        if time.monotonic() - self._began < signs_of_life.KEPT_SECONDS:
            # Who is started together with us has given no sign yet.
            for name in (*signs_of_life.expected(), *_WITHOUT_SIGNS):
                now.pop(name, None)
        with self._lock:
            lost, back = now.keys() - self._known, self._known - now.keys()
            self._known = set(now)
        for word in sorted(lost):
            logger.error("alarm: %s: %s", word, now[word].sentence)
        for word in sorted(back):
            logger.warning("alarm over: %s", word)


alarms = Alarms()


@dataclass(frozen=True, slots=True)
class State:
    """What a probe is told."""

    problems: list[str]

    @property
    def http_status(self) -> int:
        """503 where this process must not be asked."""
        return 200 if STOPS.isdisjoint(self.problems) else 503

    @property
    def said(self) -> dict[str, Any]:
        """The members of the answer."""
        status = "degraded" if self.problems else "ok"
        if self.http_status != 200:
            status = "unavailable"
        return {"status": status, "problems": self.problems}


def look() -> list[str]:
    """The words of what is lost now; what is new among it is logged."""
    # The log is in English, whatever the language of whoever probes.
    with translation.override(None):
        problems = problems_now()
    alarms.hear(problems)
    return [problem.word for problem in problems]


def problems_now() -> list[Problem]:
    """What is lost now, in the language of whoever looks; nothing is logged."""
    problems = [*_of_database(), *_of_valkey()]
    if all(problem.word != "valkey" for problem in problems):
        problems += _of_signs()
    problems += _of_parts_without_signs()
    # Several may have wrong clocks: one word.
    return list({problem.word: problem for problem in problems}.values())


def _of_database() -> list[Problem]:
    try:
        has_default = Plan.objects.filter(is_default=True).exists()
    except DatabaseError as error:
        return [Problem("database", _no_answer("PostgreSQL", error))]
    if has_default:
        return []
    return [Problem("default_plan", _("no plan is the default: new accounts cannot be served"))]


def _of_valkey() -> list[Problem]:
    try:
        servers = epochs.examine_servers(patience=_PATIENCE_SECONDS)
    except (RedisError, OSError) as error:
        return [Problem("valkey", _no_answer("Valkey", error))]
    problems = []
    for server in servers:
        if server.forgetful and not settings.ALLOW_FORGETFUL_REDIS:
            why = "; ".join(_forgets(reason) for reason in server.forgetful)
            sentence = _("Valkey may forget quota now: %(why)s") % {"why": why}
            problems.append(Problem("forgetful_valkey", sentence))
        if server.evicted and not settings.ALLOW_FORGETFUL_REDIS:
            sentence = ngettext(
                "Valkey threw %(records)s record away, so that requests may have been charged "
                "twice: run manage.py rebuild_gate, then CONFIG RESETSTAT",
                "Valkey threw %(records)s records away, so that requests may have been charged "
                "twice: run manage.py rebuild_gate, then CONFIG RESETSTAT",
                server.evicted,
            ) % {"records": server.evicted}
            problems.append(Problem("records_lost", sentence))
        problems += _of_clock(_("this process"), server.clock_ahead_seconds)
    return problems


def _of_signs() -> list[Problem]:
    try:
        seen = signs_of_life.seen()
    except (RedisError, OSError) as error:
        return [Problem("cache", _no_answer(_("the cache"), error))]
    problems = []
    for name in signs_of_life.expected():
        if name in seen:
            problems += _of_clock(name, seen[name])
        # Without beat nobody sends the workers anything: that they are silent says nothing.
        elif name in signs_of_life.BY_THEMSELVES or signs_of_life.BEAT in seen:
            sentence = _("no sign of %(name)s for %(seconds)s s") % {
                "name": name,
                "seconds": signs_of_life.KEPT_SECONDS,
            }
            problems.append(Problem(name, sentence))
    return problems


def _of_parts_without_signs() -> list[Problem]:
    """Front and sandbox give no signs of life: they are asked, where it is said where they are."""
    if not settings.FRONT_URL:
        return []
    asked = {"front": f"{settings.FRONT_URL}/healthz"}
    if settings.STRIPE_IS_SANDBOX:
        asked["sandbox"] = str(settings.STRIPE_API_BASE)
    problems = []
    for name, url in asked.items():
        try:
            httpx.get(url, timeout=_PATIENCE_SECONDS, trust_env=False)
        except httpx.HTTPError as error:
            problems.append(Problem(name, _no_answer(name, error)))
    return problems


def _of_clock(whose: str, ahead_seconds: float) -> list[Problem]:
    if abs(ahead_seconds) <= CLOCK_SECONDS:
        return []
    sentence = _("the clock of %(whose)s is %(seconds)s s off Valkey's")
    return [Problem("clock", sentence % {"whose": whose, "seconds": f"{ahead_seconds:+.1f}"})]


def _no_answer(whose: str, error: Exception) -> str:
    return _("%(whose)s gives no answer (%(error)s)") % {
        "whose": whose,
        "error": type(error).__name__,
    }
