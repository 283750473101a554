"""What something costs and gives, in a few numbers: as forms carry it, and wishes remember it.

Whoever buys means what they were shown. Terms that name no currency are in US dollars: there are
some that were written before others could be named.
"""

from collections.abc import Iterable

_UNNAMED = "usd"
# Of the currency behind the numbers, as a regular expression.
MAY_END = r"(?:-[a-z]{3})?"


def written(numbers: Iterable[int], *, currency: str) -> str:
    """Numbers and their currency as one word."""
    named = () if currency == _UNNAMED else (currency,)
    return "-".join([*map(str, numbers), *named])


def numbers_of(terms: str) -> list[int]:
    """The numbers of such a word."""
    return [int(part) for part in terms.split("-") if part.isdecimal()]


def currency_of(terms: str) -> str:
    """The currency that it was written in."""
    last = terms.rpartition("-")[2]
    return last if last.isalpha() else _UNNAMED
