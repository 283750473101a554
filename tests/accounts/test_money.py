"""Money is typed and read in dollars, and kept in cents."""

import pytest
from django.core.exceptions import ValidationError

from accounts.money import DollarField, dollars

PRICE = DollarField(least=50, most=100_000_00)


@pytest.mark.parametrize(
    ("typed", "cents"),
    [
        ("5", 500),
        ("5.5", 550),
        ("5.50", 550),
        (" $5 ", 500),
        ("$1,200.05", 120_005),
        ("0.50", 50),
        ("0.57", 57),
        ("100,000", 10_000_000),
    ],
)
def test_dollars_become_cents(typed: str, cents: int) -> None:
    assert PRICE.clean(typed) == cents


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Fill this in."),
        ("five", "Write an amount in dollars, as 5 or 5.50."),
        ("5,50", "Write an amount in dollars"),
        ("1,2000", "Write an amount in dollars"),
        ("5.505", "Write an amount in dollars"),
        ("5.", "Write an amount in dollars"),
        ("-5", "Write an amount in dollars"),
        ("1e3", "Write an amount in dollars"),
        ("٥", "Write an amount in dollars"),
        ("9" * 30, "Write an amount in dollars"),
        ("0.49", "It must be at least $0.50."),
        ("100000.01", "It may be at most $100,000."),
    ],
)
def test_what_is_no_such_amount_is_refused_in_words(typed: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("$", r"\$")):
        PRICE.clean(typed)


def test_an_amount_may_be_left_out_where_none_is_needed() -> None:
    assert DollarField(required=False).clean("") is None


@pytest.mark.parametrize(
    ("cents", "shown"), [(0, "$0"), (2, "$0.02"), (500, "$5"), (-1250, "-$12.50")]
)
def test_cents_read_as_dollars(cents: int, shown: str) -> None:
    assert dollars(cents) == shown


def test_an_amount_that_was_not_touched_has_not_changed() -> None:
    assert PRICE.prepare_value(1950) == "19.50"
    assert not PRICE.has_changed(1950, "19.50")
    assert not PRICE.has_changed(None, "")
    assert PRICE.has_changed(1950, "19.51")
    assert PRICE.has_changed(1950, "much")
