"""What only public pages have."""

import re
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.site_address import site_address
from config.coloured import coloured
from config.contact import contact_about

register = template.Library()

_LANGUAGES = {"curl": "curl", "python": "Python", "javascript": "JavaScript"}


@register.simple_tag
def ask_for(plan_name: str = "") -> str:
    """Where one asks for a plan, or for another one than one has."""
    if not plan_name:
        return contact_about(_("Another plan"))
    return contact_about(_("%(name)s plan") % {"name": plan_name})


@register.filter
def ticked(text: str) -> SafeString:
    """What stands between backticks as code."""
    return SafeString(re.sub(r"`([^`]+)`", r"<code>\1</code>", conditional_escape(text)))


@register.inclusion_tag("pages/_example.html")
def example(name: str, language: str, *, id: str, title: str) -> dict[str, Any]:
    """An example of `templates/examples`, in a language; `id` is what its code is copied by."""
    code = render_to_string(f"examples/{name}.{language}.txt", {"base_url": site_address()})
    return {
        "id": id,
        "title": title,
        "language": language,
        "code": coloured(code.strip(), language),
    }


@register.simple_block_tag
def languages(content: SafeString, *names: str) -> SafeString:
    """The same example in several languages: all of it, or with a script the chosen one."""
    chosen = [(name, _LANGUAGES[name]) for name in names]
    return render_to_string("pages/_languages.html", {"languages": chosen, "content": content})
