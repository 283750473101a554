"""Lists by pages, in an order that stays, by addresses that can be shared.

A page is what follows a place in the list, and not a number: nothing is counted, the last page
costs what the first one does, and a row that is added moves nothing that somebody reads.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar, cast
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

PAGE_ROWS = 50
_AFTER, _BEFORE = "after", "before"
# A moment to the microsecond and the number of a row; a UUID where rows are numbered so.
_PLACE = re.compile(
    r"([0-9]{8}T[0-9]{6}\.[0-9]{6})Z-([0-9]{1,18}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)
_MOMENT = "%Y%m%dT%H%M%S.%f"

M = TypeVar("M", bound=Model)
Row = TypeVar("Row")
Other = TypeVar("Other")


class CannotReadPlace(Exception):
    """An address says no place in the list."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: its moment, and its number among those of the same moment."""

    moment: datetime
    pk: Any

    def __str__(self) -> str:
        return f"{self.moment.astimezone(UTC):{_MOMENT}}Z-{self.pk}"

    @classmethod
    def read(cls, text: str, *, model: type[Model]) -> Self:
        """The place that `str` of one says. Raises CannotReadPlace."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise CannotReadPlace
        numbered_by = model._meta.pk  # noqa: SLF001 - Django documents it
        try:
            moment = datetime.strptime(found[1], _MOMENT).replace(tzinfo=UTC)
            return cls(moment, numbered_by.to_python(found[2]))
        except (ValueError, ValidationError) as error:
            raise CannotReadPlace from error

    def older(self, moment: str) -> Q:
        """Rows behind it, the newest first. The first condition is what an index reads."""
        behind = Q((f"{moment}__lt", self.moment)) | Q(pk__lt=self.pk)
        return Q((f"{moment}__lte", self.moment)) & behind

    def newer(self, moment: str) -> Q:
        """Rows before it."""
        before = Q((f"{moment}__gt", self.moment)) | Q(pk__gt=self.pk)
        return Q((f"{moment}__gte", self.moment)) & before


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[Row]):
    """Some rows of a list, the newest first, and the ways to its other pages.

    first, newer, older: what an address has after its path, "" for no page. is_lost: the address
    is damaged, or nothing is behind its place any more.
    """

    rows: Sequence[Row]
    first: str
    newer: str = ""
    older: str = ""
    is_lost: bool = False

    def of(self, shown: Callable[[Row], Other]) -> "ListPage[Other]":
        """The same page of what is shown of its rows."""
        page = cast("ListPage[Any]", self)
        return replace(page, rows=[shown(row) for row in self.rows])


def page_of(
    rows: QuerySet[M],
    asked: Mapping[str, str],
    *,
    kept: Mapping[str, str],
    moment: str = "created_at",
    at_most: int = PAGE_ROWS,
) -> ListPage[M]:
    """The page of these rows that an address asks for by `after` or `before` a place.

    kept: what else its address says, and the other pages' must say, too. moment: the field that
    orders the rows; it is never empty, and an index has it.
    """
    first = f"?{urlencode(kept)}" if kept else ""
    after, before = asked.get(_AFTER), asked.get(_BEFORE)
    # Two places at once are none either.
    text = f"{after}{before}" if after and before else after or before
    try:
        start = Place.read(text, model=rows.model) if text else None
    except CannotReadPlace:
        return ListPage(rows=[], first=first, is_lost=True)

    def page(shown: Sequence[M], *, newer: bool, older: bool, is_lost: bool = False) -> ListPage[M]:
        def way(direction: str, row: M) -> str:
            place = Place(getattr(row, moment), row.pk)
            return f"?{urlencode({**kept, direction: str(place)})}"

        return ListPage(
            rows=shown,
            first=first,
            newer=way(_BEFORE, shown[0]) if shown and newer else "",
            older=way(_AFTER, shown[-1]) if shown and older else "",
            is_lost=is_lost,
        )

    # One more than is shown tells whether there are others.
    if start is not None and before:
        found = list(rows.filter(start.newer(moment)).order_by(moment, "pk")[: at_most + 1])
        if len(found) > at_most:
            return page(found[:at_most][::-1], newer=True, older=True)
        # The newest rows are a whole page, however few of them stand before the place.
        start = None
    if start is not None:
        rows = rows.filter(start.older(moment))
    found = list(rows.order_by(f"-{moment}", "-pk")[: at_most + 1])
    goes_on = start is not None
    return page(
        found[:at_most],
        newer=goes_on,
        older=len(found) > at_most,
        is_lost=goes_on and not found,
    )


def of_kind_between(
    rows: QuerySet[M],
    *,
    kind: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[M]:
    """Those of the rows that are of one kind, "" is any, and were made from `since` to `until`.

    For models with `kind` and `created_at`. What was made at `until` itself is not among them.
    """
    if kind:
        rows = rows.filter(kind=kind)
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    if until is not None:
        rows = rows.filter(created_at__lt=until)
    return rows


class FilterForm(forms.Form):
    """What narrows a list down. An address says it, so that what is seen can be shared."""

    @property
    def kept(self) -> dict[str, str]:
        """What the list is narrowed down by, as addresses say it."""
        names = [self.add_prefix(name) for name in self.fields]
        return {name: self.data[name] for name in names if self.data.get(name)}

    @property
    def address(self) -> str:
        """The same as an address has it behind its question mark."""
        return urlencode(self.kept)
