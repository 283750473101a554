"""How a refusal reads as an HTTP answer, for the public API and for gateways to pass on."""

from gate import week
from gate.check import Decision, QuotaUnavailable
from gate.http import Problem
from gate.rate_headers import rate_headers


def unavailable() -> Problem:
    """The answer when no decision can be made: never a free pass."""
    return Problem(
        503,
        "quota_unavailable",
        "The quota cannot be checked at the moment. Try again in a few seconds.",
        headers=[(b"retry-after", b"2")],
    )


def invalid_key() -> Problem:
    """The answer to a key that is missing, malformed, unknown, revoked or expired: all alike."""
    return Problem(
        401,
        "invalid_key",
        "Send a valid API key as “Authorization: Bearer sk_…”. Keys are made at /account/keys.",
        headers=[(b"www-authenticate", b'Bearer realm="api"')],
    )


def refusal(decision: Decision, *, billing_url: str, at_ms: int) -> Problem:
    """The answer to a decision that does not allow the request."""
    match decision.reason:
        case "invalid_key":
            return invalid_key()
        case "suspended":
            return Problem(
                403,
                "not_permitted",
                "This account is suspended. Write to us to have it looked at.",
                headers=rate_headers(decision, now_ms=at_ms),
            )
        case "not_permitted":
            return Problem(
                403,
                "not_permitted",
                "This key may not be used for this, or not from this address.",
                headers=rate_headers(decision, now_ms=at_ms),
            )
        case "quota_exhausted" | "key_cap_reached":
            return _used_up(decision, billing_url=billing_url, at_ms=at_ms)
    raise QuotaUnavailable


def _used_up(decision: Decision, *, billing_url: str, at_ms: int) -> Problem:
    answer = decision.answer
    assert answer is not None
    until = f"{week.ends_at(answer.week):%A, %-d %B %H:%M} UTC"
    if decision.reason == "key_cap_reached":
        detail = (
            f"This key may use {answer.key_cap:,} chats a week and has used {answer.key_used:,}. "
            f"Use another key of the account, or wait until {until}."
        )
    else:
        detail = (
            f"The {answer.cap:,} chats of this week are used up. Buy a Weekly Boost or credits at "
            f"{billing_url}, or wait until {until}."
        )
    return Problem(
        429,
        decision.reason,
        detail,
        headers=[
            (b"retry-after", str(decision.seconds_to_reset(now_ms=at_ms)).encode()),
            *rate_headers(decision, now_ms=at_ms),
        ],
        resets_at=week.ends_at_text(answer.week),
        billing_url=billing_url,
    )
