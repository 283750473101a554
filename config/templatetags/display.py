"""How amounts read."""

from django import template
from django.template.defaultfilters import pluralize

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


@register.filter
def chats(number: int) -> str:
    """So many chats in words: “1,500 chats”, “1 chat”."""
    return f"{number:,} chat{pluralize(number)}"


@register.filter
def credits(number: int) -> str:
    """So many credits in words: “1,500 credits”, “1 credit”."""
    return f"{number:,} credit{pluralize(number)}"


@register.filter
def or_unlimited(cap: int | None) -> str:
    """A cap as “1,500”; None is “Unlimited”."""
    return "Unlimited" if cap is None else thousands(cap)


@register.filter
def or_contact_us(price_cents: int | None) -> str:
    """A price as “$5”; a plan without one has to be asked for."""
    return "Contact us" if price_cents is None else dollars(price_cents)
