from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.budgets import BudgetForm, cap_field, in_vain
from accounts.names import NameFormField
from accounts.pace import PaceForm
from gate.terms import addresses
from gate.terms.budget import Budget
from keys import scopes
from keys.allowed import ALL_ALLOWED, Allowed
from keys.limits import CAPS, KeyLimits
from keys.models import ApiKey

ADDRESSES_AT_MOST = 20
ENVIRONMENT_LONGEST = 20


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


class KeyForm(BudgetForm, PaceForm):
    """What a key is called and may do less than its account."""

    field_order = ("name", "environment", "expires_in", "expires_on", *CAPS)

    name = NameFormField(
        longest=80,
        label=_("Name"),
        help_text=_("Where will you use it? For example “production” or “laptop”."),
        error_messages={
            "required": _("Give the key a name, so that you recognise it later."),
        },
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "production"}),
    )
    environment = NameFormField(
        longest=ENVIRONMENT_LONGEST,
        required=False,
        label=_("Environment"),
        help_text=_("If you like, in a word: “production”, “staging”. The list shows it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
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
    total_cap = cap_field(_("Chats in all"), _("As long as the key lives."))
    addresses = forms.CharField(
        required=False,
        max_length=2_000,
        label=_("Addresses"),
        help_text=_("One to a line, as 192.0.2.7 or 2001:db8::/32. Empty: anywhere."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    meters = forms.MultipleChoiceField(
        required=False,
        choices=list(scopes.METER_NAMES.items()),
        widget=forms.CheckboxSelectMultiple,
        label=_("May be used for"),
        help_text=_("None ticked: everything that the plan has."),
        error_messages={"invalid_choice": _("There is no “%(value)s” to choose.")},
    )
    only_models = forms.MultipleChoiceField(
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Models"),
        help_text=_("That it may ask. None ticked: all that the plan has, also those to come."),
        error_messages={"invalid_choice": _("There is no “%(value)s” to choose.")},
    )
    reads_quota = forms.BooleanField(
        required=False,
        label=_("May read what is left"),
        help_text=_(
            "By GET /api/v1/quota (scope quota:read), as every key may. Ticked without anything to "
            "be used for, it calls no model."
        ),
    )
    reads_usage = forms.BooleanField(
        required=False,
        label=_("May read this account’s usage"),
        help_text=_(
            "By GET /api/v1/usage (scope usage:read). With 0 chats a week it can do no more."
        ),
    )
    manages_keys = forms.BooleanField(
        required=False,
        label=_("May manage this account’s keys"),
        help_text=_(
            "By /api/v1/keys (scope keys:manage): a program makes, changes and revokes keys. Such "
            "a key never calls a model."
        ),
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        may_manage: bool = True,
        allowed: Allowed = ALL_ALLOWED,
        has_now: Sequence[str] = (),
        asks_now: Sequence[str] = (),
        **more: Any,
    ) -> None:
        """may_manage: whether the person may let keys manage keys. allowed: by the plan.

        has_now, asks_now: scopes and models of a key that there is, which it keeps.
        """
        super().__init__(data, **more)
        offered: dict[str, Any] = {
            meter: name
            for meter, name in scopes.METER_NAMES.items()
            if allowed.has(meter) or meter in has_now
        }
        offered |= {meter: meter for meter in scopes.meters_of(has_now) if meter not in offered}
        meters = cast("forms.MultipleChoiceField", self.fields["meters"])
        meters.choices = list(offered.items())
        models = cast("forms.MultipleChoiceField", self.fields["only_models"])
        models.choices = [(name, name) for name in dict.fromkeys([*allowed.models, *asks_now])]
        if not models.choices:
            del self.fields["only_models"]
        if not may_manage or not (allowed.manages or scopes.MANAGE_KEYS in has_now):
            del self.fields["manages_keys"]
        asked_for = scopes.ALL if may_manage else scopes.METERS
        self.not_in_plan = allowed.in_words(allowed.lacking(asked_for))

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
        """A key manages or calls; a day is given where one is asked for, and has not begun yet."""
        if self.cleaned_data.get("manages_keys") and self.cleaned_data.get("meters"):
            self.add_error(
                "meters",
                _("A key that manages keys is used for nothing else. Make another one for calls."),
            )
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
            **{name: self.cleaned_data[name] for name in CAPS},
            scopes=self._scopes(),
            addresses=self.cleaned_data["addresses"],
            requests_a_minute=self.cleaned_data["requests_a_minute"],
            requests_at_once=self.cleaned_data["requests_at_once"],
            environment=self.cleaned_data["environment"],
            only_models=tuple(self.cleaned_data.get("only_models", ())),
        )

    @property
    def has_limit_errors(self) -> bool:
        """Whether something is wrong with what is folded away at first."""
        return bool(self.errors.keys() - {"name", "environment", "submission", NON_FIELD_ERRORS})

    @property
    def budget(self) -> Budget:
        """The same and in all."""
        return replace(super().budget, in_all=self.cleaned_data["total_cap"])

    def in_vain(self) -> list[str]:
        """Of its limits those that never stop anything, in words."""
        return list(in_vain(self.budget))

    def _scopes(self) -> tuple[str, ...]:
        ticked = {
            scopes.READ_QUOTA: self.cleaned_data["reads_quota"],
            scopes.READ_USAGE: self.cleaned_data["reads_usage"],
            scopes.MANAGE_KEYS: self.cleaned_data.get("manages_keys", False),
        }
        chosen = [scope for scope, is_ticked in ticked.items() if is_ticked]
        return scopes.in_order([*self.cleaned_data["meters"], *chosen])


class SubmittedOnceForm(forms.Form):
    """Asks for a secret that is shown once; `submission` makes a repeated submit harmless."""

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
            sent = cast("QueryDict", self.data).copy()
            sent["submission"] = str(uuid4())
            self.data = sent
        return self.cleaned_data


class NewKeyForm(SubmittedOnceForm, KeyForm):
    """Asks for a new key."""


class RotateForm(SubmittedOnceForm):
    """Asks for another secret of a key."""

    stays = forms.ChoiceField(
        choices=[
            ("0", _("Not at all: it ends at once")),
            ("1h", _("1 hour")),
            ("24h", _("24 hours")),
            ("7d", _("7 days")),
        ],
        initial="24h",
        label=_("How long should the old secret still work?"),
        help_text=_(
            "Both work in that time, as one key. You can end the old one earlier with a click."
        ),
        error_messages=dict.fromkeys(("required", "invalid_choice"), _("Choose one of the times.")),
    )


class EditKeyForm(KeyForm):
    """What a key that there is is called and may do from now on."""

    def __init__(
        self,
        data: QueryDict | None,
        *,
        key: ApiKey,
        may_manage: bool = True,
        allowed: Allowed = ALL_ALLOWED,
    ) -> None:
        super().__init__(
            data,
            may_manage=may_manage,
            allowed=allowed,
            has_now=key.scopes,
            asks_now=key.only_models,
            initial={
                "name": key.name,
                "environment": key.environment,
                "only_models": key.only_models,
                "expires_in": "" if key.expires_at is None else _AS_IT_IS,
                **{name: getattr(key, name) for name in CAPS},
                "addresses": "\n".join(key.addresses),
                "meters": key.meters,
                "reads_quota": key.reads_quota,
                "reads_usage": key.reads_usage,
                "requests_a_minute": key.requests_a_minute,
                "requests_at_once": key.requests_at_once,
                "manages_keys": key.manages_keys,
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

    def clean(self) -> dict[str, Any]:
        """Who may not choose whether it manages keys changes nothing about that."""
        if "manages_keys" not in self.fields:
            self.cleaned_data["manages_keys"] = self._key.manages_keys
        return super().clean()


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
