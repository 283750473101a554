"""The headers of every answer about quota.

`RateLimit-Policy` and `RateLimit` follow the IETF draft (draft-ietf-httpapi-ratelimit-headers);
`X-RateLimit-*` are what clients in the field already read.
"""

from functools import lru_cache

from gate.decision.check import Decision
from gate.service.http import Headers
from gate.store.charges import Answer
from gate.terms import week

_POLICY = b"week"
_PACE = b"minute"


def rate_headers(decision: Decision) -> Headers:
    """The rate headers of a decision; none when the key is unknown or nothing limits it.

    Remaining counts every source that still pays: allowance, boosts and credits. Requests a minute
    are a policy of their own, beside that of the week.
    """
    answer = decision.answer
    if answer is None:
        return []
    if answer.room:
        return _with_the_minute(_weekly(decision), answer)
    return _weekly(decision)


def _weekly(decision: Decision) -> Headers:
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


def _with_the_minute(headers: Headers, answer: Answer) -> Headers:
    """The same with what a minute lets through, if that is limited."""
    room = answer.room_left
    assert room is not None
    if room.a_minute is None:
        return headers
    left = b'"%b";r=%d' % (_PACE, room.left)
    if room.frees_ms:
        left += b";t=%d" % max(0, -(-(room.frees_ms - answer.at_ms) // 1000))
    more = {b"ratelimit-policy": b'"%b";q=%d;w=60' % (_PACE, room.a_minute), b"ratelimit": left}
    told = dict(headers)
    both = [
        (name, b", ".join(filter(None, (told.get(name), value)))) for name, value in more.items()
    ]
    return [*both, *((name, value) for name, value in headers if name not in more)]
