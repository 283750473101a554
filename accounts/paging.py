"""Lists by pages, in an order that stays, by addresses that can be shared.

A page is what follows a place in the list, and not a number: nothing is counted, the last page
costs what the first one does, and a row that is added moves nothing that somebody reads.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from gate.terms.redaction import holds_secret

if TYPE_CHECKING:
    # It imports the admin, which the gate does without.
    from django_stubs_ext import StrOrPromise

PAGE_ROWS = 50
_AFTER, _BEFORE = "after", "before"
# What the list is ordered by and the number of a row; a UUID where rows are numbered so.
_PLACE = re.compile(
    r"(.*)-([0-9]{1,18}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", flags=re.DOTALL
)
# To the microsecond.
_MOMENT = "%Y%m%dT%H%M%S.%fZ"
_MOMENT_WRITTEN = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z")
_NUMBER_WRITTEN = re.compile(r"-?[0-9]{1,18}")

M = TypeVar("M", bound=Model)
Row = TypeVar("Row")
Other = TypeVar("Other")


class CannotReadPlace(Exception):
    """An address says no place in the list."""


def _moment(text: str) -> datetime:
    if not _MOMENT_WRITTEN.fullmatch(text):
        raise CannotReadPlace
    return datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)


def _number(text: str) -> int:
    if not _NUMBER_WRITTEN.fullmatch(text):
        raise CannotReadPlace
    return int(text)


def _words(text: str) -> str:
    if not text.isprintable():
        raise CannotReadPlace
    return text


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is ordered by: a field or annotation that is never empty, the highest first.

    rises: the lowest first. is_by_age: what follows is older. read: its value as addresses write
    it.
    """

    field: str
    read: Callable[[str], Any]
    rises: bool = False
    is_by_age: bool = False

    def fields(self, *, backwards: bool = False) -> tuple[str, str]:
        """As `order_by` has it; rows that are alike follow one another as their numbers do."""
        sign = "" if self.rises is not backwards else "-"
        return f"{sign}{self.field}", f"{sign}pk"


def by_moment(field: str, *, is_by_age: bool = True) -> Order:
    """The newest first. is_by_age: the moment is the one at which rows were made."""
    return Order(field, _moment, is_by_age=is_by_age)


def by_number(field: str) -> Order:
    """The highest first."""
    return Order(field, _number)


def by_words(field: str) -> Order:
    """As the database sorts texts."""
    return Order(field, _words, rises=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: what orders it, a moment mostly, and its number among those alike."""

    value: Any
    pk: Any

    def __str__(self) -> str:
        value = self.value
        if isinstance(value, datetime):
            value = f"{value.astimezone(UTC):{_MOMENT}}"
        return f"{value}-{self.pk}"

    @classmethod
    def read(cls, text: str, *, model: type[Model], value: Callable[[str], Any] = _moment) -> Self:
        """The place that `str` of one says. Raises CannotReadPlace."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise CannotReadPlace
        numbered_by = model._meta.pk  # noqa: SLF001 - Django documents it
        try:
            return cls(value(found[1]), numbered_by.to_python(found[2]))
        except (ValueError, ValidationError) as error:
            raise CannotReadPlace from error

    def older(self, field: str) -> Q:
        """Rows behind it, the highest first. The first condition is what an index reads."""
        behind = Q((f"{field}__lt", self.value)) | Q(pk__lt=self.pk)
        return Q((f"{field}__lte", self.value)) & behind

    def newer(self, field: str) -> Q:
        """Rows before it."""
        before = Q((f"{field}__gt", self.value)) | Q(pk__gt=self.pk)
        return Q((f"{field}__gte", self.value)) & before


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[Row]):
    """Some rows of a list, the newest first, and the ways to its other pages.

    first, newer, older: what an address has after its path, "" for no page. is_lost: the address
    is damaged, or nothing is behind its place any more. is_by_age: what follows is older;
    otherwise “newer” is what comes before, and “older” what follows.
    """

    rows: Sequence[Row]
    first: str
    newer: str = ""
    older: str = ""
    is_lost: bool = False
    is_by_age: bool = True

    def of(self, shown: Callable[[Row], Other]) -> "ListPage[Other]":
        """The same page of what is shown of its rows."""
        page = cast("ListPage[Any]", self)
        return replace(page, rows=[shown(row) for row in self.rows])


BY_CREATION = by_moment("created_at")


def page_of(
    rows: QuerySet[M],
    asked: Mapping[str, str],
    *,
    kept: Mapping[str, str],
    order: Order = BY_CREATION,
    at_most: int = PAGE_ROWS,
) -> ListPage[M]:
    """The page of these rows that an address asks for by `after` or `before` a place.

    kept: what else its address says, and the other pages' must say, too. order: of the rows; where
    there may be many, an index has it.
    """
    first = f"?{urlencode(kept)}" if kept else ""
    after, before = asked.get(_AFTER), asked.get(_BEFORE)
    # Two places at once are none either.
    text = f"{after}{before}" if after and before else after or before
    try:
        start = Place.read(text, model=rows.model, value=order.read) if text else None
    except CannotReadPlace:
        return ListPage(rows=[], first=first, is_lost=True, is_by_age=order.is_by_age)

    def page(shown: Sequence[M], *, newer: bool, older: bool, is_lost: bool = False) -> ListPage[M]:
        def way(direction: str, row: M) -> str:
            place = Place(getattr(row, order.field), row.pk)
            return f"?{urlencode({**kept, direction: str(place)})}"

        return ListPage(
            rows=shown,
            first=first,
            newer=way(_BEFORE, shown[0]) if shown and newer else "",
            older=way(_AFTER, shown[-1]) if shown and older else "",
            is_lost=is_lost,
            is_by_age=order.is_by_age,
        )

    def beyond(place: Place, *, is_behind: bool) -> Q:
        # What rises has the lower ones before it.
        is_lower = is_behind is not order.rises
        return place.older(order.field) if is_lower else place.newer(order.field)

    # One more than is shown tells whether there are others.
    if start is not None and before:
        found = rows.filter(beyond(start, is_behind=False))
        nearest = list(found.order_by(*order.fields(backwards=True))[: at_most + 1])
        if len(nearest) > at_most:
            return page(nearest[:at_most][::-1], newer=True, older=True)
        # The first rows are a whole page, however few of them stand before the place.
        start = None
    if start is not None:
        rows = rows.filter(beyond(start, is_behind=True))
    listed = list(rows.order_by(*order.fields())[: at_most + 1])
    goes_on = start is not None
    return page(
        listed[:at_most],
        newer=goes_on,
        older=len(listed) > at_most,
        is_lost=goes_on and not listed,
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


class WordsForm(FilterForm):
    """A filter whose field `q`, made by `words_field`, holds words: no key belongs among them."""

    # What is said of a key.
    search_instead: ClassVar["StrOrPromise"]

    def clean_q(self) -> str:
        """Whatever holds a key is not shown again."""
        words: str = self.cleaned_data["q"]
        if holds_secret(words):
            self.data = {**self.data, "q": ""}
            raise ValidationError(self.search_instead)
        return words


def words_field(label: "StrOrPromise", *, title: "StrOrPromise") -> forms.CharField:
    """Words to search for. They stand in an address, so that a browser sends no key."""
    return forms.CharField(
        required=False,
        max_length=80,
        label=label,
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "autocomplete": "off",
                "pattern": "(?!.*sk_[0-9A-Za-z]{16}).*",
                "title": title,
            }
        ),
    )
