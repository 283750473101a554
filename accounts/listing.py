"""Finding rows of a list among many: by kind and by day."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.paging import FilterForm

# Before and after these years there is nothing, and no arithmetic of days goes wrong.
_YEARS = range(2000, 2101)


def _check_year(day: date) -> None:
    if day.year not in _YEARS:
        raise ValidationError(
            _("Choose a year between %(first)s and %(last)s."),
            params={"first": _YEARS[0], "last": _YEARS[-1]},
        )


def _day_field(label: StrOrPromise) -> forms.DateField:
    return forms.DateField(
        required=False,
        label=label,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        validators=[_check_year],
        error_messages={"invalid": _("Write a day that exists, as 2026-11-29.")},
    )


class KindAndDays(FilterForm):
    """Rows of one kind, made on some days in UTC, the first and the last included."""

    kind = forms.ChoiceField(
        required=False,
        label=_("Kind"),
        error_messages={"invalid_choice": _("Choose one of the kinds.")},
    )
    since = _day_field(_("From"))
    until = _day_field(_("To"))

    def __init__(self, asked: QueryDict, *, kinds: Iterable[tuple[str, StrOrPromise]]) -> None:
        super().__init__(asked.dict())
        kind = cast("forms.ChoiceField", self.fields["kind"])
        kind.choices = list(kinds)

    def add_prefix(self, field_name: str) -> str:
        """Addresses say what people would, of which Python has one word for itself."""
        return {"since": "from", "until": "to"}.get(field_name, field_name)

    def clean(self) -> dict[str, Any]:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            self.add_error("until", _("This day is before the first one."))
        return self.cleaned_data

    @property
    def since_at(self) -> datetime | None:
        """The moment that they begin at; None is at any."""
        return _begin_of(self.cleaned_data["since"])

    @property
    def until_at(self) -> datetime | None:
        """The moment that they end before."""
        until = self.cleaned_data["until"]
        return _begin_of(until + timedelta(days=1)) if until else None


def _begin_of(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
