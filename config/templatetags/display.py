"""How amounts read."""

from django import template

register = template.Library()


@register.filter
def dollars(cents: int) -> str:
    """Cents as “$5” or “$5.50”."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}${whole:,}.{rest:02d}" if rest else f"{sign}${whole:,}"


@register.filter
def thousands(number: int) -> str:
    """A whole number as “1,500”."""
    return f"{number:,}"
