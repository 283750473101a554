"""Lists of the admin that stay quick, however many rows there are.

They count no further than anybody reads, find rows by what an index has, and are in an order that
one has, too. How this is held: `tests/site/test_admin_lists.py`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar, cast

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Field, Min, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.beginnings import begins_with
from accounts.finding import HOW_ACCOUNTS_ARE_FOUND, accounts_found
from accounts.numbers import thousands

COUNTED_AT_MOST = 10_000
_MONTHS_SHOWN = 12

M = TypeVar("M", bound=Model)

# What stands over the filter by a moment, by what of its field's name is left.
_PERIODS = {
    "date joined": _("date joined"),
    "occurred": pgettext_lazy("when", "occurred"),
    "created": pgettext_lazy("when", "created"),
    "received": pgettext_lazy("when", "received"),
    "starts": pgettext_lazy("when", "starts"),
    "expires": pgettext_lazy("when", "expires"),
    "ends": pgettext_lazy("when", "ends"),
    "ended": pgettext_lazy("when", "ended"),
    "closed": pgettext_lazy("when", "closed"),
    "started": pgettext_lazy("when", "started"),
    "first seen": pgettext_lazy("when", "first seen"),
}


class AtLeast(int):
    """A number that was counted no further; it reads “10,000+”."""

    def __str__(self) -> str:
        return f"{thousands(int(self))}+"


class BoundedPaginator(Paginator[Any]):
    """Pages of the first so many rows; what is behind them is found by search and filters."""

    @cached_property
    def count(self) -> int:
        # Still in its order: the index that shows the first rows counts them, too.
        rows = cast("QuerySet[Any]", self.object_list).values("pk")
        counted = rows[: COUNTED_AT_MOST + 1].count()
        return AtLeast(COUNTED_AT_MOST) if counted > COUNTED_AT_MOST else int(counted)


class OneOrder(ChangeList):
    """Rows in the order that an index has, whatever an address asks for; its end is unique."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return list(self.model_admin.get_ordering(request))


class LargeListAdmin(admin.ModelAdmin[M]):
    """For tables that grow without end.

    search_fields: looked for in all the words at once. "^name" is how a text begins, whatever its
    case, and has a `beginnings_index`; any other is the whole value.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    # They count all rows for every choice of every filter.
    show_facets = admin.ShowFacets.NEVER
    sortable_by: ClassVar[tuple[str, ...] | None] = ()

    def get_ordering(self, request: HttpRequest) -> list[Any] | tuple[Any, ...]:
        return super().get_ordering(request) or tuple(self.opts.ordering or ("-pk",))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OneOrder

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        words = search_term.strip()
        if not words:
            return queryset, False
        found = self.found_elsewhere(request, words)
        for field in self.get_search_fields(request):
            found |= self._found(str(field), words)
        # No condition at all would be everything.
        return (queryset.filter(found) if found else queryset.none()), False

    def found_elsewhere(self, request: HttpRequest, words: str) -> Q:
        """A condition for rows that are found by what stands in other tables."""
        return Q()

    def _found(self, field: str, words: str) -> Q:
        if field.startswith("^"):
            return begins_with(field.removeprefix("^"), words)
        try:
            # What can be no number is none.
            cast("Field[Any, Any]", self.opts.get_field(field)).to_python(words)
        except ValidationError:
            return Q()
        return Q((field, words))


class OfAccountsAdmin(LargeListAdmin[M]):
    """Rows with an `account` are found by what accounts are found by."""

    search_fields: ClassVar[tuple[str, ...]] = ("account",)
    search_help_text: ClassVar[Any] = HOW_ACCOUNTS_ARE_FOUND
    list_select_related: ClassVar[Any] = ("account",)

    def found_elsewhere(self, request: HttpRequest, words: str) -> Q:
        return Q(account__in=accounts_found(words))


def in_period(field: str) -> type[admin.SimpleListFilter]:
    """A filter by months and years of a moment that an index has; it asks for the first only."""
    words = field.removesuffix("_at").replace("_", " ")

    class Period(admin.SimpleListFilter):
        """Rows of one month of the last year, or of one year."""

        title = _PERIODS.get(words, words)
        parameter_name = f"{field}_in"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            now = timezone.now()
            rows = model_admin.model._default_manager  # noqa: SLF001 - Django documents it
            first = rows.aggregate(first=Min(field))["first"] or now
            month = now.replace(day=1)
            months: list[tuple[str, str]] = []
            while len(months) < _MONTHS_SHOWN and (month.year, month.month) >= (
                first.year,
                first.month,
            ):
                months.append((f"{month:%Y-%m}", date_format(month, "F Y")))
                month = (month - timedelta(days=1)).replace(day=1)
            years = range(now.year, first.year - 1, -1)
            return [*months, *((str(year), str(year)) for year in years)]

        def queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> QuerySet[M]:
            chosen = self.value()
            if chosen not in dict(self.lookup_choices):
                return queryset
            begins, ends = _period(chosen)
            return queryset.filter((f"{field}__gte", begins), (f"{field}__lt", ends))

    return Period


def _period(text: str) -> tuple[datetime, datetime]:
    """Where a month “2026-11” or a year “2026” begins and ends."""
    year, _, month = text.partition("-")
    begins = datetime(int(year), int(month or 1), 1, tzinfo=UTC)
    if not month:
        return begins, begins.replace(year=begins.year + 1)
    return begins, (begins + timedelta(days=31)).replace(day=1)
