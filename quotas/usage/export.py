"""Everything that was used in a span, row by row, for spreadsheets and programs.

Rows are read and sent some thousand at a time, each time anew: nothing is held while a reader is
slow, neither memory nor a connection of the database. Hours that are over are read as they are when
their turn comes; the last two, and what still waits in the stream, are read at the end, of one
moment, so that the rows add up to what the gate has counted.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection as database
from django.db.models import QuerySet
from django.utils.translation import gettext

from accounts import spreadsheets
from accounts.models import Account
from accounts.spreadsheets import CannotExport
from gate.terms.week import utc_text
from keys.models import ApiKey
from quotas.usage import live, report, report_statement, stream
from quotas.usage.asked import Only
from quotas.usage.spans import Span

_ROWS_AT_ONCE = 5_000
_LAST = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Row:
    """What one key used on one meter in one hour, by what paid; rows of an hour add up.

    starts_at: in UTC. hours: 1, or 24 where only days are kept any more.
    """

    starts_at: str
    hours: int
    key_id: int
    key: str
    meter: str
    paid_by: str
    chats: int
    credits: int


# A row as it is read, and what rows are ordered by.
_Raw = tuple[datetime, int, int, str, str, int, int]
_After = tuple[datetime, int, str, str]


def rows(
    account: Account, span: Span, *, only: Only, keys: QuerySet[ApiKey], at: datetime
) -> Iterator[list[Row]]:
    """All rows of a span, some at a time. CannotExport for what is not kept by key.

    keys: those that its reader may see the names of.
    """
    if only.tag is not None or only.model is not None:
        raise CannotExport(gettext("What is exported is kept by key: take tag and model away."))
    return _rows(account, span, only=only, keys=keys, at=at)


def _rows(
    account: Account, span: Span, *, only: Only, keys: QuerySet[ApiKey], at: datetime
) -> Iterator[list[Row]]:
    names: dict[int, str] = {}
    values = {
        "account": account.pk,
        "partition": account.partition_index,
        **report_statement.moments(span.starts_at, span.ends_at),
        "key": only.key,
        "member": only.member,
        "meter": only.meter,
        "source": only.source,
        "at_once": _ROWS_AT_ONCE,
        "last": max(span.starts_at, min(span.ends_at, at - _LAST)).replace(
            minute=0, second=0, microsecond=0
        ),
    }
    for read in (_DAYS, _HOURS):
        for some in _in_turn(read, values):
            yield _named(keys, some, names)
    yield _named(keys, _until_now(account, span, only=only, values=values), names)


def _in_turn(read: str, values: dict[str, Any]) -> Iterator[list[_Raw]]:
    """Rows in their order, each time those that follow the last."""
    after: _After = (datetime(1970, 1, 5, tzinfo=UTC), 0, "", "")
    while True:
        names = ("after_at", "after_key", "after_meter", "after_source")
        with database.cursor() as cursor:
            cursor.execute(read, {**values, **dict(zip(names, after, strict=True))})
            some: list[_Raw] = cursor.fetchall()
        if some:
            yield some
        if len(some) < _ROWS_AT_ONCE:
            return
        starts_at, _, key_id, meter, source, *_ = some[-1]
        after = (starts_at, key_id, meter, source)


def _until_now(account: Account, span: Span, *, only: Only, values: dict[str, Any]) -> list[_Raw]:
    """The rows of the last hours, with what waits in the stream."""

    def read() -> tuple[str, list[_Raw]]:
        with database.cursor() as cursor:
            cursor.execute(_LAST_HOURS, values)
            found = cursor.fetchall()
        return found[0][0], [row for _, *row in found if row[0] is not None]

    found, moment = live.of_one_moment(account, read)
    amounts: dict[_After, list[int]] = {}
    for starts_at, _, key_id, meter, source, chats, credits in found:
        amounts[starts_at, key_id, meter, source] = [chats, credits]
    for entry in report.asked_for(moment.waiting, span, only=only):
        hour = stream.counted_at(entry).replace(minute=0)
        for source, chats, credits in stream.paid(entry):
            if only.source in {None, source}:
                amount = amounts.setdefault((hour, entry.key_id, entry.meter, source), [0, 0])
                amount[0] += chats
                amount[1] += credits
    return [
        (starts_at, 1, key_id, meter, source, chats, credits)
        for (starts_at, key_id, meter, source), (chats, credits) in sorted(amounts.items())
    ]


def _named(keys: QuerySet[ApiKey], raw: list[_Raw], names: dict[int, str]) -> list[Row]:
    unknown = {key_id for _, _, key_id, *_ in raw} - names.keys()
    if unknown:
        names |= dict.fromkeys(unknown, "")
        names |= dict(keys.filter(pk__in=unknown).values_list("pk", "name"))
    return [
        Row(utc_text(starts_at), hours, key_id, names[key_id], meter, paid_by, chats, credits)
        for starts_at, hours, key_id, meter, paid_by, chats, credits in raw
    ]


_ASKED = """
  AND (%(key)s::bigint IS NULL OR key_id = %(key)s)
  AND (%(member)s::bigint IS NULL OR %(member)s = coalesce(
      (SELECT created_by_id FROM keys_apikey WHERE id = key_id), 0))
  AND (%(meter)s::text IS NULL OR meter = %(meter)s)
  AND (%(source)s::text IS NULL OR source = %(source)s)
