"""Exports say every row, add up to the gate's count, and hold nothing while a reader is slow."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, User
from keys.models import ApiKey
from quotas.models.used import UsageRollup
from quotas.usage import drain, export, spans, totals
from quotas.usage.asked import By, Only
from quotas.usage.report import report_of
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund
from tests.quotas.usage.test_report import UTC_ZONE, ZONES, Used, used

__all__ = ["used"]

pytestmark = pytest.mark.django_db(transaction=True)

CSV, JSON = "/account/usage/export.csv", "/account/usage/export.json"


def exported(client: Client, address: str) -> list[dict[str, Any]]:
    """The rows of an export."""
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    text = b"".join(cast("StreamingHttpResponse", answer)).decode()
    if "json" in answer["Content-Type"]:
        return list(json.loads(text)["rows"])
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("address", [CSV, JSON])
def test_an_export_adds_up_to_the_gate_at_this_second(
    account: Account, key: str, gate: LiveGate, owner_client: Client, address: str
) -> None:
    fund(account)
    gate.use(key, 60)
    drain.move_all()
    gate.use(key, 40)
    rows = exported(owner_client, address)
    paid = {row["paid_by"]: (int(row["chats"]), int(row["credits"])) for row in rows}
    assert paid == {"allowance": (50, 0), "boost": (30, 0), "credits": (20, 40)}
    assert {row["key"] for row in rows} == {"laptop"}
    assert {row["starts_at"][13:] for row in rows} == {":00:00Z"}


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_rows_add_up_to_the_report(used: Used, account: Account, zone: ZoneInfo) -> None:
    at = datetime(2031, 8, 1, tzinfo=UTC)
    for only in (Only(), Only(key=2), Only(meter="images"), Only(member=0)):
        counted = 0
        for span in (
            spans.days(date(2031, 3, 1), date(2031, 4, 10), zone=zone),
            spans.days(date(2031, 3, 30), date(2031, 3, 30), zone=zone),
        ):
            rows = [
                row
                for some in export.rows(
                    account, span, only=only, keys=account.api_keys.all(), at=at
                )
                for row in some
            ]
            report = report_of(account, span, by=By.KEY, only=only)
            assert sum(row.chats for row in rows) == report.total
            counted += report.total
        assert counted > 0


def test_rows_come_some_at_a_time_each_once(
    used: Used, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_ROWS_AT_ONCE", 7)
    span = spans.days(date(2031, 1, 1), date(2031, 8, 1), zone=UTC_ZONE)
    totals.catch_up(at=datetime(2032, 1, 1, tzinfo=UTC))
    totals.fold(before=datetime(2031, 2, 15, tzinfo=UTC))
    at = datetime(2031, 8, 3, tzinfo=UTC)
    parts = list(export.rows(account, span, only=Only(), keys=account.api_keys.all(), at=at))
    assert max(map(len, parts)) == 7
    rows = [row for some in parts for row in some]
    assert len({(r.starts_at, r.hours, r.key_id, r.meter, r.paid_by) for r in rows}) == len(rows)
    assert sum(row.chats for row in rows) == sum(charge[-1] for charge in used.charges)
    assert {row.hours for row in rows} == {1, 24}


def test_memory_stays_flat_and_no_transaction_is_open(account: Account) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO quotas_usagerollup (account_id, key_id, meter, hour, source, chats,"
            " credits) SELECT %s, key, 'chat', timestamptz '2031-01-01 00:00+00'"
            " + make_interval(hours => hour), 'allowance', 1, 0"
            " FROM generate_series(1, 100) AS key, generate_series(0, 1199) AS hour",
            [account.pk],
        )
    span = spans.days(date(2031, 1, 1), date(2031, 3, 1), zone=UTC_ZONE)

    def peak_after(parts: Iterator[str], count: int) -> int:
        tracemalloc.reset_peak()
        for _ in range(count):
            next(parts)
            assert not connection.in_atomic_block
        return tracemalloc.get_traced_memory()[1]

    tracemalloc.start()
    try:
        at = datetime(2031, 8, 1, tzinfo=UTC)
        parts = export.as_csv(
            export.rows(account, span, only=Only(), keys=account.api_keys.all(), at=at)
        )
        first = peak_after(parts, 4)
        assert peak_after(parts, 16) < 1.5 * first
        assert sum(part.count("\n") for part in parts) > 0
    finally:
        tracemalloc.stop()


def test_names_that_a_spreadsheet_would_run_are_defused(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    for name in ('=HYPERLINK("http://example.com")', "+1", "-1", "@SUM(A1)", "＝1"):
        ApiKey.objects.update(name=name)
        gate.use(key, 1)
        (row,) = exported(owner_client, CSV)
        assert row["key"] == "'" + name
        (row,) = exported(owner_client, JSON)
        assert row["key"] == name


def test_a_view_is_exported_as_it_is_narrowed(
    account: Account, owner: User, key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(key, 2)
    gate.check(key, meter="images")
    key_id = ApiKey.objects.get().pk
    for asked, chats in ((f"key={key_id}&meter=chat", 2), ("meter=images", 1), ("", 3)):
        rows = exported(owner_client, f"{CSV}?{asked}")
        assert sum(int(row["chats"]) for row in rows) == chats
    for asked in (f"member={owner.pk}", "source=allowance"):
        assert sum(int(row["chats"]) for row in exported(owner_client, f"{CSV}?{asked}")) == 3
    assert exported(owner_client, f"{CSV}?member={owner.pk + 1}") == []
    assert exported(owner_client, f"{JSON}?source=boost") == []


@pytest.mark.parametrize(
    ("asked", "field"),
    [("from=2026-13-01", "from"), ("model=small", "export"), ("key=1", "key"), ("tag=x", "tag")],
)
def test_what_cannot_be_exported_is_told(owner_client: Client, asked: str, field: str) -> None:
    answer = owner_client.get(f"{CSV}?{asked}")
    assert answer.status_code == 400
    assert f"<code>{field}</code>" in answer.text


def test_an_account_has_one_export_at_a_time_and_one_that_is_left_has_ended(
    account: Account, key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(key, 1)
    first = cast("StreamingHttpResponse", owner_client.get(CSV))
    next(iter(first))
    assert owner_client.get(CSV).status_code == 400
    # The reader goes away.
    first.close()
    assert len(exported(owner_client, CSV)) == 1


def test_nothing_of_others_is_exported(
    account: Account, other_key: str, gate: LiveGate, owner_client: Client
) -> None:
    gate.use(other_key, 5)
    assert exported(owner_client, CSV) == []
    drain.move_all()
    assert exported(owner_client, JSON) == []


def test_queries_grow_with_chunks_alone(account: Account) -> None:
    UsageRollup.objects.bulk_create(
        UsageRollup(
            account=account, key_id=number, meter="chat", source="allowance", chats=1,
            hour=datetime(2031, 3, 1, tzinfo=UTC) + timedelta(hours=number % 24),
        )
        for number in range(300)
    )  # fmt: skip
    span = spans.days(date(2031, 3, 1), date(2031, 3, 2), zone=UTC_ZONE)
    at = datetime(2031, 4, 1, tzinfo=UTC)
    for is_warm in (False, True):
        with CaptureQueriesContext(connection) as asked:
            parts = list(
                export.rows(account, span, only=Only(), keys=account.api_keys.all(), at=at)
            )
        assert sum(map(len, parts)) == 300
        assert len(asked) <= 7 or not is_warm
