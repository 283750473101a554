"""What falls due by itself."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stripe_sandbox.acts.periods import end_of, months_later
from tests.patience import until
from tests.stripe_sandbox.running_sandbox import Receiver, Running, running
from tests.stripe_sandbox.subscriber import invoices_of, new_price, put_ahead, subscribe


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_months_are_counted_from_the_day_it_began() -> None:
    monthly = {"interval": "month", "interval_count": 1}
    anchor = moment("2027-01-31T10:00")
    ends = [anchor]
    for _ in range(3):
        ends.append(end_of(ends[-1], recurring=monthly, anchor=anchor))
    assert ends[1:] == [
        moment("2027-02-28T10:00"),
        moment("2027-03-31T10:00"),
        moment("2027-04-30T10:00"),
    ]


@pytest.mark.parametrize(
    ("interval", "count", "end"),
    [
        ("day", 3, "2028-03-03T00:00"),
        ("week", 2, "2028-03-14T00:00"),
        ("year", 1, "2029-02-28T00:00"),
        ("month", 6, "2028-08-29T00:00"),
    ],
)
def test_every_interval_has_its_length(interval: str, count: int, end: str) -> None:
    start = moment("2028-02-29T00:00")
    recurring = {"interval": interval, "interval_count": count}
    assert end_of(start, recurring=recurring, anchor=start) == moment(end)


def test_a_month_ahead_of_the_31st_is_the_last_of_a_short_one() -> None:
    assert months_later(moment("2027-01-31T12:00"), 1) == moment("2027-02-28T12:00")


def test_what_cannot_be_done_stops_nothing_else(sandbox: Running) -> None:
    with sqlite3.connect(sandbox.store_path) as connection:
        connection.execute(
            "INSERT INTO timers (act, object_id, due_at) VALUES ('refund_fails', 're_none', 1)"
        )
    connection.close()
    sandbox.pay(sandbox.session(), number="4000000000000259")
    sandbox.receiver.wait_for("charge.dispute.created")


def test_a_period_that_really_ends_is_renewed_without_a_button(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running(tmp_path / "s.sqlite3", receiver) as sandbox:
        subscription = subscribe(sandbox, new_price(sandbox, 2000))
        sandbox.clock.ahead = 32 * 24 * 3600
        until(lambda: len(invoices_of(sandbox, subscription)) == 2)


def test_two_processes_renew_once(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "shared.sqlite3"
    with running(path, receiver) as one, running(path, receiver) as two:
        subscription = subscribe(one, new_price(one, 2000))
        one.clock.ahead = two.clock.ahead = 32 * 24 * 3600
        until(lambda: len(invoices_of(one, subscription)) == 2)
        put_ahead(two, days=1)
        assert len(invoices_of(two, subscription)) == 2
        assert len(one.api.v1.charges.list().data) == 2
