"""The usage page adds up at every moment, whatever the drain does meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Account, User
from keys.issue import issue_api_key
from quotas.standing import Standing, standing_of
from quotas.usage import drain, live, page, picture, reading, spans
from quotas.usage.asked import By, Only
from quotas.usage.report import Report
from quotas.usage.spans import Span
from tests import entitled
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def repeated(act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again in another thread."""
    done = threading.Event()

    def work() -> None:
        try:
            while not done.is_set():
                act()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            yield
        finally:
            done.set()
        working.result(20)


UTC_ZONE = ZoneInfo("UTC")


def week_of(at: datetime) -> Span:
    return spans.quota_weeks(1, zone=UTC_ZONE, at=at)


def usage_of(account: Account, *, at: datetime = WEDNESDAY) -> Report:
    """The week of Wednesday, as pages tell it."""
    return live.look(account, week_of(at), by=By.KEY, only=Only(), at=at).report


def by_source(usage: Report) -> tuple[int, int, int]:
    sources = usage.by_source
    return sources["allowance"], sources["boost"], sources["credits"]


def lines_of(account: Account, by: By) -> list[tuple[str, int]]:
    """Names and chats of a list of the page."""
    asked = {"week": "2031-03-03", "by": by}
    at = WEDNESDAY
    question = reading.read(asked, account=account, zone=UTC_ZONE, at=at)
    assert not question.errors
    lines = page.page_of(account, question, keys=account.api_keys.all(), at=at)["lines"]
    return [(line.name, line.chats) for line in lines.lines]


def test_the_same_before_between_and_after_drains(
    account: Account, key: str, gate: LiveGate
) -> None:
    fund(account)
    gate.use(key, 60, at=WEDNESDAY)
    assert by_source(usage_of(account)) == (50, 10, 0)
    drain.move_all()
    assert by_source(usage_of(account)) == (50, 10, 0)
    gate.use(key, 40, at=WEDNESDAY)
    assert by_source(usage_of(account)) == (50, 30, 20)
    drain.move_all()
    assert by_source(usage_of(account)) == (50, 30, 20)


def test_every_chat_stands_under_its_day(account: Account, key: str, gate: LiveGate) -> None:
    monday = WEDNESDAY.replace(day=3, hour=0)
    for day, chats in enumerate((3, 0, 5, 1, 0, 0, 2)):
        gate.use(key, chats, at=monday + timedelta(days=day, hours=23, minutes=59))
        if day == 2:
            drain.move_all()
    usage = usage_of(account)
    days = picture.bars_of(usage, week_of(WEDNESDAY), at=WEDNESDAY)
    assert [day.total for day in days] == [3, 0, 5, 1, 0, 0, 2]
    assert [day.label for day in days][:3] == ["Mon 3", "Tue 4", "Wed 5"]
    assert [day.is_now for day in days].index(True) == 2
    assert [day.is_future for day in days] == [False] * 3 + [True] * 4
    assert [sum(part.height for part in day.parts) for day in days] == [60, 0, 100, 20, 0, 0, 40]


def test_last_week_is_not_this_week(account: Account, key: str, gate: LiveGate) -> None:
    gate.use(key, 7, at=WEDNESDAY)
    gate.use(key, 2, at=WEDNESDAY + timedelta(days=7))
    assert usage_of(account, at=WEDNESDAY + timedelta(days=7)).total == 2
    drain.move_all()
    assert usage_of(account, at=WEDNESDAY + timedelta(days=7)).total == 2
    assert usage_of(account).total == 7


def test_keys_are_listed_by_what_they_used(
    account: Account, owner: User, key: str, gate: LiveGate
) -> None:
    second = issue_api_key(account=account, name="server", submission=uuid4(), by=owner)[1]
    gate.use(key, 2, at=WEDNESDAY)
    gate.use(second, 3, at=WEDNESDAY)
    drain.move_all()
    gate.use(second, 1, at=WEDNESDAY)
    assert lines_of(account, By.KEY) == [("server", 4), ("laptop", 2)]


def test_endpoints_are_told_apart(account: Account, key: str, gate: LiveGate) -> None:
    gate.use(key, 2, at=WEDNESDAY)
    for _ in range(3):
        gate.check(key, meter="images", at=WEDNESDAY)
    drain.move_all()
    gate.check(key, meter="voice", at=WEDNESDAY)
    assert lines_of(account, By.METER) == [("Images", 3), ("Chat", 2), ("Voice", 1)]


