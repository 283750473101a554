"""Who acts now, and from where: said once at the door, and known wherever something is done.

Nothing here knows models or settings, so that whatever starts first may say it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Via(StrEnum):
    """By which way something was done."""

    PAGE = "page"  # a person, on a page of the account
    STAFF = "staff"  # a person, in the admin
    KEY = "key"  # a program with a key
    COMMAND = "command"  # an operator, on the command line
    ITSELF = "itself"  # nobody: the site, by what it was told before


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts. user: asked for only when it is needed; a person of ours, or None.

    name: of what is no person: a command, a key. ip, client: "" where there is none.
    """

    via: Via
    user: Callable[[], Any] = lambda: None
    name: str = ""
    ip: str = ""
    client: str = ""


_NOBODY = Acting(Via.ITSELF)
_acting: ContextVar[Acting] = ContextVar("acting", default=_NOBODY)


def acting_now() -> Acting:
    """Who acts."""
    return _acting.get()


@contextmanager
def acting(who: Acting) -> Iterator[None]:
    """Whatever is done meanwhile, is done by them."""
    before = _acting.set(who)
    try:
        yield
    finally:
        _acting.reset(before)
