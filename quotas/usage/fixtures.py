"""A year of use to try pages with: a thousand keys that were busy every hour of it.

Made in the database, in one statement each, as drains would have written it down; totals are then
made of it by what always makes them.
"""

import secrets
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from django.db import connection as database
from django.db import transaction

from accounts.models import Account, User
from keys.models import ApiKey
from quotas.usage import totals

_HOURS_AT_ONCE = 24 * 14


def seed(email: str, *, keys: int, days: int, at: datetime) -> tuple[Account, int]:
    """Use of an account up to a moment; answers it, and how many rollups were written.

    email: of the owner, who is made if there is none. Keys that are made open nothing.
    """
    user = User.objects.filter(email=email).first() or User.objects.create_user(email)
    account = Account.objects.get(is_personal=True, memberships__user__email=user.email)
    ids = _keys(account, user, keys)
    until = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    first = until - timedelta(days=days)
    written = 0
    while first < until:
        ends = min(until, first + timedelta(hours=_HOURS_AT_ONCE))
        with database.cursor() as cursor:
            for statement in (_USAGE, _TOKENS, _REFUSALS):
                cursor.execute(
                    statement,
                    {"account": account.pk, "keys": ids, "from": first, "to": ends},
                )
                written += cursor.rowcount
        first = ends
    totals.catch_up(at=at)
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
    return account, written


@transaction.atomic
def _keys(account: Account, user: User, count: int) -> list[int]:
    made = ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            name=f"service {number:04d}",
            digest=secrets.token_urlsafe(32),
            pepper_id="none",
            last_four=f"{number:04d}"[-4:],
            submission=uuid4(),
            created_by=user,
            pushed_version=1,
        )
        for number in range(1, count + 1)
    )
    return [key.pk for key in made]


# Busier by day and on weekdays; most is paid by the allowance.
_USAGE = """
INSERT INTO quotas_usagerollup (account_id, key_id, meter, hour, source, chats, credits,
    chats_from_15, chats_from_30, chats_from_45)
SELECT %(account)s, key_id, CASE key_id %% 9 WHEN 0 THEN 'images' ELSE 'chat' END, hour,
    CASE WHEN key_id %% 10 < 8 THEN 'allowance' WHEN key_id %% 10 = 8 THEN 'boost'
        ELSE 'credits' END,
    4 * chats, CASE key_id %% 10 WHEN 9 THEN 8 * chats ELSE 0 END, 3 * chats, 2 * chats, chats
FROM generate_series(%(from)s::timestamptz, %(to)s::timestamptz - interval '1 hour', '1 hour')
    AS hour
CROSS JOIN unnest(%(keys)s::bigint[]) AS key_id
CROSS JOIN LATERAL (SELECT 1 + (key_id * 7 + extract(epoch FROM hour)::bigint / 3600 * 13) %% 5
    + CASE WHEN extract(hour FROM hour) BETWEEN 8 AND 19 THEN 4 ELSE 0 END
    + CASE WHEN extract(isodow FROM hour) < 6 THEN 2 ELSE 0 END AS chats) AS used
ON CONFLICT DO NOTHING
"""
_TOKENS = """
INSERT INTO quotas_tokenrollup
    (account_id, key_id, meter, model, hour, chats, answers, tokens_in, tokens_out)
SELECT %(account)s, key_id, 'chat', CASE key_id %% 20 WHEN 0 THEN 'large' ELSE 'small' END, hour,
    3, 3, 900 + key_id %% 7, 1500
FROM generate_series(%(from)s::timestamptz, %(to)s::timestamptz - interval '1 hour', '1 hour')
    AS hour
CROSS JOIN unnest(%(keys)s::bigint[]) AS key_id
WHERE key_id %% 10 = 0
ON CONFLICT DO NOTHING
"""
_REFUSALS = """
INSERT INTO quotas_refusalrollup (account_id, key_id, hour, reason, refusals)
SELECT %(account)s, key_id, hour,
    CASE key_id %% 3 WHEN 0 THEN 'key_cap_reached' ELSE 'quota_exhausted' END, 1
FROM generate_series(%(from)s::timestamptz, %(to)s::timestamptz - interval '1 hour', '6 hours')
    AS hour
CROSS JOIN unnest(%(keys)s::bigint[]) AS key_id
WHERE key_id %% 25 = 0
ON CONFLICT DO NOTHING
"""
