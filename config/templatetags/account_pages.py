"""The pages of the account area, declared once: tabs on a wide page, entries of the menu."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

register = template.Library()


@dataclass(frozen=True, kw_only=True)
class AccountPage:
    """A page of the account area, by the name of its URL."""

    name: str
    label: StrOrPromise
    in_menu: bool = True


PAGES = (
    AccountPage(name="keys", label=_("API keys")),
    AccountPage(name="usage", label=_("Usage")),
    AccountPage(name="billing", label=_("Billing")),
    AccountPage(name="alerts", label=_("Alerts")),
    AccountPage(name="account_email", label=_("Email"), in_menu=False),
    AccountPage(name="account_change_password", label=_("Password")),
)


@register.inclusion_tag("partials/_account_tabs.html", takes_context=True)
def account_tabs(context: RequestContext) -> dict[str, Any]:
    """All of them as tabs; `current` says where the visitor is: "page" there, "true" below it."""
    request = context.get("request")
    path = request.path if request else ""
    tabs = []
    for page in PAGES:
        url = reverse(page.name)
        current = "page" if path == url else "true" if path.startswith(url) else ""
        tabs.append({"url": url, "label": page.label, "current": current})
    return {"tabs": tabs}


@register.inclusion_tag("partials/_account_menu_links.html")
def account_menu_links() -> dict[str, Any]:
    """Those of the menu that every page has."""
    return {"links": [{"url": reverse(p.name), "label": p.label} for p in PAGES if p.in_menu]}
