"""Every address of the site, read from the URL configuration itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True)
class Address:
    """One address: its name (or the pattern, where there is no name), pattern and view."""

    name: str
    pattern: str
    view: Callable[..., HttpResponse]


def every_address() -> list[Address]:
    """All of them, in the order in which they are tried."""
    return list(_walk(get_resolver().url_patterns))


def every_url() -> dict[str, str]:
    """Name to pattern."""
    return {address.name: address.pattern for address in every_address()}


def _walk(
    patterns: Sequence[URLPattern | URLResolver], prefix: str = "", namespace: str = ""
) -> Iterator[Address]:
    for entry in patterns:
        pattern = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry.url_patterns, pattern, inner)
        else:
            yield Address(f"{namespace}{entry.name or pattern}", pattern, entry.callback)
