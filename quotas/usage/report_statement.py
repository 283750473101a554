"""The statement that a report is read with, put together of parts by what is asked.

Rows read hardly grow with the account: a span's bars are made of hours of the whole account, or of
the one part that is asked for; parts side by side (keys, say) of every four weeks of theirs, and of
weeks, days and hours at the ends. Rows that are answered are alike: kind, bar, name, meter, and
four numbers.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import Account
from quotas.models.used import Cut, Grain
from quotas.usage.asked import By, Only
from quotas.usage.spans import Shape, Span

# More parts than this are told together. Nobody reads so many, and a page has fifty.
PARTS_AT_MOST = 5_000
_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_CUTS = {By.KEY: Cut.KEY, By.MEMBER: Cut.MEMBER, By.TAG: Cut.TAG}

_DONE = """
WITH done AS MATERIALIZED (
    SELECT coalesce(max(up_to), '1970-01-05 00:00+00') AS hour,
           coalesce(max(folded_before), '1970-01-05 00:00+00') AS folded
    FROM quotas_totalled
)"""
_DRAINED = """
SELECT 'drained' AS kind, 0 AS bar, drained_id::text AS name, '' AS meter,
       0::bigint, 0::bigint, 0::bigint, 0::bigint
FROM accounts_partition WHERE index = %(partition)s"""

# Hours (or days, where bars are days of UTC) of what is asked.
_TOTALS = """
    SELECT starts_at AS hour, meter, source, chats, credits,
           chats_from_15, chats_from_30, chats_from_45
    FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(only_cut)s AND part = %(only_part)s
      AND grain = %(rows_grain)s AND starts_at >= %(rows_from)s AND starts_at < %(rows_to)s"""
_SINCE = """
    SELECT hour, meter, source, chats, credits, chats_from_15, chats_from_30, chats_from_45
    FROM quotas_usagerollup
    WHERE account_id = %(account)s AND hour < %(rows_to)s
      AND hour >= greatest(%(rows_from)s, (SELECT hour FROM done))"""
_SINCE_OF_MEMBER = """
    SELECT hour, meter, source, chats, credits, chats_from_15, chats_from_30, chats_from_45
    FROM quotas_usagerollup LEFT JOIN keys_apikey AS key ON key.id = key_id
    WHERE quotas_usagerollup.account_id = %(account)s AND hour < %(rows_to)s
      AND hour >= greatest(%(rows_from)s, (SELECT hour FROM done))
      AND coalesce(created_by_id, 0) = %(only_part)s"""
_OF_KEY = """
    SELECT hour, meter, source, chats, credits, chats_from_15, chats_from_30, chats_from_45
    FROM quotas_usagerollup
    WHERE account_id = %(account)s AND key_id = %(only_part)s AND hour < %(end_hour)s
      AND hour >= greatest(%(first_hour)s, (SELECT folded FROM done))"""
_OF_TAG = """
    SELECT hour, meter, source, chats, credits, chats_from_15, chats_from_30, chats_from_45
    FROM quotas_tagrollup
    WHERE account_id = %(account)s AND tag_id = %(only_part)s AND hour < %(end_hour)s
      AND hour >= greatest(%(first_hour)s, (SELECT folded FROM done))"""
# A folded day counts where it begins.
_FOLDED = """
    SELECT starts_at, meter, source, chats, credits, 0, 0, 0
    FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(only_cut)s AND part = %(only_part)s AND grain = 24
      AND starts_at >= %(starts_at)s AND starts_at < %(ends_at)s
      AND starts_at < (SELECT folded FROM done)"""
_OF_MODEL = """
    SELECT starts_at AS hour, meter, '' AS source, chats, 0 AS credits, 0, 0, 0
    FROM quotas_tokentotal
    WHERE account_id = %(account)s AND model = %(model)s AND grain = %(rows_grain)s
      AND starts_at >= %(rows_from)s AND starts_at < %(rows_to)s
    UNION ALL
    SELECT hour, meter, '', chats, 0, 0, 0, 0
    FROM quotas_tokenrollup
    WHERE account_id = %(account)s AND model = %(model)s AND hour < %(rows_to)s
      AND hour >= greatest(%(rows_from)s, (SELECT hour FROM done))"""
_HOURS: Mapping[By | None, tuple[str, ...]] = {
    None: (_TOTALS, _SINCE),
    By.MEMBER: (_TOTALS, _SINCE_OF_MEMBER),
    By.KEY: (_OF_KEY, _FOLDED),
    By.TAG: (_OF_TAG, _FOLDED),
    By.MODEL: (_OF_MODEL,),
}
_USED = """
SELECT 'used', width_bucket(hour, %(bounds)s::timestamptz[]) - 1, source, meter,
       sum(chats)::bigint, sum(credits)::bigint, 0, 0
