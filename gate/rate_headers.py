"""The headers of every answer about quota.

`RateLimit-Policy` and `RateLimit` follow the IETF draft (draft-ietf-httpapi-ratelimit-headers);
`X-RateLimit-*` are what clients in the field already read.
"""

from gate import week
from gate.check import Decision
from gate.http import Headers

_POLICY = "week"


def rate_headers(decision: Decision, *, now_ms: int) -> Headers:
    """The rate headers of a decision; none when the key is unknown or nothing limits it.

    Remaining counts every source that still pays: allowance, boosts and credits.
    """
    answer = decision.answer
    if answer is None or answer.limit is None or answer.chats_left is None:
        return []
    reset_ms = week.starts_ms(answer.week + 1)
    seconds = decision.seconds_to_reset(now_ms=now_ms)
    return [
        (b"ratelimit-policy", f'"{_POLICY}";q={answer.limit};w={week.WEEK_MS // 1000}'.encode()),
        (b"ratelimit", f'"{_POLICY}";r={answer.chats_left};t={seconds}'.encode()),
        (b"x-ratelimit-limit", str(answer.limit).encode()),
        (b"x-ratelimit-remaining", str(answer.chats_left).encode()),
        (b"x-ratelimit-reset", str(reset_ms // 1000).encode()),
    ]
