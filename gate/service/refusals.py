"""How a refusal reads as an HTTP answer, for the public API and for gateways to pass on."""

from typing import Any
from urllib.parse import urljoin

from gate.decision.check import Decision, QuotaUnavailable
from gate.service.alarms import Alarm
from gate.service.http import Problem
from gate.service.rate_headers import rate_headers
from gate.store.charges import Answer
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
    headers = rate_headers(decision)
    more: dict[str, Any] = {"billing_url": billing_url} if meaning.buying_helps else {}
    sentence, until = meaning.sentence_for_good or meaning.sentence, ""
    if decision.retry_after is not None:
        headers = [(b"retry-after", b"%d" % decision.retry_after), *headers]
        more["resets_at"] = resets_at(decision)
        sentence, until = meaning.sentence, f"{decision.resets_at:%A, %-d %B %H:%M} UTC"
    spending_url = _spending_url(answer, billing_url)
    if "{spending_url}" in meaning.sentence:
        more["spending_url"] = spending_url
    wanted = "1 chat" if answer.wanted == 1 else f"{answer.wanted:,} chats"
    detail = sentence.format(
        answer=answer,
        room=answer.room_left,
        met=answer.budget_met,
        wanted=wanted,
        billing_url=billing_url,
        until=until,
        seconds="1 second" if decision.retry_after == 1 else f"{decision.retry_after} seconds",
        spending_url=spending_url,
        model=f"the model “{answer.model}”" if answer.model else "a model that nobody names",
    )
    return Problem(meaning.status, meaning.code, detail, headers=headers, **more)


def resets_at(decision: Decision) -> str:
    """When what refuses ends by itself, or when the allowance resets, as RFC 3339 text."""
    answer = decision.answer
    assert answer is not None
    if not answer.passes_at_ms:
        return week.ends_at_text(answer.week)
    assert decision.resets_at is not None
    return week.utc_text(decision.resets_at)


def _spending_url(answer: Answer, billing_url: str) -> str:
    """The page with the switch that refuses, of the account or of the key."""
    page = f"keys/{answer.key_id}/spending" if answer.chosen_by == "key" else "billing/spending"
    return urljoin(billing_url, page)
