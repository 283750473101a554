"""Stands for allauth's tags of the same names where it knows no other site: templates are read."""

from django import template

register = template.Library()


@register.simple_tag
def get_providers() -> list[object]:
    """Those that the operator has set."""
    return []


@register.simple_tag
def get_social_accounts(_user: object) -> dict[str, object]:
    """Those that somebody has connected."""
    return {}


@register.simple_tag
def provider_login_url(_provider: object, **_how: object) -> str:
    """Where signing in by one begins."""
    return ""
