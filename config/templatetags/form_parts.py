"""What is wrong with a form, for whoever reads it from the top."""

from django import template
from django.forms import BaseForm, BoundField

register = template.Library()


@register.simple_tag
def mistakes_of(form: BaseForm) -> list[BoundField]:
    """The fields that people see and filled in wrong, in their order; of a form not sent, none."""
    return [field for field in form if field.errors and not field.is_hidden]
