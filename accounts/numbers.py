"""Whole numbers as people read them, in the language of the page."""

from django.utils.formats import number_format


def thousands(number: int) -> str:
    """A whole number as “1,500”, or “1.500” in German."""
    return str(number_format(number, force_grouping=True))
