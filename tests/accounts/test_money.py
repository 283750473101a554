"""Money is typed and read in the currency that things are sold in, and kept in hundredths."""

import pytest
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from accounts.currencies import LEAST
from accounts.money import MoneyField, amount, price

PRICE = MoneyField(least=50, most=100_000_00)


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
def test_what_is_typed_becomes_hundredths(typed: str, cents: int) -> None:
    assert PRICE.clean(typed) == cents


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Fill this in."),
        ("five", "Write an amount in USD, as 5 or 5.50."),
        ("5,50", "Write an amount in USD"),
        ("1,2000", "Write an amount in USD"),
        ("5.505", "Write an amount in USD"),
        ("5.", "Write an amount in USD"),
        ("-5", "Write an amount in USD"),
        ("1e3", "Write an amount in USD"),
        ("٥", "Write an amount in USD"),
        ("9" * 30, "Write an amount in USD"),
        ("0.49", "It must be at least $0.50."),
        ("100000.01", "It may be at most $100,000."),
    ],
)
def test_what_is_no_such_amount_is_refused_in_words(typed: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words.replace("$", r"\$")):
        PRICE.clean(typed)


def test_an_amount_may_be_left_out_where_none_is_needed() -> None:
    assert MoneyField(required=False).clean("") is None


@pytest.mark.parametrize(
    ("cents", "shown"), [(0, "$0"), (2, "$0.02"), (500, "$5"), (-1250, "-$12.50")]
)
def test_hundredths_read_as_dollars_unless_it_is_set_otherwise(cents: int, shown: str) -> None:
    assert price(cents) == shown


def test_an_amount_that_was_not_touched_has_not_changed() -> None:
    assert PRICE.prepare_value(1950) == "19.50"
    assert not PRICE.has_changed(1950, "19.50")
    assert not PRICE.has_changed(None, "")
    assert PRICE.has_changed(1950, "19.51")
    assert PRICE.has_changed(1950, "much")


@pytest.mark.parametrize(
    ("currency", "typed"),
    [
        ("eur", ["5.50", "€5.50", "5.50 €", "5.50\N{NO-BREAK SPACE}€", "EUR 5.50", "5.50eur"]),
        ("chf", ["5.50", "CHF 5.50", "5.50 chf"]),
        ("usd", ["$5.50", "5.50 $", "USD5.50", "5.50 USD"]),
    ],
)
def test_the_sign_or_the_code_of_a_currency_may_stand_on_either_side(
    settings: Settings, currency: str, typed: list[str]
) -> None:
    settings.STRIPE_CURRENCY = currency
    assert [PRICE.clean(text) for text in typed] == [550] * len(typed)


@pytest.mark.parametrize("typed", ["$5", "5 USD", "CHF 5", "€5 €", "5,50 €", "€", "EUR EUR 5"])
def test_another_currency_than_that_is_no_amount(settings: Settings, typed: str) -> None:
    settings.STRIPE_CURRENCY = "eur"
    with pytest.raises(ValidationError, match=r"Write an amount in EUR, as 5 or 5\.50\."):
        PRICE.clean(typed)


def test_bounds_are_told_in_the_currency_of_the_field(settings: Settings) -> None:
    settings.STRIPE_CURRENCY = "eur"
    with pytest.raises(ValidationError, match=r"It must be at least €0\.50\."):
        PRICE.clean("0.49")
    with pytest.raises(ValidationError, match=r"It may be at most £100,000\."):
        MoneyField(currency="gbp").clean("£100000.01")


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (5_00, "eur", "€5"),
        (-12_50, "gbp", "-£12.50"),
        (5_00, "chf", "CHF 5"),
        (5_05, "cad", "CAD 5.05"),
        (500, "jpy", "JPY 500"),
        (5_500, "kwd", "KWD 5.500"),
    ],
)
def test_any_amount_reads_in_its_own_currency(minor: int, currency: str, shown: str) -> None:
    assert amount(minor, currency) == shown.replace(" ", "\N{NO-BREAK SPACE}")


def test_every_currency_that_can_be_set_is_written_and_typed(settings: Settings) -> None:
    for currency in LEAST:
        settings.STRIPE_CURRENCY = currency
        assert PRICE.clean(price(1_200_50)) == 1_200_50
