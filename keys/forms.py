from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.names import NameFormField
from accounts.pace import PaceForm
from gate.terms import addresses
from keys.issue import KeyLimits
from keys.models import READ_USAGE, ApiKey

ADDRESSES_AT_MOST = 20


# Dates of PostgreSQL and of Python reach further than what is passed on to the gate.
_LAST_YEAR = 2200
_ON_A_DAY, _AS_IT_IS = "day", "same"
_TIMES = [
    ("", _("Never")),
    ("7", _("In 7 days")),
    ("30", _("In 30 days")),
    ("90", _("In 90 days")),
    ("365", _("In a year")),
    (_ON_A_DAY, _("On a day")),
]


class KeyForm(PaceForm):
    """What a key is called and may do less than its account."""

    field_order = ("name", "expires_in", "expires_on", "weekly_cap")

    name = NameFormField(
        longest=80,
        label=_("Name"),
        help_text=_("Where will you use it? For example “production” or “laptop”."),
        error_messages={
            "required": _("Give the key a name, so that you recognise it later."),
        },
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "production"}),
    )
    expires_in = forms.ChoiceField(
        choices=_TIMES,
        required=False,
        label=_("Expires"),
        error_messages={"invalid_choice": _("Choose one of the times.")},
    )
    expires_on = forms.DateField(
        required=False,
        label=_("Day"),
        help_text=_("For “On a day”: the last one on which it works, in UTC."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": _("Give a day, as 2027-01-31.")},
    )
    weekly_cap = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=1_000_000_000,
        label=_("Chats a week"),
        help_text=_("Empty: as many as the account has."),
        error_messages=dict.fromkeys(
            ("invalid", "min_value", "max_value"),
            _("Give a whole number of chats, 0 to 1,000,000,000, or leave it empty."),
        ),
    )
    addresses = forms.CharField(
        required=False,
        max_length=2_000,
        label=_("Addresses"),
        help_text=_("One to a line, as 192.0.2.7 or 2001:db8::/32. Empty: anywhere."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    reads_usage = forms.BooleanField(
        required=False,
        label=_("May read this account’s usage"),
        help_text=_(
            "By GET /api/v1/usage (scope usage:read). With 0 chats a week it can do no more."
        ),
    )

    def clean_addresses(self) -> tuple[str, ...]:
        """Networks in CIDR form."""
        lines = [line.strip() for line in self.cleaned_data["addresses"].splitlines()]
        try:
            # One that stands there twice is one.
            networks = list(dict.fromkeys(map(addresses.read_network, filter(None, lines))))
        except addresses.CannotReadNetwork as error:
            raise forms.ValidationError(_(error.sentence), params=error.gaps) from None
        if len(networks) > ADDRESSES_AT_MOST:
            raise forms.ValidationError(
                _("A key may name %(count)s networks at most."), params={"count": ADDRESSES_AT_MOST}
            )
        return tuple(networks)

    def clean(self) -> dict[str, Any]:
        """A day is given where one is asked for, and has not begun yet."""
        if self.cleaned_data.get("expires_in") != _ON_A_DAY or "expires_on" in self.errors:
            return self.cleaned_data
        day = self.cleaned_data.get("expires_on")
        if day is None:
            self.add_error("expires_on", _("Give the day."))
        elif day < timezone.now().date():
            self.add_error("expires_on", _("This day is over. Give one that is not."))
        elif day.year >= _LAST_YEAR:
            self.add_error("expires_on", _("That is too far away. Choose “Never” instead."))
        return self.cleaned_data

    def _expires_at(self, *, at: datetime) -> datetime | None:
        chosen = self.cleaned_data["expires_in"]
        if chosen == _ON_A_DAY:
            # “Until” a day is with it.
            return datetime.combine(self.cleaned_data["expires_on"], time(23, 59, 59), tzinfo=UTC)
        return at + timedelta(days=int(chosen)) if chosen else None

    def limits(self, *, at: datetime) -> KeyLimits:
        """What the key may do less than its account."""
        return KeyLimits(
            expires_at=self._expires_at(at=at),
            weekly_cap=self.cleaned_data["weekly_cap"],
            scopes=(READ_USAGE,) if self.cleaned_data["reads_usage"] else (),
            addresses=self.cleaned_data["addresses"],
            requests_a_minute=self.cleaned_data["requests_a_minute"],
            requests_at_once=self.cleaned_data["requests_at_once"],
        )


class NewKeyForm(KeyForm):
    """Asks for a new key; `submission` makes a repeated submit harmless."""

    submission = forms.UUIDField(
        widget=forms.HiddenInput,
        initial=uuid4,
        error_messages={
            "required": _("The form was incomplete. Nothing was created; try again."),
            "invalid": _("The form was damaged. Nothing was created; try again."),
        },
    )

    def clean(self) -> dict[str, Any]:
        """A hidden field has no place for its error, and what is damaged must not come back."""
        super().clean()
        errors = self.errors.pop("submission", None)
        if errors is not None:
            self.add_error(None, errors.as_data())
            kept = [name for name in self.fields if name != "submission"]
            self.data = {name: self.data.get(name, "") for name in kept}
            self.data["submission"] = uuid4()
        return self.cleaned_data


class EditKeyForm(KeyForm):
    """What a key that there is is called and may do from now on."""

    def __init__(self, data: QueryDict | None, *, key: ApiKey) -> None:
        super().__init__(
            data,
            initial={
                "name": key.name,
                "expires_in": "" if key.expires_at is None else _AS_IT_IS,
                "weekly_cap": key.weekly_cap,
                "addresses": "\n".join(key.addresses),
                "reads_usage": key.reads_usage,
                "requests_a_minute": key.requests_a_minute,
                "requests_at_once": key.requests_at_once,
            },
        )
        self._key = key
        if key.expires_at is not None:
            expires_in = cast("forms.ChoiceField", self.fields["expires_in"])
            expires_in.choices = [(_AS_IT_IS, _as_it_is(key.expires_at)), *_TIMES]

    def _expires_at(self, *, at: datetime) -> datetime | None:
        if self.cleaned_data["expires_in"] == _AS_IT_IS:
            return self._key.expires_at
        return super()._expires_at(at=at)

    def limits(self, *, at: datetime) -> KeyLimits:
        """What it may do less than its account; the meters that it is bound to stay."""
        wanted = super().limits(at=at)
        return replace(wanted, scopes=(*self._key.meters, *wanted.scopes))


def _as_it_is(ends: datetime) -> str:
    day = date_format(ends, "DATE_FORMAT")
    return gettext("As it is: until %(day)s") % {"day": day}


class RevokeForm(forms.Form):
    """Why a key is revoked."""

    note = forms.CharField(
        required=False,
        max_length=200,
        label=_("Why?"),
        help_text=_("If you like: it is kept with the key, for whoever asks later."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
