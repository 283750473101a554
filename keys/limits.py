"""What a key may do less than its account, and where it is used: listed once.

Each is a column of `ApiKey` by the same name. Whatever makes, changes or tells all of them goes by
this list, so that none is forgotten anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

_LISTS = ("scopes", "addresses", "only_models")
# Chats, of a day, a week, a calendar month and in all.
CAPS = ("daily_cap", "weekly_cap", "monthly_cap", "total_cap")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """Networks in CIDR form; None is no limit."""

    environment: str = ""
    expires_at: datetime | None = None
    daily_cap: int | None = None
    weekly_cap: int | None = None
    monthly_cap: int | None = None
    total_cap: int | None = None
    scopes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    requests_a_minute: int | None = None
    requests_at_once: int | None = None
    only_models: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: Any) -> Self:
        """Those that a key has."""
        values: dict[str, Any] = {name: getattr(key, name) for name in LIMITS}
        return cls(**{**values, **{name: tuple(values[name]) for name in _LISTS}})

    def columns(self) -> Mapping[str, Any]:
        """As the key keeps them."""
        values = {name: getattr(self, name) for name in LIMITS}
        return {**values, **{name: list(values[name]) for name in _LISTS}}


LIMITS = tuple(field.name for field in fields(KeyLimits))
NO_LIMITS = KeyLimits()
