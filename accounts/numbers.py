"""Whole numbers as people read them, in the language of the page."""

from django.utils.formats import number_format
from django.utils.translation import ngettext


def thousands(number: int) -> str:
    """A whole number as “1,500”, or “1.500” in German."""
    return str(number_format(number, force_grouping=True))


def chats(number: int) -> str:
    """So many chats in words: “1,500 chats”, “1 chat”."""
    return ngettext("%(n)s chat", "%(n)s chats", number) % {"n": thousands(number)}


def credits(number: int) -> str:
    """So many credits in words: “1,500 credits”, “1 credit”."""
    return ngettext("%(n)s credit", "%(n)s credits", number) % {"n": thousands(number)}


def with_seats(name: str, number: int | None) -> str:
    """What is for so many people in words: “Teams, 5 seats”; None is not sold by the seat."""
    if not number:
        return name
    seats = ngettext("%(n)s seat", "%(n)s seats", number) % {"n": thousands(number)}
    return f"{name}, {seats}"
