"""A call to somebody else's server holds nothing that others need, and is bounded."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from accounts.outside import HoldsATransaction, Line, NoAnswerInTime, TooManyCalls
from tests.patience import until

PATIENCE = 20.0


class Answer:
    """Somebody else's answer, which comes when the test says so."""

    def __init__(self) -> None:
        self.may_come = threading.Event()
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        assert self.may_come.wait(PATIENCE)
        return "hello"


@pytest.fixture
def answer() -> Iterator[Answer]:
    """An answer that comes at the end of the test at the latest."""
    answer = Answer()
    yield answer
    answer.may_come.set()


def test_the_caller_gets_the_answer() -> None:
    assert Line("test", at_once=1).call(lambda: 7, within_seconds=PATIENCE) == 7


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("theirs"), SystemExit()])
def test_the_caller_gets_what_went_wrong(error: BaseException) -> None:
    def fails() -> None:
        raise error

    line = Line("test", at_once=1)
    for _ in range(2):
        with pytest.raises(type(error)):
            line.call(fails, within_seconds=PATIENCE)


@pytest.mark.django_db(transaction=True)
def test_no_call_is_made_inside_a_transaction() -> None:
    made: list[int] = []
    with transaction.atomic(), pytest.raises(HoldsATransaction):
        Line("test", at_once=1).call(lambda: made.append(1), within_seconds=PATIENCE)
    assert made == []


@pytest.mark.django_db(transaction=True)
def test_in_production_a_call_inside_a_transaction_is_an_alarm_and_the_work_goes_on(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.IS_DEVELOPMENT = False
    with transaction.atomic():
        assert Line("test", at_once=1).call(lambda: 7, within_seconds=PATIENCE) == 7
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]


@pytest.mark.django_db(transaction=True)
def test_the_connection_is_given_back_before_the_wait() -> None:
    connection.ensure_connection()
    during = Line("test", at_once=1).call(is_held, within_seconds=PATIENCE)
    assert (during, connection.connection) == (0, None)


def is_held() -> int:
    """How many connections of the pool are in use, as the pool counts."""
    pool: Any = connection.copy().pool  # type: ignore[attr-defined]
    stats = pool.get_stats()
    in_use: int = stats["pool_size"] - stats["pool_available"]
    return in_use


def test_one_call_more_than_may_be_under_way_is_refused_at_once(answer: Answer) -> None:
    line = Line("test", at_once=2)
    callers = [
        threading.Thread(target=line.call, args=(answer,), kwargs={"within_seconds": PATIENCE})
        for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    until(lambda: answer.calls == 2, seconds=PATIENCE)
    with pytest.raises(TooManyCalls):
        line.call(answer, within_seconds=PATIENCE)
    answer.may_come.set()
    for caller in callers:
        caller.join()
    assert answer.calls == 2
    assert line.call(answer, within_seconds=PATIENCE) == "hello"


def test_who_waited_long_enough_goes_on_and_the_call_counts_until_it_ends(answer: Answer) -> None:
    line = Line("test", at_once=1)
    with pytest.raises(NoAnswerInTime):
        line.call(answer, within_seconds=0.05)
    with pytest.raises(TooManyCalls):
        line.call(answer, within_seconds=PATIENCE)
    answer.may_come.set()

    def is_free() -> bool:
        try:
            return line.call(lambda: True, within_seconds=PATIENCE)
        except TooManyCalls:
            return False

    until(is_free, seconds=PATIENCE)
