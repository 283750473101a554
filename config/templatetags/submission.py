"""What forms carry besides their fields: what makes a repeated submit harmless, and for whom."""

import json
from uuid import UUID, uuid4

from django import template
from django.middleware.csrf import get_token
from django.template.context import RequestContext
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.current import FORM_FIELD, HEADER, membership_of

register = template.Library()


@register.simple_tag
def fresh_submission() -> UUID:
    """A number of this form on this page: whoever submits it twice means it once."""
    return uuid4()


@register.simple_tag(takes_context=True)
def account_form(context: RequestContext) -> SafeString:
    """The first thing in every form of the account area: whose it is, and that it is ours.

    A form that was opened for one account is not taken for another (`accounts.current`).
    """
    request = context.get("request")
    if request is None:
        return SafeString("")
    membership = membership_of(request)
    said = format_html(
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">', get_token(request)
    )
    if membership is None:
        return said
    field = '<input type="hidden" name="{}" value="{}">'
    return said + format_html(field, FORM_FIELD, membership.account.handle)


@register.simple_tag(takes_context=True)
def account_headers(context: RequestContext) -> SafeString:
    """The same for what scripts ask for by themselves: an attribute of the page’s body."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_authenticated:
        return SafeString("")
    membership = membership_of(request)
    if membership is None:
        return SafeString("")
    return format_html('hx-headers="{}"', json.dumps({HEADER: membership.account.handle}))