"""
# An hour that the span begins or ends in counts as far as it lies in it.
_CHATS = """
    CASE WHEN hour < %(starts_at)s THEN
             CASE %(first_minute)s WHEN 15 THEN chats_from_15
                 WHEN 30 THEN chats_from_30 ELSE chats_from_45 END
         WHEN hour = %(last_hour)s THEN
             chats - CASE %(last_minute)s WHEN 15 THEN chats_from_15
                 WHEN 30 THEN chats_from_30 WHEN 45 THEN chats_from_45 ELSE 0 END
         ELSE chats END AS chats
"""
_HOURS = "".join(
    (
        "SELECT hour, 1, key_id, meter, source,",
        _CHATS,
        """, credits
        FROM quotas_usagerollup
        WHERE account_id = %(account)s AND hour >= %(first_hour)s AND hour < %(last)s
          AND (hour, key_id, meter, source)
              > (%(after_at)s, %(after_key)s, %(after_meter)s, %(after_source)s)""",
        _ASKED,
        "ORDER BY hour, key_id, meter, source LIMIT %(at_once)s",
    )
)
# Days whose hours are folded; each counts where it begins.
_DAYS = "".join(
    (
        """
        SELECT starts_at, 24, key_id, meter, source, chats, credits
        FROM (
            SELECT starts_at, part AS key_id, meter, source, chats, credits
            FROM quotas_usagetotal
            WHERE account_id = %(account)s AND cut = 'key' AND grain = 24
              AND starts_at >= %(starts_at)s AND starts_at < %(ends_at)s
              AND starts_at < (SELECT max(folded_before) FROM quotas_totalled)
        ) AS days
        WHERE (starts_at, key_id, meter, source)
            > (%(after_at)s, %(after_key)s, %(after_meter)s, %(after_source)s)""",
        _ASKED,
        "ORDER BY starts_at, key_id, meter, source LIMIT %(at_once)s",
    )
)
_LAST_HOURS = "".join(
    (
        """
        SELECT drained_id, used.*
        FROM accounts_partition LEFT JOIN (
            SELECT hour, 1, key_id, meter, source,""",
        _CHATS,
        """, credits
            FROM quotas_usagerollup
            WHERE account_id = %(account)s AND hour >= %(last)s AND hour < %(end_hour)s""",
        _ASKED,
        """
        ) AS used ON true
        WHERE index = %(partition)s""",
    )
)


# --- as files -----------------------------------------------------------------------------------


def as_csv(parts: Iterable[list[Row]]) -> Iterator[str]:
    """The rows as CSV, with a head."""
    head = [field.name for field in fields(Row)]
    return spreadsheets.as_csv(head, (map(astuple, some) for some in parts))


def as_json(parts: Iterable[list[Row]]) -> Iterator[str]:
    """The rows as one JSON document: {"rows": [...]}, a row to a line."""
    yield '{"rows": ['
    before = "\n"
    for some in parts:
        if some:
            yield before + ",\n".join(json.dumps(asdict(row)) for row in some)
            before = ",\n"
    yield "\n]}\n"
