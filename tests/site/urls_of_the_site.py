"""Every address of the site, read from the URL configuration itself."""

from collections.abc import Iterator, Sequence

from django.urls import URLPattern, URLResolver, get_resolver


def every_url() -> dict[str, str]:
    """Name (or the pattern, where there is no name) to pattern."""
    return dict(_walk(get_resolver().url_patterns))


def _walk(
    patterns: Sequence[URLPattern | URLResolver], prefix: str = "", namespace: str = ""
) -> Iterator[tuple[str, str]]:
    for entry in patterns:
        pattern = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry.url_patterns, pattern, inner)
        else:
            yield f"{namespace}{entry.name or pattern}", pattern
