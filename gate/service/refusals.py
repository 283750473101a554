"""How a refusal reads as an HTTP answer, for the public API and for gateways to pass on."""

from typing import Any

from gate.decision.check import Decision, QuotaUnavailable
from gate.service.alarms import Alarm
from gate.service.http import Problem
from gate.service.rate_headers import rate_headers
from gate.terms import week


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
    return Problem(
        401,
        "invalid_key",
        "Send a valid API key as “Authorization: Bearer sk_…”. Keys are made at /account/keys.",
        headers=[(b"www-authenticate", b'Bearer realm="api"')],
    )


def refusal(decision: Decision, *, billing_url: str) -> Problem:
    """The answer to a decision that does not allow the request."""
    if decision.reason == "invalid_key":
        return invalid_key()
    if decision.reason == "unknown_meter":
        return unavailable(
            Alarm("meter", "A meter that is charged by is not in the catalogue: add it again.")
        )
    answer = decision.answer
    if answer is None:
        raise QuotaUnavailable
    status, code, detail = _REFUSALS[decision.reason]
    until = f"{week.ends_at(answer.week):%A, %-d %B %H:%M} UTC"
    headers = rate_headers(decision)
    more: dict[str, Any] = {"billing_url": billing_url} if status == 429 else {}
    if decision.retry_after is not None:
        headers = [(b"retry-after", b"%d" % decision.retry_after), *headers]
        more["resets_at"] = week.ends_at_text(answer.week)
    wanted = "1 chat" if answer.wanted == 1 else f"{answer.wanted:,} chats"
    sentence = detail.format(answer=answer, wanted=wanted, billing_url=billing_url, until=until)
    return Problem(status, code, sentence, headers=headers, **more)


# By reason: status, code, and the sentence for people.
_REFUSALS = {
    "suspended": (
        403,
        "not_permitted",
        "This account is suspended. Write to us to have it looked at.",
    ),
    "not_permitted": (403, "not_permitted", "This key may not be used for this."),
    "above_key_cap": (
        403,
        "above_key_cap",
        (
            "This request takes {wanted}, and this key may never use more than {answer.key_cap:,} "
            "a week: waiting does not help. Use another key of the account."
        ),
    ),
    "key_cap_reached": (
        429,
        "key_cap_reached",
        (
            "This key may use {answer.key_cap:,} chats a week and has used {answer.key_used:,}. "
            "Use another key of the account, or wait until {until}."
        ),
    ),
    "above_plan_cap": (
        429,
        "above_plan_cap",
        (
            "This request takes {wanted}, and the plan has {answer.cap:,} a week: waiting does "
            "not help. Buy a Weekly Boost or credits at {billing_url}."
        ),
    ),
    "quota_exhausted": (
        429,
        "quota_exhausted",
        (
            "The {answer.cap:,} chats of this week are used up. Buy a Weekly Boost or credits at "
            "{billing_url}, or wait until {until}."
        ),
    ),
}
