"""Whether the parts of the site do what they are there for, in words for people."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext as _
from redis.exceptions import RedisError

from accounts.models import OutgoingMail
from accounts.numbers import thousands
from alerts.models import Delivery
from billing import rights, watching
from billing.models import StripeEvent
from config import readiness, signs_of_life
from config.readiness import Problem
from keys.projection import count_pending_keys
from quotas import catalogue
from quotas.projection import count_pending_accounts
from quotas.usage import backlog

logger = logging.getLogger(__name__)

# The drain and the sweeps run every second, webhooks are handled at once: these are long.
_DRAIN_SECONDS = 30
_WAITS = timedelta(minutes=5)
COUNTED_AT_MOST = 1_000

# Which of the words of `readiness` a part answers for; processes answer for their own.
_POSTGRESQL = ("database", "default_plan")
_VALKEY = ("valkey", "forgetful_valkey", "records_lost", "cache", "clock")


@dataclass(frozen=True, slots=True)
class Part:
    """One part, whether it is well, and what is so. is_well: None is not known."""

    name: str
    is_well: bool | None
    says: str

    @property
    def in_a_word(self) -> str:
        """Well or not, for whoever sees no colours."""
        return {True: _("Well"), False: _("Look at it"), None: _("Not known")}[self.is_well]


def parts(*, at: datetime, watched: watching.Facts | None = None) -> list[Part]:
    """Every part, in nine queries; Valkey, when it is away, is asked once.

    watched: what was read of that already.
    """
    problems = {problem.word: problem for problem in readiness.problems_now()}
    has_valkey = not {"valkey", "cache"} & problems.keys()
    of_money = watching.alarms(watched or watching.facts(), at=at)
    return [
        _of_problems("PostgreSQL", _("Answers."), problems, _POSTGRESQL),
        _of_problems("Valkey", _("Answers, and forgets nothing."), problems, _VALKEY),
        *_processes(problems, has_signs=has_valkey),
        _drain(has_valkey=has_valkey),
        _projection(),
        _payments(),
        _stripe_events(at, of_money),
        _books(of_money),
        _mail(at),
        _alerts(at),
    ]


def _of_problems(name: str, well: str, problems: dict[str, Problem], words: Iterable[str]) -> Part:
    """A part that is well when nothing is the matter with it."""
    said = [problems[word].sentence for word in words if word in problems]
    return Part(name, not said, " ".join(f"{_capital(text)}." for text in said) or well)


def _processes(problems: dict[str, Problem], *, has_signs: bool) -> list[Part]:
    """Beat alone, since without it nothing happens by itself; then everybody else."""
    if not has_signs:
        unknown = _("Signs of life are in Valkey.")
        return [Part(_("Beat"), None, unknown), Part(_("Processes"), None, unknown)]
    others = [name for name in signs_of_life.expected() if name != signs_of_life.BEAT]
    well = _("Each gave a sign in the last %(seconds)s s: %(names)s.") % {
        "seconds": signs_of_life.KEPT_SECONDS,
        "names": ", ".join(others),
    }
    return [
        _of_problems(_("Beat"), _("Sends tasks on time."), problems, (signs_of_life.BEAT,)),
        _of_problems(_("Processes"), well, problems, (*others, "front", "sandbox")),
    ]


def _drain(*, has_valkey: bool) -> Part:
    name = _("Drain")
    try:
        waiting = backlog.measure() if has_valkey else None
    except (RedisError, OSError) as error:
        logger.warning("the drain's backlog is not known: %s", type(error).__name__)
        waiting = None
    if waiting is None:
        return Part(name, None, _("What waits is in Valkey."))
    if not waiting.entries:
        return Part(name, True, _("Every charge is in PostgreSQL."))
    says = ngettext(
        "Not in PostgreSQL yet: %(count)s charge, the oldest for %(seconds)s s.",
        "Not in PostgreSQL yet: %(count)s charges, the oldest for %(seconds)s s.",
        waiting.entries,
    ) % {"count": _counted(waiting.entries), "seconds": f"{waiting.oldest_seconds:.0f}"}
    return Part(name, waiting.oldest_seconds <= _DRAIN_SECONDS, says)


def _projection() -> Part:
    """What is committed and not at the gate: normally for milliseconds."""
    name = _("Projection")
    accounts = count_pending_accounts(at_most=COUNTED_AT_MOST)
    keys = count_pending_keys(at_most=COUNTED_AT_MOST)
    behind = catalogue.is_pending()
    if not (accounts or keys or behind):
        return Part(name, True, _("The gate knows every change."))
    said = []
    if accounts:
        words = ngettext("%(count)s account", "%(count)s accounts", accounts)
        said.append(words % {"count": _counted(accounts)})
    if keys:
        words = ngettext("%(count)s key", "%(count)s keys", keys)
        said.append(words % {"count": _counted(keys)})
    if behind:
        said.append(_("the plans and prices"))
    says = _("Not at the gate yet: %(what)s. It is tried every second.")
    return Part(name, False, says % {"what": ", ".join(said)})


def _payments() -> Part:
    """Whether Stripe lets us do what we need to. Its refusals are kept beside the signs of life."""
    name = _("Payments")
    try:
        refusals = rights.refusals()
    except (RedisError, OSError):
        return Part(name, None, _("What Stripe refused is in Valkey."))
    if not refusals:
        return Part(name, True, _("Stripe lets us do what we asked for."))
    said = "; ".join(
        _("%(right)s since %(moment)s")
        % {"right": gettext(one.right), "moment": date_format(one.since, "j M H:i")}
        for one in refusals
    )
    says = _("Stripe refuses our key: %(said)s (%(error)s). Look at STRIPE_SECRET_KEY.")
    return Part(name, False, says % {"said": said, "error": refusals[0].error})


def _books(of_money: Iterable[watching.Alarm]) -> Part:
    """Whether our books are looked at beside Stripe's and the gate's, and agree."""
    said = [alarm.sentence for alarm in of_money if alarm.word not in watching.OF_EVENTS]
    return Part(_("Books"), not said, " ".join(said) or _("Looked at on time, and they agree."))


def _stripe_events(at: datetime, of_money: Iterable[watching.Alarm]) -> Part:
    name = _("Stripe’s webhooks")
    said = [alarm.sentence for alarm in of_money if alarm.word in watching.OF_EVENTS]
    if said:
        return Part(name, False, " ".join(said))
    waiting = StripeEvent.objects.filter(handled_at=None).order_by("retry_at")
    since = list(waiting.values_list("received_at", flat=True)[:COUNTED_AT_MOST])
    if not since:
        return Part(name, True, _("Every event is handled."))
    says = ngettext(
        "Not handled: %(count)s event, the oldest since %(moment)s.",
        "Not handled: %(count)s events, the oldest since %(moment)s.",
        len(since),
    )
    return Part(name, at - min(since) <= _WAITS, says % _since(since))


def _mail(at: datetime) -> Part:
    """Mails are deleted once they are sent."""
    name = _("Mail")
    waiting = OutgoingMail.objects.order_by("retry_at").values_list("written_at", flat=True)
    since = list(waiting[:COUNTED_AT_MOST])
    if not since:
        return Part(name, True, _("Every mail is sent."))
    says = ngettext(
        "Not sent: %(count)s mail, the oldest since %(moment)s.",
        "Not sent: %(count)s mails, the oldest since %(moment)s.",
        len(since),
    )
    return Part(name, at - min(since) <= _WAITS, says % _since(since))


def _alerts(at: datetime) -> Part:
    """What customers are told by mail and their webhooks. That they do not answer is no fault."""
    name = _("Customers’ alerts")
    overdue = Delivery.objects.filter(state=Delivery.State.WAITING, next_try_at__lte=at - _WAITS)
    since = list(
        overdue.order_by("next_try_at").values_list("next_try_at", flat=True)[:COUNTED_AT_MOST]
    )
    if not since:
        return Part(name, True, _("Every alert is sent when it is due."))
    says = ngettext(
        "Overdue: %(count)s alert, the oldest since %(moment)s.",
        "Overdue: %(count)s alerts, the oldest since %(moment)s.",
        len(since),
    )
    return Part(name, False, says % _since(since))


def _since(moments: Sequence[datetime]) -> dict[str, str]:
    return {
        "count": _counted(len(moments)),
        "moment": date_format(min(moments), "j M H:i"),
    }


def _counted(number: int) -> str:
    """So many; those that were counted no further have a plus."""
    more = "+" if number == COUNTED_AT_MOST else ""
    return f"{thousands(number)}{more}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