def test_other_accounts_are_not_in_it(
    account: Account, key: str, other_key: str, gate: LiveGate
) -> None:
    gate.use(other_key, 9, at=WEDNESDAY)
    gate.use(key, 1, at=WEDNESDAY)
    assert usage_of(account).total == 1


def test_a_refund_is_subtracted_at_once(account: Account, key: str, gate: LiveGate) -> None:
    decisions = gate.use(key, 3, at=WEDNESDAY)
    drain.move_all()
    gate.refund(decisions[0], at=WEDNESDAY)
    assert usage_of(account).total == 2


def test_it_never_lags_or_doubles_while_drains_run(
    account: Account, key: str, gate: LiveGate
) -> None:
    """Every reading lies between the chats answered before it and those begun by its end."""
    entitled.move_to_plan(account, "pro")
    begun = answered = 0

    def chat() -> None:
        nonlocal begun, answered
        begun += 5
        gate.use(key, 5, at=WEDNESDAY)
        answered += 5

    def drain_all() -> None:
        drain.move_all()
        time.sleep(0.01)

    readings = 0
    with repeated(chat), repeated(drain_all), repeated(drain_all):
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            low = answered
            total = usage_of(account).total
            assert low <= total <= begun
            readings += 1
    assert readings > 20
    assert begun > 100
    assert usage_of(account).total == begun


@pytest.mark.parametrize("drains", ["before", "after"])
def test_a_drain_between_its_two_readings_takes_and_doubles_nothing(
    account: Account, key: str, gate: LiveGate, drains: str
) -> None:
    gate.use(key, 4, at=WEDNESDAY)
    drain.move_all()
    gate.use(key, 3, at=WEDNESDAY)

    def drained() -> None:
        try:
            drain.move_all()
        finally:
            connection.close()

    def beside_the_rollups(execute: Callable[..., object], *asked: Any) -> object:
        with ThreadPoolExecutor(1) as pool:
            if drains == "before":
                pool.submit(drained).result(20)
            answer = execute(*asked)
            if drains == "after":
                pool.submit(drained).result(20)
        return answer

    with connection.execute_wrapper(beside_the_rollups):
        assert usage_of(account).total == 7


def test_what_is_charged_and_drained_between_its_two_readings_is_in_both(
    account: Account, key: str, gate: LiveGate
) -> None:
    gate.use(key, 4, at=WEDNESDAY)
    chats = iter([3, 2])

    def charged_and_drained() -> None:
        try:
            gate.use(key, next(chats, 0), at=WEDNESDAY)
            drain.move_all()
        finally:
            connection.close()

    def before_the_rollups(execute: Callable[..., object], *asked: Any) -> object:
        if "quotas_usagetotal" in str(asked[0]):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(charged_and_drained).result(20)
        return execute(*asked)

    with connection.execute_wrapper(before_the_rollups):
        seen = live.look(account, week_of(WEDNESDAY), by=By.KEY, only=Only(), at=WEDNESDAY)
    assert seen.is_exact
    assert seen.standing is not None
    assert seen.standing.used == seen.report.total == 9


def test_it_agrees_with_the_gate(account: Account, key: str, gate: LiveGate) -> None:
    boost = fund(account)
    gate.use(key, 45, at=WEDNESDAY)
    drain.move_all()
    split = gate.check(key, 20, at=WEDNESDAY)
    gate.use(key, 30, at=WEDNESDAY)
    gate.refund(split, at=WEDNESDAY)
    standing = standing_of(account, at=WEDNESDAY)
    assert standing is not None
    allowance, boosted, credits = by_source(usage_of(account))
    assert standing.used == allowance
    assert standing.boost_left == boost.chats - boosted
    assert standing.credits_left == 500 - 2 * credits
    assert allowance + boosted + credits == 75


def test_the_page_stays_calm_when_valkey_is_away(
    owner_client: Client, valkey_away: Callable[[bool], None]
) -> None:
    valkey_away(True)
    for path in ("/account/usage", "/account/usage/now"):
        page = owner_client.get(path)
        assert page.status_code == 200
        assert page.context["standing"] is None
    valkey_away(False)
    assert isinstance(owner_client.get("/account/usage").context["standing"], Standing)
