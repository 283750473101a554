"""What keys may be used for: the endpoints of the API, by their meters, and what reads or manages.

The gate knows meters only, and refuses a key whose scopes name others. A key that is there for
something else than calls is refused there by a scope that no meter is called by: a slug has no “:”.
"""

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext_lazy as _

# Those of the public API, as pages and programs choose from them. An operator may add others.
METERS = ("chat", "images", "voice")
METER_NAMES = {"chat": _("Chats"), "images": _("Images"), "voice": _("Voice")}
READ_QUOTA = "quota:read"
READ_USAGE = "usage:read"
MANAGE_KEYS = "keys:manage"
BESIDE_METERS = (READ_QUOTA, READ_USAGE, MANAGE_KEYS)
ALL = (*METERS, *BESIDE_METERS)


def meters_of(scopes: Iterable[str]) -> tuple[str, ...]:
    """The meters among scopes."""
    return tuple(scope for scope in scopes if scope not in BESIDE_METERS)


def known_to_gate(scopes: Sequence[str]) -> tuple[str, ...]:
    """What the gate lets a key be charged for; none is every meter.

    Without any meter a key that manages keys, or that was made to read the quota, is charged for
    nothing at all. One that reads usage besides may send what any key may: it always could.
    """
    meters = meters_of(scopes)
    if meters:
        return meters
    return next(((only,) for only in (MANAGE_KEYS, READ_QUOTA) if only in scopes), ())


def in_order(scopes: Iterable[str]) -> tuple[str, ...]:
    """The same scopes, each once, in one order: meters of an operator stand behind ours."""
    chosen = set(scopes)
    others = sorted(chosen.difference(ALL))
    ours = [scope for scope in METERS if scope in chosen]
    return (*ours, *others, *(scope for scope in BESIDE_METERS if scope in chosen))
