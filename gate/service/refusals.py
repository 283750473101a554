"""How a refusal reads as an HTTP answer, for the public API and for gateways to pass on."""

from typing import Any

from gate.decision.check import Decision, QuotaUnavailable
from gate.service.alarms import Alarm
from gate.service.http import Problem
from gate.service.rate_headers import rate_headers
from gate.terms import week
from gate.terms.reasons import MEANINGS, Reason


def unavailable(alarm: Alarm | None = None) -> Problem:
    """The answer when no decision can be made: never a free pass."""
    return Problem(
        503,
        "quota_unavailable",
        "The quota cannot be checked at the moment. Try again in a few seconds.",
        headers=[(b"retry-after", b"2")],
        alarm=alarm,
    )


def invalid_key() -> Problem:
    """The answer to a key that is missing, malformed, unknown, revoked or expired: all alike.

    A key that is bound to other addresses looks the same: a stranger learns nothing of it.
    """
    meaning = MEANINGS[Reason.INVALID_KEY]
    return Problem(
        meaning.status,
        meaning.code,
        meaning.sentence,
        headers=[(b"www-authenticate", b'Bearer realm="api"')],
    )


def refusal(decision: Decision, *, billing_url: str) -> Problem:
    """The answer to a decision that does not allow the request."""
    meaning = MEANINGS[decision.reason]
    if decision.reason is Reason.INVALID_KEY:
        return invalid_key()
    if decision.reason is Reason.UNKNOWN_METER:
        return unavailable(Alarm("meter", meaning.sentence))
    answer = decision.answer
    if answer is None:
        raise QuotaUnavailable
    until = f"{week.ends_at(answer.week):%A, %-d %B %H:%M} UTC"
    headers = rate_headers(decision)
    more: dict[str, Any] = {"billing_url": billing_url} if meaning.is_about_quota else {}
    if decision.retry_after is not None:
        headers = [(b"retry-after", b"%d" % decision.retry_after), *headers]
        more["resets_at"] = week.ends_at_text(answer.week)
    wanted = "1 chat" if answer.wanted == 1 else f"{answer.wanted:,} chats"
    sentence = meaning.sentence.format(
        answer=answer, wanted=wanted, billing_url=billing_url, until=until
    )
    return Problem(meaning.status, meaning.code, sentence, headers=headers, **more)
