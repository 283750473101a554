"""The pages of the account area, declared once: tabs on a wide page, entries of the menu."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.current import membership_of
from accounts.roles import Act, may

register = template.Library()


@dataclass(frozen=True, kw_only=True)
class AccountPage:
    """A page of the account area, by the name of its URL."""

    name: str
    label: StrOrPromise
    in_menu: bool = True
    act: Act | None = None
    # Where pages below it stand, if not below its own address.
    also_below: str = ""


PAGES = (
    AccountPage(name="keys", label=_("API keys")),
    AccountPage(name="usage", label=_("Usage")),
    AccountPage(name="billing", label=_("Billing")),
    AccountPage(name="alerts", label=_("Alerts")),
    AccountPage(name="audit", label=_("Audit log"), act=Act.SEE_AUDIT),
    AccountPage(name="security", label=_("Sign-in"), also_below="/auth/"),
)


@register.inclusion_tag("partials/_account_tabs.html", takes_context=True)
def account_tabs(context: RequestContext) -> dict[str, Any]:
    """All of them as tabs; `current` says where the visitor is: "page" there, "true" below it."""
    request = context.get("request")
    path = request.path if request else ""
    tabs = []
    membership = membership_of(request) if request else None
    for page in PAGES:
        if page.act and not (membership and may(membership, page.act)):
            continue
        url = reverse(page.name)
        is_below = path.startswith((url, page.also_below or url))
        current = "page" if path == url else "true" if is_below else ""
        tabs.append({"url": url, "label": page.label, "current": current})
    return {"tabs": tabs}


@register.filter
def of_provider(connected: dict[str, list[Any]], provider: str) -> list[Any]:
    """Somebody's connections with one other site."""
    return connected.get(provider, [])


@register.inclusion_tag("partials/_account_menu_links.html")
def account_menu_links() -> dict[str, Any]:
    """Those of the menu that every page has."""
    shown = [page for page in PAGES if page.in_menu and page.act is None]
    return {"links": [{"url": reverse(page.name), "label": page.label} for page in shown]}
