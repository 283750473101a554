"""Closing weeks that have ended: a record for people, not a condition for anybody's limit.

The gate begins a new week by itself at the first check of it. Closing late, twice or never gives
nobody more or less than their plan.
"""

from datetime import datetime

from django.db import connection as database

from gate.store import hot_state
from gate.terms import week
from quotas.usage import drain

# How far back a late closing reaches.
_WEEKS_BACK = 8


def close_ended_weeks(*, at: datetime) -> int:
    """Archive what each account used in every recent week that has ended; answers rows written.

    Rows are recomputed from the rollups, so repeating it changes nothing and a charge that was
    drained late is in after the next time.
    """
    # Waits for whoever is at it: the week counts in whole, or a slower closing would undo this.
    drain.move_all_of(range(hot_state.PARTITIONS))
    this_week = week.week_of(week.to_ms(at))
    with database.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quotas_weekclose (account_id, week, allowance, boost, credits, closed_at)
            SELECT account_id, closed_week,
                   coalesce(sum(chats) FILTER (WHERE source = 'allowance'), 0),
                   coalesce(sum(chats) FILTER (WHERE source = 'boost'), 0),
                   coalesce(sum(chats) FILTER (WHERE source = 'credits'), 0),
                   %(at)s
            FROM (
                SELECT account_id, source, chats,
                       floor(extract(epoch FROM hour - timestamptz '1970-01-05 00:00+00')
                             / 604800)::int AS closed_week
                FROM quotas_usagerollup
                WHERE hour >= %(from)s AND hour < %(to)s
            ) AS used
            GROUP BY account_id, closed_week
            ON CONFLICT (account_id, week) DO UPDATE
            SET allowance = EXCLUDED.allowance, boost = EXCLUDED.boost, credits = EXCLUDED.credits
            WHERE (quotas_weekclose.allowance, quotas_weekclose.boost, quotas_weekclose.credits)
                  IS DISTINCT FROM (EXCLUDED.allowance, EXCLUDED.boost, EXCLUDED.credits)
            """,
            {
                "at": at,
                "from": week.starts_at(this_week - _WEEKS_BACK),
                "to": week.starts_at(this_week),
            },
        )
        return int(cursor.rowcount)
