"""What is wrong with a form, for whoever reads it from the top, and how its labels are written."""

import json

from django import template
from django.core.serializers.json import DjangoJSONEncoder
from django.forms import BaseForm, BoundField
from django.template.context import RequestContext
from django.template.defaultfilters import stringfilter
from django.utils.text import capfirst
from django.utils.translation import get_language

from accounts import recent

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


@register.simple_tag(takes_context=True)
def is_something_kept(context: RequestContext) -> bool:
    """Whether what was sent waits until its sender has shown that it is they."""
    request = context.get("request")
    return request is not None and recent.is_something_kept(request)


@register.filter
def as_json(data: object) -> str:
    """For a script, as an attribute: the policy of pages has no room for text in a script."""
    return json.dumps(data, cls=DjangoJSONEncoder)
