"""Purchases and the credit ledger as files: what the page finds, all of it, the oldest first."""

import csv
import io
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Account, User
from billing import exporting
from billing.models import Purchase
from quotas import statement
from quotas.models.ledger import CreditEntry
from tests.billing.test_ledger_by_day import bought, line
from tests.billing.test_lists import NOON, buy
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)

PURCHASES, CREDITS = "/account/billing/purchases.csv", "/account/billing/credits.csv"


def exported(client: Client, address: str, **asked: str) -> list[dict[str, Any]]:
    answer = client.get(address, asked)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(cast("StreamingHttpResponse", answer)).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_every_line_has_the_balance_after_it_whatever_is_left_out(
    account: Account, owner_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "_EXPORTED_AT_ONCE", 7)
    bought(account, 500, at=NOON)
    for second in range(30):
        # Three of each moment.
        line(account, -1, at=NOON + timedelta(seconds=1 + second // 3))
    line(account, 9, at=NOON + timedelta(hours=1), kind="grant")
    rows = exported(owner_client, CREDITS, kind="all")
    assert tuple(rows[0]) == statement.EXPORTED
    assert [int(row["balance_after"]) for row in rows] == [*range(500, 469, -1), 479]
    assert (rows[0]["created_at"], rows[0]["kind"]) == ("2026-03-10T12:00:00Z", "purchase")
    assert [row["balance_after"] for row in exported(owner_client, CREDITS)] == ["500", "479"]
    of_use = exported(owner_client, CREDITS, kind="spend")
    assert [int(row["balance_after"]) for row in of_use] == [*range(499, 469, -1)]
    page = owner_client.get("/account/billing/credits").content.decode()
    assert all(f"<code>{column}</code>" in page for column in statement.EXPORTED)
    # Within the part that a search replaces, so that it leads to what was found.
    narrowed = owner_client.get("/account/billing/credits", {"kind": "grant"}).content.decode()
    found = narrowed[narrowed.index('id="found"') :]
    assert 'href="/account/billing/credits.csv?kind=grant"' in found


def test_days_are_those_of_the_page(products: None, account: Account, owner_client: Client) -> None:
    for day in range(3):
        bought(account, 5, at=NOON + timedelta(days=day))
        buy(account, "credits-5", at=NOON + timedelta(days=day), cents=100 * (day + 1))
    asked = {"from": "2026-03-11", "to": "2026-03-11"}
    (row,) = exported(owner_client, CREDITS, **asked)
    assert row["balance_after"] == "10"
    (row,) = exported(owner_client, PURCHASES, **asked)
    assert (row["price"], row["paid"], row["status"]) == ("2.00", "0.00", "pending")
    answer = owner_client.get(PURCHASES, asked)
    assert 'filename="purchases-from-2026-03-11-to-2026-03-11.csv"' in answer["Content-Disposition"]


def test_what_a_spreadsheet_would_run_is_defused(
    products: None, account: Account, owner_client: Client
) -> None:
    order = buy(account, "credits-5", at=NOON, cents=500)
    Purchase.objects.filter(pk=order.pk).update(product_name="=HYPERLINK(1)")
    CreditEntry.objects.create(
        account=account, credits=1, kind="grant", note="@SUM(1)", source_ref="test:1"
    )
    assert exported(owner_client, PURCHASES)[0]["product"] == "'=HYPERLINK(1)"
    assert exported(owner_client, CREDITS)[0]["note"] == "'@SUM(1)"


def test_purchases_come_some_at_a_time_each_once(
    products: None, account: Account, owner_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_AT_ONCE", 3)
    for number in range(10):
        buy(account, "credits-5", at=NOON, cents=100 * (number + 1))
    rows = exported(owner_client, PURCHASES)
    assert tuple(rows[0]) == exporting.HEAD
    assert len({row["order"] for row in rows}) == 10


@pytest.mark.parametrize("address", [PURCHASES, CREDITS])
def test_nobody_elses_are_exported_and_one_at_a_time(
    products: None, account: Account, outsider: User, owner_client: Client, address: str
) -> None:
    buy(outsider.personal_account, "credits-5", at=NOON, cents=500)
    bought(outsider.personal_account, 5, at=NOON)
    first = cast("StreamingHttpResponse", owner_client.get(address))
    refused = owner_client.get(address)
    assert refused.status_code == 400
    assert "Another export of this account is under way" in refused.content.decode()
    assert len(list(first)) > 0
    assert exported(owner_client, address) == []


@pytest.mark.parametrize("address", [PURCHASES, CREDITS])
def test_a_search_that_is_not_understood_exports_nothing(
    account: Account, owner_client: Client, address: str
) -> None:
    answer = owner_client.get(address, {"from": "2026-02-30"})
    assert answer.status_code == 400
    assert "From: Write a day that exists" in answer.content.decode()


def many_lines(account: Account, outsider: User, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO quotas_creditentry (account_id, credits, kind, source_ref, note, created_at)
            SELECT CASE WHEN i % 4 = 0 THEN {outsider.personal_account.pk} ELSE {account.pk} END,
                CASE WHEN i % 1000 = 1 THEN 5000 ELSE -1 END,
                CASE WHEN i % 1000 = 1 THEN 'grant' ELSE 'spend' END,
                'many:' || i, '', '2026-03-10T12:00:00Z'::timestamptz + i * interval '10 seconds'
            FROM generate_series(1, {count}) AS i
            """
        )

        # A page that tests before left empty is seen by nobody.
        cursor.execute("VACUUM (FULL) quotas_creditentry")

        def is_seen_by_all() -> bool:
            """What an index is read for without its table; an older snapshot may be in the way."""
            cursor.execute("VACUUM (ANALYZE) quotas_creditentry")
            cursor.execute(
                "SELECT relallvisible >= relpages FROM pg_class WHERE relname = %s",
                ["quotas_creditentry"],
            )
            return bool(cursor.fetchall()[0][0])

        until(is_seen_by_all)


def test_a_large_ledger_is_sent_in_bounded_memory(account: Account, outsider: User) -> None:
    many_lines(account, outsider, 20_000)

    def peak(of: int) -> int:
        tracemalloc.start()
        sent = 0
        for part in statement.exported(account, kind="all", since=None, until=None):
            sent += len(part)
            if sent >= of:
                break
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(14_000) < 2 * peak(2_000)


def test_a_ledger_of_200_000_lines_is_added_up_in_its_index(
    account: Account, outsider: User
) -> None:
    many_lines(account, outsider, 200_000)
    for asked in (
        lambda: statement.page_of_lines(account, {}, kept={}),
        lambda: statement.page_of_lines(account, {}, kept={}, kind="all"),
        lambda: statement.last_lines_by_day(account, at_most=10),
    ):
        with CaptureQueriesContext(connection) as questions:
            asked()
        plans = []
        for question in questions:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + question["sql"].replace("%", "%%"))
                plans.append("\n".join(row for (row,) in cursor.fetchall()))
        assert not any("Seq Scan" in plan for plan in plans), plans
        # Only what is shown is read of the table itself.
        sums = [plan for plan in plans if "Aggregate" in plan]
        assert sums, plans
        assert all("Index Only Scan using credit_entry_balance" in plan for plan in sums), sums


def test_balances_are_the_sums_they_stand_for(account: Account, outsider: User) -> None:
    many_lines(account, outsider, 3_000)
    line(account, 3, at=datetime(2026, 3, 10, 13, tzinfo=UTC), kind="grant")
    entries = list(CreditEntry.objects.filter(account=account).order_by("created_at", "pk"))
    balance, expected = 0, []
    for entry in entries:
        balance += entry.credits
        expected.append(balance)
    found = [
        row
        for part in statement.exported(account, kind="all", since=None, until=None)
        for row in part
    ]
    assert [row[3] for row in found] == expected
    by_day = statement.last_lines_by_day(account, at_most=100)
    assert by_day[0].balance == balance
    assert sum(said.credits for said in by_day) == balance
