"""The week as cells: each chat is in one, and pictures say what their cells are."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from config.templatetags import strips
from quotas.standing import Left
from quotas.strip import (
    ALLOWANCE,
    BOOST,
    CREDITS,
    SPENT,
    Amounts,
    Mark,
    Run,
    Strip,
    amounts_of,
    strip_of,
)

MONDAY = datetime(2031, 3, 10, tzinfo=UTC)
CHATS = some.integers(0, 2_000_000)


def left(**changes: int | None) -> Left:
    said = {
        "cap": 500,
        "used": 412,
        "left": 88,
        "resets_at": MONDAY,
        "boost_left": 0,
        "credits_left": 0,
        "credits_per_chat": 2,
        "suspended": False,
    } | changes
    return Left(**said)  # type: ignore[arg-type]


def cells(strip: Strip, kind: str) -> int:
    return sum(run.length for run in strip.runs if run.kind == kind)


def mark(strip: Strip, kind: str) -> Mark:
    return next(mark for mark in strip.marks if mark.kind == kind)


@given(CHATS, CHATS, CHATS, CHATS, some.sampled_from([(50, 4), (25, 8), (60, 1)]))
def test_every_chat_is_in_a_cell_of_its_source(
    spent: int, allowance: int, boost: int, credits: int, room: tuple[int, int]
) -> None:
    columns, rows = room
    amounts = Amounts(spent=spent, allowance=allowance, boost=boost, credits=credits)
    strip = strip_of(amounts, columns=columns, rows=rows)
    for chats, drawn in (
        (spent + allowance, cells(strip, SPENT) + cells(strip, ALLOWANCE)),
        (boost, cells(strip, BOOST)),
        (credits, cells(strip, CREDITS)),
    ):
        assert chats <= drawn * strip.chats_a_cell < chats + strip.chats_a_cell
    assert (cells(strip, ALLOWANCE) > 0) == (allowance > 0)
    assert strip.rows <= rows
    places = [(run.row, run.column + cell) for run in strip.runs for cell in range(run.length)]
    assert len(set(places)) == len(places)
    assert places == sorted(places)
    assert all(0 <= column < columns for _, column in places)


def test_a_cell_is_one_chat_until_there_are_too_many() -> None:
    for chats, a_cell in ((50, 1), (200, 1), (201, 10), (2_000, 10), (2_001, 50), (10_001, 100)):
        assert strip_of(Amounts(allowance=chats), columns=50, rows=4).chats_a_cell == a_cell


def test_a_source_begins_a_row_of_its_own_where_there_is_room() -> None:
    roomy = strip_of(Amounts(spent=3, allowance=7, boost=5, credits=4), columns=10, rows=3)
    assert [(run.row, run.column) for run in roomy.runs] == [(0, 0), (0, 3), (1, 0), (2, 0)]
    narrow = strip_of(Amounts(spent=3, allowance=7, boost=5, credits=4), columns=10, rows=2)
    assert [(run.row, run.column) for run in narrow.runs] == [(0, 0), (0, 3), (1, 0), (1, 5)]


def test_the_last_chats_are_to_be_seen() -> None:
    strip = strip_of(Amounts(spent=499, allowance=1), columns=50, rows=1)
    assert (strip.chats_a_cell, cells(strip, SPENT), cells(strip, ALLOWANCE)) == (10, 49, 1)
    strip = strip_of(Amounts(spent=1, allowance=499), columns=50, rows=1)
    assert (cells(strip, SPENT), cells(strip, ALLOWANCE)) == (1, 49)


def test_marks_stand_where_an_even_week_would_be_and_where_it_ends() -> None:
    at = MONDAY - timedelta(days=7) / 4
    amounts = amounts_of(left(boost_left=3), at=at)
    assert amounts is not None
    strip = strip_of(amounts, columns=50, rows=4)
    # Ten chats a cell: the week has 50 of them, a row, at the end of which it resets.
    assert mark(strip, "now") == Mark("now", 38, 0)
    assert mark(strip, "reset") == Mark("reset", 50, 0)


def test_an_account_without_a_limit_has_nothing_to_count() -> None:
    assert amounts_of(left(cap=None, left=None), at=MONDAY) is None
    assert amounts_of(left(cap=0, used=0, left=0), at=MONDAY) is None


def test_what_is_to_come_stands_behind_what_is_left_of_its_source() -> None:
    amounts = Amounts(allowance=2, boost=1, credits=1, coming={BOOST: 2})
    runs = strip_of(amounts, columns=10, rows=1).runs
    assert runs == (
        Run(ALLOWANCE, 0, 0, 2),
        Run(BOOST, 2, 0, 1),
        Run(BOOST, 3, 0, 2, is_coming=True),
        Run(CREDITS, 5, 0, 1),
    )


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        (Amounts(spent=49, allowance=1), "49 of 50 chats of this week are spent"),
        (
            Amounts(allowance=9, boost=1, coming={BOOST: 500}),
            "0 of 9 chats of this week are spent; from boosts: 1 chat; to come: 500 chats",
        ),
    ],
)
def test_the_picture_says_itself_in_words(amounts: Amounts, words: str) -> None:
    assert strips.in_words(amounts) == words
    drawn = strips.drawn(strip_of(amounts, columns=50, rows=4), words)
    assert f'role="img" aria-label="{words}"' in drawn
