"""Tables as CSV files, sent some rows at a time: nothing is held while a reader is slow."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from django.core.cache import cache
from django.utils.translation import gettext

from accounts.models import Account

CSV = "text/csv; charset=utf-8"
# What spreadsheets take for a formula at the beginning of a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
# An export that gives no sign of life for so long has ended.
_SILENT_SECONDS = 60


class CannotExport(Exception):
    """Why not, and what to do."""


def as_csv(head: Sequence[str], parts: Iterable[Iterable[Sequence[object]]]) -> Iterator[str]:
    """Rows as CSV, with a head; texts that a spreadsheet would run are defused by “'”."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(head)
    for some in parts:
        writer.writerows(map(_defused, some))
        yield written.getvalue()
        written.seek(0)
        written.truncate()
    # A table without rows has a head all the same.
    yield written.getvalue()


def _defused(row: Sequence[object]) -> tuple[object, ...]:
    return tuple(
        "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value
        for value in row
    )


def alone(account: Account, parts: Iterator[str], *, of: str) -> Iterator[str]:
    """The same, and nobody else's: an account has one export of a list at a time.

    CannotExport at once where there is another. One whose reader goes away has ended.
    """
    return alone_for(account.handle, parts, of=of)


def alone_for(whose: str, parts: Iterator[str], *, of: str) -> Iterator[str]:
    """The same of whoever has this name."""
    name = f"export:{whose}:{of}"
    if not cache.add(name, 1, timeout=_SILENT_SECONDS):
        raise CannotExport(
            gettext("Another export of this account is under way. Try again when it ended.")
        )
    return _alone(name, parts)


def _alone(name: str, parts: Iterator[str]) -> Iterator[str]:
    try:
        for part in parts:
            cache.touch(name, _SILENT_SECONDS)
            yield part
    finally:
        cache.delete(name)
