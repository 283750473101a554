"""What is wrong with a form, for whoever reads it from the top, and how its labels are written."""

from django import template
from django.forms import BaseForm, BoundField
from django.template.defaultfilters import stringfilter
from django.utils.text import capfirst
from django.utils.translation import get_language

register = template.Library()


@register.simple_tag
def mistakes_of(form: BaseForm) -> list[BoundField]:
    """The fields that people see and filled in wrong, in their order; of a form not sent, none."""
    return [field for field in form if field.errors and not field.is_hidden]


@register.filter
@stringfilter
def sentence_case(label: str) -> str:
    """The “New Password” of a library as “New password”; only English writes titles that way."""
    is_english = (get_language() or "en").startswith("en")
    return capfirst(label.lower()) if is_english else label
