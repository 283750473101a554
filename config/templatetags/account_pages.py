"""The pages of the account area, declared once: tabs on a wide page, entries of the menu."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.current import membership_of, memberships_of
from accounts.roles import Act, may
from config.contact import contact_about

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
    AccountPage(name="keys", label=_("API keys"), act=Act.SEE_KEYS),
    AccountPage(name="usage", label=_("Usage"), act=Act.SEE_USAGE),
    AccountPage(name="billing", label=_("Billing"), act=Act.SEE_MONEY),
    AccountPage(name="alerts", label=_("Alerts"), act=Act.SEE_ALERTS),
    AccountPage(name="team", label=_("Team"), act=Act.SEE_PEOPLE),
    AccountPage(name="audit", label=_("Audit log"), in_menu=False, act=Act.SEE_AUDIT),
    AccountPage(name="security", label=_("Sign-in"), also_below="/auth/"),
)


@register.inclusion_tag("partials/_account_tabs.html", takes_context=True)
def account_tabs(context: RequestContext) -> dict[str, Any]:
    """Those that the visitor may see as tabs; `current`: "page" on one, "true" below it."""
    request = context.get("request")
    path = request.path if request else ""
    tabs = []
    for page in _shown_to(request):
        url = reverse(page.name)
        is_below = path.startswith((url, page.also_below or url))
        current = "page" if path == url else "true" if is_below else ""
        tabs.append({"url": url, "label": page.label, "current": current})
    return {"tabs": tabs}


@register.simple_tag
def contact(subject: str) -> str:
    """Where one writes to about something."""
    return contact_about(str(subject))


@register.filter
def of_provider(connected: dict[str, list[Any]], provider: str) -> list[Any]:
    """Somebody's connections with one other site."""
    return connected.get(provider, [])


@register.inclusion_tag("partials/_account_menu_links.html", takes_context=True)
def account_menu_links(context: RequestContext) -> dict[str, Any]:
    """Those of the menu that every page has."""
    shown = [page for page in _shown_to(context.get("request")) if page.in_menu]
    return {"links": [{"url": reverse(page.name), "label": page.label} for page in shown]}


@register.inclusion_tag("partials/_account_switcher.html", takes_context=True)
def account_switcher(context: RequestContext) -> dict[str, Any]:
    """The other accounts of the visitor, and the way to one more."""
    request = context.get("request")
    if request is None:
        return {}
    current = membership_of(request)
    others = [place for place in memberships_of(request) if place != current]
    return {"others": others, "path": request.path}


def _shown_to(request: HttpRequest | None) -> list[AccountPage]:
    membership = membership_of(request) if request else None
    return [
        page
        for page in PAGES
        if page.act is None or (membership is not None and may(membership, page.act))
    ]