FROM ({hours}) AS hours
WHERE hour >= %(first_bound)s AND hour < %(last_bound)s
  AND (%(meter)s::text IS NULL OR meter = %(meter)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
GROUP BY 2, 3, 4"""
_BEFORE = """
SELECT 'before', split.bar, source, meter,
       sum(chats - CASE split.minute
           WHEN 15 THEN chats_from_15 WHEN 30 THEN chats_from_30 ELSE chats_from_45 END)::bigint,
       0, 0, 0
FROM ({hours}) AS hours
JOIN unnest(%(split_hours)s::timestamptz[], %(split_minutes)s::int[], %(split_bars)s::int[])
    AS split (hour, minute, bar) ON split.hour = hours.hour
WHERE hours.hour = ANY(%(split_hours)s::timestamptz[])
  AND (%(meter)s::text IS NULL OR meter = %(meter)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
GROUP BY 2, 3, 4"""

# Of bars that are made of days of UTC: what lies between such a day and where a bar begins.
_MOVED = """
SELECT 'before', moved.bar, source, meter, sum(moved.sign * chats)::bigint,
       sum(moved.sign * credits)::bigint, 0, 0
FROM ({hours}) AS hours
JOIN unnest(%(moved_hours)s::timestamptz[], %(moved_signs)s::int[], %(moved_bars)s::int[])
    AS moved (hour, sign, bar) ON moved.hour = hours.hour
WHERE hours.hour = ANY(%(moved_hours)s::timestamptz[])
  AND (%(meter)s::text IS NULL OR meter = %(meter)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
GROUP BY 2, 3, 4"""

# Chats of parts: whole four weeks, the weeks, days and hours at their ends; an hour that the span
# begins or ends in counts as far as it lies in it.
_PART_FOUR_WEEKS = """
    SELECT part, meter, source, chats, credits FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(cut)s AND grain = 672
      AND starts_at >= %(first_four_weeks)s AND starts_at < %(end_four_weeks)s"""
_PART_WEEKS = """
    SELECT part, meter, source, chats, credits FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(cut)s AND grain = 168
      AND starts_at >= %(first_week)s AND starts_at < %(first_four_weeks)s
    UNION ALL
    SELECT part, meter, source, chats, credits FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(cut)s AND grain = 168
      AND starts_at >= %(end_four_weeks)s AND starts_at < %(end_week)s"""
_PART_DAYS = """
    SELECT part, meter, source, chats, credits FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(cut)s AND grain = 24
      AND starts_at >= %(first_day)s AND starts_at < %(first_week)s
    UNION ALL
    SELECT part, meter, source, chats, credits FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(cut)s AND grain = 24
      AND starts_at >= %(end_week)s AND starts_at < %(end_day)s"""
_LAST_FOLDED_DAY = """
    SELECT part, meter, source, chats, credits FROM quotas_usagetotal
    WHERE account_id = %(account)s AND cut = %(cut)s AND grain = 24
      AND starts_at = %(end_day)s AND starts_at < %(ends_at)s
      AND starts_at < (SELECT folded FROM done)"""
# What is not in totals, and is not one of the hours at the ends.
_PARTS_SINCE = """
    SELECT {part} AS part, meter, source, chats, credits
    FROM {rollups}
    WHERE {rollup}.account_id = %(account)s AND hour < %(end_day)s
      AND hour >= greatest(%(first_day)s, (SELECT hour FROM done))"""
_PARTS_AT_ENDS = """
    SELECT {part} AS part, meter, source,
           CASE WHEN hour < %(starts_at)s THEN
                    CASE %(first_minute)s WHEN 15 THEN chats_from_15
                        WHEN 30 THEN chats_from_30 ELSE chats_from_45 END
                WHEN hour = %(last_hour)s THEN
                    chats - CASE %(last_minute)s WHEN 15 THEN chats_from_15
                        WHEN 30 THEN chats_from_30 WHEN 45 THEN chats_from_45 ELSE 0 END
                ELSE chats END,
           credits
    FROM {rollups}
    WHERE {rollup}.account_id = %(account)s
      AND (hour >= %(first_hour)s AND hour < %(ends_from)s
           OR hour >= %(ends_to)s AND hour < %(end_hour)s)"""
_ROLLUPS_OF = {
    By.KEY: {"part": "key_id", "rollups": "quotas_usagerollup", "rollup": "quotas_usagerollup"},
    By.TAG: {"part": "tag_id", "rollups": "quotas_tagrollup", "rollup": "quotas_tagrollup"},
    By.MEMBER: {
        "part": "coalesce(created_by_id, 0)",
        "rollups": "quotas_usagerollup LEFT JOIN keys_apikey AS key ON key.id = key_id",
        "rollup": "quotas_usagerollup",
    },
}
_PARTS = {
    by: (
        _PART_FOUR_WEEKS,
        _PART_WEEKS,
        _PART_DAYS,
        _LAST_FOLDED_DAY,
        _PARTS_SINCE.format(**of),
        _PARTS_AT_ENDS.format(**of),
    )
    for by, of in _ROLLUPS_OF.items()
}
_RANKED = """
    SELECT part, sum(chats)::bigint AS chats, sum(credits)::bigint AS credits,
           row_number() OVER (ORDER BY sum(chats) DESC, part) AS place
    FROM parts
    WHERE (%(meter)s::text IS NULL OR meter = %(meter)s)
      AND (%(source)s::text IS NULL OR source = %(source)s)
    GROUP BY part
    HAVING sum(chats) <> 0 OR sum(credits) <> 0"""
_PLACED = """
SELECT 'part', 0, part::text, '', chats, credits, 0, 0
FROM ranked WHERE place <= %(parts_at_most)s"""
_PLACED_TAGS = """
SELECT 'part', 0, coalesce(name, ''), '', chats, credits, 0, 0
FROM ranked LEFT JOIN quotas_usagetag AS tag ON tag.id = part
WHERE place <= %(parts_at_most)s"""
_REST = """
SELECT 'rest', 0, '', '', coalesce(sum(chats), 0)::bigint, 0, 0, 0
FROM ranked WHERE place > %(parts_at_most)s"""

# By the hour: nobody notes in which quarter of one something was refused, or answered.
_REFUSED = """
SELECT 'refused', width_bucket(hour, %(bar_starts)s::timestamptz[]) - 1, reason, '',
       sum(refusals)::bigint, 0, 0, 0
FROM (
    SELECT starts_at AS hour, reason, refusals FROM quotas_refusaltotal
    WHERE account_id = %(account)s AND grain = %(grain)s
      AND starts_at >= %(starts_at)s AND starts_at < %(ends_at)s
    UNION ALL
    SELECT hour, reason, refusals FROM quotas_refusalrollup
    WHERE account_id = %(account)s AND hour < %(ends_at)s
      AND hour >= greatest(%(starts_at)s, (SELECT hour FROM done))
) AS refused
GROUP BY 2, 3"""
_REFUSED_OF_KEY = """
SELECT 'refused', width_bucket(hour, %(bar_starts)s::timestamptz[]) - 1, reason, '',
       sum(refusals)::bigint, 0, 0, 0
FROM quotas_refusalrollup
WHERE account_id = %(account)s AND key_id = %(only_part)s
  AND hour >= %(starts_at)s AND hour < %(ends_at)s
GROUP BY 2, 3"""
_TOKENS = """
SELECT 'tokens', 0, model, '', sum(chats)::bigint, sum(answers)::bigint, sum(tokens_in)::bigint,
       sum(tokens_out)::bigint
FROM (
    SELECT model, meter, chats, answers, tokens_in, tokens_out FROM quotas_tokentotal
    WHERE account_id = %(account)s AND grain = 24
      AND starts_at >= %(first_day)s AND starts_at < %(end_day)s
    UNION ALL
    SELECT model, meter, chats, answers, tokens_in, tokens_out FROM quotas_tokentotal
    WHERE account_id = %(account)s AND grain = 1
      AND (starts_at >= %(starts_at)s AND starts_at < %(ends_from)s
           OR starts_at >= %(ends_to)s AND starts_at < %(ends_at)s)
    UNION ALL
    SELECT model, meter, chats, answers, tokens_in, tokens_out FROM quotas_tokenrollup
    WHERE account_id = %(account)s AND hour < %(ends_at)s
      AND hour >= greatest(%(starts_at)s, (SELECT hour FROM done))
) AS told
WHERE (%(meter)s::text IS NULL OR meter = %(meter)s)
  AND (%(model)s::text IS NULL OR model = %(model)s)
GROUP BY model"""
_TOKENS_OF_KEY = """
SELECT 'tokens', 0, model, '', sum(chats)::bigint, sum(answers)::bigint, sum(tokens_in)::bigint,
       sum(tokens_out)::bigint
FROM quotas_tokenrollup
WHERE account_id = %(account)s AND key_id = %(only_part)s
  AND hour >= %(starts_at)s AND hour < %(ends_at)s
  AND (%(meter)s::text IS NULL OR meter = %(meter)s)
GROUP BY model"""


def of(account: Account, span: Span, *, by: By, only: Only) -> tuple[str, dict[str, Any]]:
    """What is asked of the database, and its values."""
    bounds = _Bounds(span, only)
    tables = [_DONE]
    rows = " UNION ALL ".join(_HOURS[only.part])
    hours = rows.replace("%(rows_grain)s", "1")
    asked = [_DRAINED, _USED.format(hours=rows)]
    if bounds.splits:
        asked.append(_BEFORE.format(hours=hours))
    if bounds.moved:
        asked.append(_MOVED.format(hours=hours))
    if by in _PARTS and only.part is None:
        tables += [", parts AS (", " UNION ALL ".join(_PARTS[by]), ")"]
        tables += [", ranked AS (", _RANKED, ")"]
        asked += [_PLACED_TAGS if by is By.TAG else _PLACED, _REST]
    # Neither knows what paid, or whose they were beyond the key.
    if only.source is None and only.part in {None, By.MODEL, By.KEY}:
        asked.append(_TOKENS_OF_KEY if only.part is By.KEY else _TOKENS)
    if only.part in {None, By.KEY} and only.source is None and only.meter is None:
        asked.append(_REFUSED_OF_KEY if only.part is By.KEY else _REFUSED)
    statement = "\n".join([*tables, " UNION ALL ".join(asked)])
    return statement, _values(account, span, bounds, by=by, only=only)


class _Bounds:
    """Where bars begin and the last one ends, and what rows they are made of.

    rows: the full hour that each lies in, or of a long span the nearest day of UTC, so that a year
    of another zone is made of days, too. splits: minutes of an hour that belong to the bar before.
    moved: hours between such a day and a bound, with 1 where they belong to the bar before the
    bound and -1 where they were counted there wrongly.
    """

    def __init__(self, span: Span, only: Only) -> None:
        self.starts = [bar.starts_at for bar in span.bars]
        bounds = [*self.starts, span.ends_at]
        hours = [_floor(bound, _HOUR) for bound in bounds]
        self.splits = [
            (hour, bound.minute, bar)
            for bar, (bound, hour) in enumerate(zip(bounds, hours, strict=True))
            if bound.minute
        ]
        self.are_days = all(bound == _floor(bound, _DAY) for bound in bounds)
        self.rows = hours
        self.moved: list[tuple[datetime, int, int]] = []
        # Keys, tags and folded days have no such totals.
        if span.shape is Shape.GRID and only.part not in {By.KEY, By.TAG}:
            self.rows = [_floor(hour + _DAY / 2, _DAY) for hour in hours]
            for bar, (hour, day) in enumerate(zip(hours, self.rows, strict=True)):
                sign = 1 if day <= hour else -1
                first, end = sorted((day, hour))
                self.moved += [(at, sign, bar) for at in _hours(first, end)]
        self.grain = Grain.DAY if self.are_days or self.moved else Grain.HOUR


def _hours(first: datetime, end: datetime) -> Iterator[datetime]:
    while first < end:
        yield first
        first += _HOUR


def _values(account: Account, span: Span, bounds: _Bounds, *, by: By, only: Only) -> dict[str, Any]:
    places = moments(span.starts_at, span.ends_at)
    return {
        "account": account.pk,
        "partition": account.partition_index,
        **places,
        "grain": Grain.DAY if bounds.are_days else Grain.HOUR,
        "bar_starts": bounds.starts,
        "rows_grain": bounds.grain,
        "rows_from": min(places["first_hour"], bounds.rows[0]),
        "rows_to": max(places["end_hour"], bounds.rows[-1]),
        "bounds": bounds.rows[:-1],
        "first_bound": bounds.rows[0],
        "last_bound": bounds.rows[-1],
        "split_hours": [hour for hour, _, _ in bounds.splits],
        "split_minutes": [minute for _, minute, _ in bounds.splits],
        "split_bars": [bar for _, _, bar in bounds.splits],
        "moved_hours": [hour for hour, _, _ in bounds.moved],
        "moved_signs": [sign for _, sign, _ in bounds.moved],
        "moved_bars": [bar for _, _, bar in bounds.moved],
        "only_cut": Cut.ACCOUNT if only.part is None else _CUTS.get(only.part),
        "only_part": only.part_id,
        "model": only.model,
        "meter": only.meter,
        "source": only.source,
        "cut": _CUTS.get(by),
        "parts_at_most": PARTS_AT_MOST,
    }


def moments(starts_at: datetime, ends_at: datetime) -> dict[str, Any]:
    """Where whole hours, days and weeks of a span begin and end."""
    end_hour = _ceiling(ends_at, _HOUR)
    first_day, end_day = _ceiling(starts_at, _DAY), _floor(ends_at, _DAY)
    ends_from, ends_to = first_day, end_day
    if first_day > end_day:
        # Within one day there are only hours.
        first_day = end_day = ends_from = ends_to = end_hour
    first_week, end_week = _whole(first_day, end_day, _WEEK)
    first_four_weeks, end_four_weeks = _whole(first_week, end_week, 4 * _WEEK)
    return {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "first_hour": _floor(starts_at, _HOUR),
        "last_hour": _floor(ends_at, _HOUR),
        "end_hour": end_hour,
        "first_minute": starts_at.minute,
        "last_minute": ends_at.minute,
        "ends_from": ends_from,
        "ends_to": ends_to,
        "first_day": first_day,
        "end_day": end_day,
        "first_week": first_week,
        "end_week": end_week,
        "first_four_weeks": first_four_weeks,
        "end_four_weeks": end_four_weeks,
    }


def _whole(starts_at: datetime, ends_at: datetime, step: timedelta) -> tuple[datetime, datetime]:
    """Where whole steps between two moments begin and end; both are the end where there is none."""
    first, end = _ceiling(starts_at, step), _floor(ends_at, step)
    return (first, end) if first <= end else (ends_at, ends_at)


def _floor(moment: datetime, step: timedelta) -> datetime:
    return _MONDAY + (moment - _MONDAY) // step * step


def _ceiling(moment: datetime, step: timedelta) -> datetime:
    return _MONDAY - (_MONDAY - moment) // step * step
