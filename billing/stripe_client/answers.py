"""Reading answers of Stripe: exactly as documented, or not at all."""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import stripe
from django.conf import settings

from billing.stripe_client.errors import StripeUnavailable

logger = logging.getLogger(__name__)


def unusable(why: str) -> StripeUnavailable:
    """What is raised where an answer is not as documented; it is in the log."""
    logger.error("an answer of Stripe cannot be used: %s", why)
    return StripeUnavailable(f"unusable answer: {why}")


def fields_of(answer: object, kind: str) -> Mapping[str, Any]:
    """What an answer has, if it is an object of this kind."""
    fields = answer.to_dict() if isinstance(answer, stripe.StripeObject) else None
    if not isinstance(fields, dict) or fields.get("object") != kind:
        raise unusable(f"not a {kind}")
    return fields


def inside(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within another."""
    value = fields.get(name)
    if not isinstance(value, dict):
        raise unusable(name)
    return value


def rows_of(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    rows = fields.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise unusable("data")
    return rows


def object_id(fields: Mapping[str, Any], prefix: str) -> str:
    """The id of an object, which begins with the sign of its kind."""
    value = fields.get("id")
    if not isinstance(value, str) or not re.fullmatch(rf"{prefix}_[A-Za-z0-9_-]{{1,240}}", value):
        raise unusable("id")
    return value


def optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    """A text or None."""
    value = fields.get(name)
    if not isinstance(value, str | None):
        raise unusable(name)
    return value


def one_of(fields: Mapping[str, Any], name: str, choices: set[str]) -> str:
    """One of the states that are documented."""
    value = fields.get(name)
    if not isinstance(value, str) or value not in choices:
        raise unusable(name)
    return value


def flag(fields: Mapping[str, Any], name: str) -> bool:
    """True or false."""
    value = fields.get(name)
    if not isinstance(value, bool):
        raise unusable(name)
    return value


def amount(fields: Mapping[str, Any], name: str) -> int | None:
    """Of money, in the smallest unit of its currency; never below zero."""
    value = fields.get(name)
    if value is not None and (type(value) is not int or not 0 <= value < 2**31):
        raise unusable(name)
    return value


def currency(fields: Mapping[str, Any]) -> str | None:
    """As three small letters."""
    value = optional_text(fields, "currency")
    if value is not None and not re.fullmatch(r"[a-z]{3}", value):
        raise unusable("currency")
    return value


def moment_number(fields: Mapping[str, Any], name: str) -> int:
    """A moment as Stripe writes it, in seconds since 1970."""
    value = fields.get(name)
    # Until the year 2100.
    if type(value) is not int or not 0 < value < 4_102_444_800:
        raise unusable(name)
    return value


def moment(fields: Mapping[str, Any], name: str) -> datetime:
    """A moment, in UTC."""
    return datetime.fromtimestamp(moment_number(fields, name), UTC)


def metadata(fields: Mapping[str, Any]) -> Mapping[str, str]:
    """What we or others wrote to an object."""
    value = fields.get("metadata") or {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise unusable("metadata")
    return value


def web_address(fields: Mapping[str, Any], name: str) -> str | None:
    """Where a browser can be sent."""
    value = optional_text(fields, name)
    if value is not None and not _is_web_address(value):
        raise unusable(name)
    return value


def link_of_stripe(fields: Mapping[str, Any], name: str) -> str:
    """Where customers may be led besides: a page of Stripe's own; "" for anything else.

    What is not one is no reason to doubt the rest.
    """
    value = fields.get(name)
    if not isinstance(value, str) or not _is_web_address(value):
        return ""
    parts = urlsplit(value)
    host = parts.hostname or ""
    if parts.scheme == "https" and (host == "stripe.com" or host.endswith(".stripe.com")):
        return value
    if settings.STRIPE_IS_SANDBOX and _origin(value) in {
        _origin(settings.STRIPE_CHECKOUT_ORIGIN),
        _origin(settings.STRIPE_API_BASE or ""),
    }:
        return value
    logger.warning("an address of Stripe leads somewhere else, and is not linked: %s", name)
    return ""


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _is_web_address(value: str) -> bool:
    if not (value.isascii() and value.isprintable()) or " " in value:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
