from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.names import NameFormField
from gate.terms import addresses
from keys.issue import KeyLimits
from keys.models import READ_USAGE

ADDRESSES_AT_MOST = 20


class NewKeyForm(forms.Form):
    """Asks for a key's name; `submission` makes a repeated submit harmless."""

    name = NameFormField(
        longest=80,
        label=_("Name"),
        help_text=_("Where will you use it? For example “production” or “laptop”."),
        error_messages={
            "required": _("Give the key a name, so that you recognise it later."),
        },
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "production"}),
    )
    expires_in = forms.TypedChoiceField(
        choices=[
            ("", _("Never")),
            ("7", _("In 7 days")),
            ("30", _("In 30 days")),
            ("90", _("In 90 days")),
            ("365", _("In a year")),
        ],
        coerce=int,
        empty_value=None,
        required=False,
        label=_("Expires"),
        error_messages={"invalid_choice": _("Choose one of the times.")},
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
    submission = forms.UUIDField(
        widget=forms.HiddenInput,
        initial=uuid4,
        error_messages={
            "required": _("The form was incomplete. Nothing was created; try again."),
            "invalid": _("The form was damaged. Nothing was created; try again."),
        },
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

    def limits(self, *, at: datetime) -> KeyLimits:
        """What the key may do less than its account."""
        days = self.cleaned_data["expires_in"]
        return KeyLimits(
            expires_at=None if days is None else at + timedelta(days=days),
            weekly_cap=self.cleaned_data["weekly_cap"],
            scopes=(READ_USAGE,) if self.cleaned_data["reads_usage"] else (),
            addresses=self.cleaned_data["addresses"],
        )

    def clean(self) -> dict[str, Any]:
        """A hidden field has no place for its error, and what is damaged must not come back."""
        errors = self.errors.pop("submission", None)
        if errors is not None:
            self.add_error(None, errors.as_data())
            kept = ("name", "expires_in", "weekly_cap", "addresses", "reads_usage")
            self.data = {name: self.data.get(name, "") for name in kept}
            self.data["submission"] = uuid4()
        return self.cleaned_data
