"""Rollups: what charges come to by the hour, of keys, tags and models. The drain alone adds.

Everything here is within the drain's transaction, which is the only one at an account's partition.
Rows are written in one order everywhere: drains that meet in a table cannot wait for each other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from django.db import connection as database
from django.db.models import Count

from gate.store.hot_state import Entry
from quotas.models.used import TAGS_AT_MOST, Source, UsageTag
from quotas.usage import stream

# Charges that are alike, and how many of them.
Counted = tuple[Entry, int]
# By account, key or tag, meter, hour since 1970 and source: chats, credits, and those chats of the
# hour that came in its last three, two and one quarters.
_Totals = dict[tuple[int, int, str, int, Source], list[int]]


def add_usage(entries: Iterable[Counted], account_ids: dict[str, int]) -> None:
    """Count what keys used, by what paid."""
    totals = _summed(entries, account_ids, lambda entry: entry.key_id)
    if totals:
        with database.cursor() as cursor:
            cursor.execute(_ADD_USAGE, _columns(totals))


def add_tags(entries: Iterable[Counted], account_ids: dict[str, int]) -> None:
    """Count what tags used, by what paid; an account has so many, the rest is “other”."""
    tagged = [(entry, count) for entry, count in entries if entry.tag]
    if not tagged:
        return
    ids = _tag_ids({(account_ids[entry.handle], entry.tag) for entry, _ in tagged})
    totals = _summed(
        tagged, account_ids, lambda entry: ids.get((account_ids[entry.handle], entry.tag), 0)
    )
    if totals:
        with database.cursor() as cursor:
            cursor.execute(_ADD_TAGS, _columns(totals))


def _tag_ids(tags: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Rows of tags by account and name; of new ones as many as an account may still have."""
    ids = _known(tags)
    unknown = sorted(tags - ids.keys())
    if not unknown:
        return ids
    counted = (
        UsageTag.objects.filter(account__in={account_id for account_id, _ in unknown})
        .values_list("account")
        .annotate(tags=Count("pk"))
    )
    taken: dict[int, int] = defaultdict(int, dict(counted))
    made = []
    for account_id, name in unknown:
        if taken[account_id] < TAGS_AT_MOST:
            taken[account_id] += 1
            made.append(UsageTag(account_id=account_id, name=name))
    UsageTag.objects.bulk_create(made)
    return ids | {(tag.account_id, tag.name): tag.pk for tag in made}


def _known(tags: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
    accounts, names = zip(*tags, strict=True)
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT tag.account_id, tag.name, tag.id
            FROM unnest(%s::bigint[], %s::text[]) AS asked (account_id, name)
            JOIN quotas_usagetag AS tag USING (account_id, name)
            """,
            [list(accounts), list(names)],
        )
        return {(account_id, name): tag_id for account_id, name, tag_id in cursor.fetchall()}


def _summed(
    entries: Iterable[Counted], account_ids: dict[str, int], part_of: Callable[[Entry], int]
) -> _Totals:
    totals: _Totals = defaultdict(lambda: [0] * 5)
    for entry, count in entries:
        hour, quarter = divmod(stream.quarter_number(entry), 4)
        key = (account_ids[entry.handle], part_of(entry), entry.meter, hour)
        for source, chats, credits in stream.paid(entry):
            amounts = totals[*key, source]
            amounts[0] += count * chats
            amounts[1] += count * credits
            for since in range(quarter):
                amounts[2 + since] += count * chats
    return totals


def _columns(totals: _Totals) -> list[list[object]]:
    rows = [(*key, *amounts) for key, amounts in sorted(totals.items())]
    return [list(column) for column in zip(*rows, strict=True)]


_ADD = """
INSERT INTO {rollups} AS rollup
    (account_id, {part}, meter, hour, source, chats, credits,
     chats_from_15, chats_from_30, chats_from_45)
SELECT account_id, part, meter, to_timestamp(hour * 3600), source, chats, credits,
       from_15, from_30, from_45
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
     AS used (account_id, part, meter, hour, source, chats, credits, from_15, from_30, from_45)
ON CONFLICT (account_id, hour, {part}, meter, source) DO UPDATE
SET chats = rollup.chats + EXCLUDED.chats,
    credits = rollup.credits + EXCLUDED.credits,
    chats_from_15 = rollup.chats_from_15 + EXCLUDED.chats_from_15,
    chats_from_30 = rollup.chats_from_30 + EXCLUDED.chats_from_30,
    chats_from_45 = rollup.chats_from_45 + EXCLUDED.chats_from_45
"""
_ADD_USAGE = _ADD.format(rollups="quotas_usagerollup", part="key_id")
_ADD_TAGS = _ADD.format(rollups="quotas_tagrollup", part="tag_id")


def add_tokens(entries: Iterable[Counted], account_ids: dict[str, int]) -> None:
    """Count answers and tokens of charges that say them, by model."""
    # By account, key, meter, model and hour since 1970: chats, answers, tokens in and out.
    totals: dict[tuple[int, int, str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for entry, count in entries:
        if entry.tokens is None:
            continue
        total = totals[
            account_ids[entry.handle],
            entry.key_id,
            entry.meter,
            entry.tokens.model,
            stream.hour_number(entry),
        ]
        total[0] += count * entry.chats
        total[1] += count
        total[2] += count * entry.tokens.tokens_in
        total[3] += count * entry.tokens.tokens_out
    if not totals:
        return
    rows = [(*key, *amounts) for key, amounts in sorted(totals.items())]
    with database.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quotas_tokenrollup
                (account_id, key_id, meter, model, hour, chats, answers, tokens_in, tokens_out)
            SELECT account_id, key_id, meter, model, to_timestamp(hour * 3600), chats, answers,
                   tokens_in, tokens_out
            FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[],
                        %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
                 AS used (account_id, key_id, meter, model, hour, chats, answers, tokens_in,
                          tokens_out)
            ON CONFLICT (account_id, hour, key_id, meter, model) DO UPDATE
            SET chats = quotas_tokenrollup.chats + EXCLUDED.chats,
                answers = quotas_tokenrollup.answers + EXCLUDED.answers,
                tokens_in = quotas_tokenrollup.tokens_in + EXCLUDED.tokens_in,
                tokens_out = quotas_tokenrollup.tokens_out + EXCLUDED.tokens_out
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
