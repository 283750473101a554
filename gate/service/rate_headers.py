"""The headers of every answer about quota.

`RateLimit-Policy` and `RateLimit` follow the IETF draft (draft-ietf-httpapi-ratelimit-headers);
`X-RateLimit-*` are what clients in the field already read.
"""

from functools import lru_cache

from gate.decision.check import Decision
from gate.service.http import Headers
from gate.terms import week

_POLICY = b"week"


def rate_headers(decision: Decision) -> Headers:
    """The rate headers of a decision; none when the key is unknown or nothing limits it.

    Remaining counts every source that still pays: allowance, boosts and credits.
    """
    answer = decision.answer
    if answer is None or (limit := answer.limit) is None or (left := answer.chats_left) is None:
        return []
    seconds = decision.seconds_to_reset
    return [
        *_of_the_week(limit, answer.week),
        (b"ratelimit", b'"%b";r=%d;t=%d' % (_POLICY, left, seconds)),
        (b"x-ratelimit-remaining", b"%d" % left),
    ]


@lru_cache(maxsize=256)
def _of_the_week(limit: int, number: int) -> Headers:
    """What stays the same for a week, as long as the limit does."""
    reset_ms = week.starts_ms(number + 1)
    return [
        (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (_POLICY, limit, week.WEEK_MS // 1000)),
        (b"x-ratelimit-limit", b"%d" % limit),
        (b"x-ratelimit-reset", b"%d" % (reset_ms // 1000)),
    ]
