"""What makes a repeated submit of a form harmless."""

from uuid import UUID, uuid4

from django import template

register = template.Library()


@register.simple_tag
def fresh_submission() -> UUID:
    """A number of this form on this page: whoever submits it twice means it once."""
    return uuid4()
