"""Reports add up to the chat: in every zone, by every part, wherever totals and the drain are."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from accounts.models import Account, User
from keys.issue import issue_api_key
from quotas import catalogue
from quotas.models.plans import Meter
from quotas.models.used import Source, TokenRollup, UsageRollup
from quotas.usage import drain, live, refusals, report_statement, spans, totals
from quotas.usage.asked import By, Only
from quotas.usage.report import Report, report_of
from quotas.usage.spans import Named, Shape, Span
from tests.quotas.conftest import WEDNESDAY
from tests.quotas.live_gate import LiveGate
from tests.quotas.usage.test_drain import fund
from tests.quotas.usage.test_live import repeated

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
EVERYTHING = Only()
UTC_ZONE, BERLIN, INDIA, NEPAL = map(
    ZoneInfo, ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu")
)
ZONES = [
    UTC_ZONE,
    BERLIN,
    INDIA,
    NEPAL,
    *map(ZoneInfo, ("America/Los_Angeles", "Asia/Tokyo", "Pacific/Auckland")),
]


class Used:
    """Charges that were made, to be counted again one by one."""

    def __init__(self) -> None:
        self.charges: list[tuple[datetime, int, str, str, int]] = []

    def add(self, at: datetime, key_id: int, meter: str, source: str, chats: int) -> None:
        self.charges.append((at, key_id, meter, source, chats))

    def within(
        self, span: Span, only: Only = EVERYTHING
    ) -> list[tuple[datetime, int, str, str, int]]:
        return [
            charge
            for charge in self.charges
            if span.starts_at <= charge[0] < span.ends_at
            and only.key in {None, charge[1]}
            and only.meter in {None, charge[2]}
            and only.source in {None, charge[3]}
        ]

    def by_bar(self, span: Span, only: Only = EVERYTHING) -> Counter[tuple[int, str]]:
        counted: Counter[tuple[int, str]] = Counter()
        for at, _, _, source, chats in self.within(span, only):
            (bar,) = [n for n, bar in enumerate(span.bars) if bar.starts_at <= at < bar.ends_at]
            counted[bar, source] += chats
        return +counted

    def by_key(self, span: Span, only: Only = EVERYTHING) -> Counter[int]:
        counted: Counter[int] = Counter()
        for _, key_id, _, _, chats in self.within(span, only):
            counted[key_id] += chats
        return +counted


def bars_of(report: Report) -> Counter[tuple[int, str]]:
    return +Counter(
        {
            (bar, source): chats
            for bar, sources in report.by_bar.items()
            for source, chats in sources.items()
        }
    )


def keys_of(report: Report) -> Counter[int | str]:
    return +Counter({part: amount.chats for part, amount in report.parts.items()})


@pytest.fixture
def used(account: Account) -> Used:
    """Two hundred days of three keys, at any minute, as a drain writes them down."""
    used = Used()
    chance = random.Random(7)
    rows: dict[tuple[int, str, datetime, str], list[int]] = {}
    first = datetime(2031, 1, 1, tzinfo=UTC)
    for _ in range(900):
        at = first + timedelta(minutes=15 * chance.randrange(200 * 96))
        key_id, meter = chance.randrange(1, 4), chance.choice(["chat", "images"])
        source, chats = chance.choice(Source.values), chance.randrange(1, 9)
        used.add(at, key_id, meter, source, chats)
        hour = at.replace(minute=0)
        amounts = rows.setdefault((key_id, meter, hour, source), [0, 0, 0, 0])
        for quarter in range(at.minute // 15 + 1):
            amounts[quarter] += chats
    UsageRollup.objects.bulk_create(
        UsageRollup(
            account=account, key_id=key_id, meter=meter, hour=hour, source=source,
            chats=whole, chats_from_15=from_15, chats_from_30=from_30, chats_from_45=from_45,
        )
        for (key_id, meter, hour, source), (whole, from_15, from_30, from_45) in rows.items()
    )  # fmt: skip
    return used


def spans_in(zone: ZoneInfo) -> Iterator[Span]:
    """Spans of every shape, over both changes of the clock."""
    at = datetime(2031, 6, 18, 14, 20, tzinfo=UTC)
    for which in Named:
        yield spans.named(which, zone=zone, at=at)
    # Germany puts its clocks forward on 30 March, California on 9 March.
    yield spans.days(date(2031, 3, 30), date(2031, 3, 30), zone=zone)
    yield spans.days(date(2031, 3, 9), date(2031, 3, 9), zone=zone)
    yield spans.days(date(2031, 3, 3), date(2031, 4, 2), zone=zone)
    yield spans.days(date(2031, 2, 26), date(2031, 2, 27), zone=zone)


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_bars_and_keys_add_up_in_a_zone(used: Used, account: Account, zone: ZoneInfo) -> None:
    counted = 0
    for up_to in (None, datetime(2031, 3, 30, 7, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)):
        if up_to is not None:
            totals.catch_up(at=up_to)
        for span in spans_in(zone):
            report = report_of(account, span, by=By.KEY, only=Only())
            assert bars_of(report) == used.by_bar(span), (span.shape, span.first_date, up_to)
            assert keys_of(report) == used.by_key(span), (span.shape, span.first_date, up_to)
            assert report.total == report.by_meter.total() == sum(report.by_source.values())
            counted += report.total
    assert counted > 0


@pytest.mark.parametrize("zone", [UTC_ZONE, INDIA], ids=str)
@pytest.mark.parametrize(
    "only",
    [
        Only(key=2),
        Only(meter="images"),
        Only(source=Source.BOOST, key=1),
        Only(source=Source.CREDITS),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_asked_for_alone_adds_up(
    used: Used, account: Account, only: Only, zone: ZoneInfo
) -> None:
    totals.catch_up(at=datetime(2031, 5, 1, 5, tzinfo=UTC))
    for span in spans_in(zone):
        report = report_of(account, span, by=By.KEY, only=only)
        assert bars_of(report) == used.by_bar(span, only)
        if only.part is None:
            assert keys_of(report) == used.by_key(span, only)


def test_days_whose_hours_are_folded_still_count(used: Used, account: Account) -> None:
    everything = spans.days(date(2031, 1, 1), date(2031, 8, 1), zone=UTC_ZONE)
    totals.catch_up(at=datetime(2032, 1, 1, tzinfo=UTC))
    assert totals.fold(before=datetime(2031, 4, 15, tzinfo=UTC)) > 0
    for only in (Only(), Only(key=2), Only(key=2, meter="chat")):
        report = report_of(account, everything, by=By.KEY, only=only)
        assert bars_of(report) == used.by_bar(everything, only)
    for zone in ZONES:
        span = spans.days(date(2031, 2, 10), date(2031, 7, 1), zone=zone)
        report = report_of(account, span, by=By.KEY, only=Only())
        assert bars_of(report) == used.by_bar(span)
        of_keys = [
            sum(bars_of(report_of(account, span, by=By.KEY, only=Only(key=key))).values())
            for key in (1, 2, 3)
        ]
        assert [keys_of(report)[key] for key in (1, 2, 3)] == of_keys


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2031, 3, 30), 23),
        ("Europe/Berlin", date(2031, 10, 26), 25),
        ("America/Los_Angeles", date(2031, 3, 9), 23),
        ("America/Los_Angeles", date(2031, 11, 2), 25),
        ("Asia/Kolkata", date(2031, 3, 30), 24),
        ("Asia/Kathmandu", date(2031, 3, 30), 24),
        # Half an hour is put forward and back, so that the last bar is half of one.
        ("Australia/Lord_Howe", date(2031, 10, 5), 24),
        # Here there is no midnight on that day.
        ("America/Santiago", date(2030, 9, 8), 23),
    ],
)
def test_a_day_has_the_hours_that_it_has_there(zone: str, day: date, hours: int) -> None:
    span = spans.days(day, day, zone=ZoneInfo(zone))
    assert span.shape is Shape.HOURS
    assert len(span.bars) == hours
    week = spans.days(day - timedelta(days=3), day + timedelta(days=3), zone=ZoneInfo(zone))
    assert [bar.local.date().day for bar in week.bars] == [
        (day + timedelta(days=offset)).day for offset in range(-3, 4)
    ]
    assert (week.bars[3].starts_at, week.bars[3].ends_at) == (span.starts_at, span.ends_at)


def test_a_quota_week_is_cut_by_days_of_the_reader() -> None:
    week = spans.named(Named.WEEK, zone=BERLIN, at=WEDNESDAY)
    assert week.starts_at == datetime(2031, 3, 3, tzinfo=UTC)
    assert week.ends_at == datetime(2031, 3, 10, tzinfo=UTC)
    assert len(week.bars) == 8
    assert week.bars[0].local.hour == 1
    assert week.bars[-1].ends_at - week.bars[-1].starts_at == HOUR


@pytest.fixture
def two_keys(account: Account, owner: User, key: str) -> list[str]:
    Meter.objects.filter(slug="images").update(chats=4)
    catalogue.changed()
    fund(account, chats=30, credits=50_000)
    return [key, issue_api_key(account=account, name="server", submission=uuid4(), by=owner)[1]]


def look(account: Account, span: Span, by: By = By.KEY, only: Only = EVERYTHING) -> live.Live:
    return live.look(account, span, by=by, only=only)


def test_the_gate_and_the_report_agree_while_charges_are_drained_and_totalled(
    account: Account, two_keys: list[str], gate: LiveGate
) -> None:
    now = datetime.now(UTC)
    span = spans.named(Named.WEEK, zone=NEPAL, at=now)

    def keep_books() -> None:
        drain.move_all()
        totals.catch_up(at=now + 2 * HOUR)

    before = 0
    with repeated(keep_books):
        for number in range(60):
            gate.use(two_keys[number % 2], 1 + number % 3)
            seen = look(account, span)
            assert seen.is_exact
            assert seen.standing is not None
            assert seen.report.by_source["allowance"] == seen.standing.used
            assert seen.report.total == before + 1 + number % 3
            before = seen.report.total
            assert sum(amount.chats for amount in seen.report.parts.values()) == before
    assert seen.standing is not None
    assert seen.standing.credits_left == 50_000 - seen.report.credits


def test_a_member_sees_the_chats_of_the_keys_that_they_made(
    account: Account, two_keys: list[str], gate: LiveGate, owner: User
) -> None:
    span = spans.named(Named.WEEK, zone=INDIA, at=datetime.now(UTC))
    gate.use(two_keys[0], 3)
    drain.move_all()
    gate.use(two_keys[1], 4)
    for _ in range(2):
        report = look(account, span, By.MEMBER).report
        assert {part: amount.chats for part, amount in report.parts.items()} == {owner.pk: 7}
        alone = look(account, span, By.SOURCE, Only(member=owner.pk)).report
        assert (alone.total, alone.by_source["allowance"]) == (7, 7)
        assert look(account, span, By.SOURCE, Only(member=owner.pk + 1)).report.total == 0
        totals.catch_up(at=datetime.now(UTC) + 2 * HOUR)


def test_refusals_are_a_series_with_their_reasons(
    account: Account, key: str, gate: LiveGate
) -> None:
    monday = WEDNESDAY.replace(day=3)
    gate.use(key, 50, at=monday)
    for day, times in ((0, 1), (2, 3)):
        for _ in range(times):
            assert not gate.check(key, at=monday + timedelta(days=day)).allowed
    refusals.move_all()
    span = spans.named(Named.WEEK, zone=UTC_ZONE, at=WEDNESDAY)
    (key_id,) = look(account, span).report.parts
    assert isinstance(key_id, int)
    for _ in range(2):
        for only in (EVERYTHING, Only(key=key_id)):
            report = report_of(account, span, by=By.KEY, only=only)
            assert {bar: dict(reasons) for bar, reasons in report.refused.items()} == {
                0: {"quota_exhausted": 1},
                2: {"quota_exhausted": 3},
            }
        totals.catch_up(at=WEDNESDAY + timedelta(days=7))


def test_tokens_are_told_by_model(account: Account) -> None:
    for hour, model, tokens in ((0, "small", 5), (30, "small", 7), (60, "large", 11)):
        TokenRollup.objects.create(
            account=account, key_id=hour // 30, meter="chat", model=model,
            hour=WEDNESDAY + hour * HOUR, chats=2, answers=1, tokens_in=tokens, tokens_out=1,
        )  # fmt: skip
    span = spans.named(Named.WEEK, zone=BERLIN, at=WEDNESDAY)
    for up_to in (0, 20, 100):
        totals.catch_up(at=WEDNESDAY + up_to * HOUR)
        told = report_of(account, span, by=By.MODEL, only=Only()).tokens
        assert {model: tokens.tokens_in for model, tokens in told.items()} == {
            "small": 12,
            "large": 11,
        }
        of_key = report_of(account, span, by=By.METER, only=Only(key=1)).tokens
        assert {model: tokens.tokens_in for model, tokens in of_key.items()} == {"small": 7}
        of_model = report_of(account, span, by=By.METER, only=Only(model="small"))
        assert of_model.total == 4
        assert sum(sum(bar.values()) for bar in of_model.by_bar.values()) == 4


def test_of_very_many_keys_the_rest_is_one(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_statement, "PARTS_AT_MOST", 2)
    for key_id, chats in ((1, 5), (2, 9), (3, 1), (4, 1)):
        UsageRollup.objects.create(
            account=account, key_id=key_id, meter="chat", hour=WEDNESDAY, source="allowance",
            chats=chats,
        )  # fmt: skip
    span = spans.named(Named.WEEK, zone=UTC_ZONE, at=WEDNESDAY)
    report = report_of(account, span, by=By.KEY, only=Only())
    assert keys_of(report) == {2: 9, 1: 5}
    assert report.rest == 2


def test_nothing_of_another_account_is_told(
    account: Account, other_account: Account, two_keys: list[str], gate: LiveGate
) -> None:
    gate.use(two_keys[0], 3)
    span = spans.named(Named.WEEK, zone=UTC_ZONE, at=datetime.now(UTC))
    for _ in range(2):
        for by in By:
            assert look(other_account, span, by).report.total == 0
        drain.move_all()
