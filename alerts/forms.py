from typing import Any
from uuid import uuid4

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.money import price_when_read
from alerts.models import CHOSEN_KINDS, MAIL_KINDS
from alerts.public_addresses import LONGEST_URL

_LOW_CREDITS_AT_MOST = 1_000_000_000


class SettingsForm(forms.Form):
    """What the account is told of."""

    kinds = forms.MultipleChoiceField(
        choices=[(kind.value, kind.label) for kind in CHOSEN_KINDS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Tell us when"),
        error_messages={
            "invalid_choice": _("There is nothing of the name “%(value)s” to be told of.")
        },
    )
    low_credits = forms.IntegerField(
        min_value=0,
        max_value=_LOW_CREDITS_AT_MOST,
        label=_("Credits are low below"),
        help_text=format_lazy(
            _("1 credit is worth {amount}. 0: never."), amount=price_when_read(1)
        ),
        error_messages={
            "required": _("Give a number of credits, or 0."),
            **dict.fromkeys(
                ("invalid", "min_value", "max_value"),
                _("Give a whole number of credits, 0 to 1,000,000,000."),
            ),
        },
    )


class MailForm(forms.Form):
    """What one person gets mail about."""

    kinds = forms.MultipleChoiceField(
        choices=[(kind.value, kind.label) for kind in MAIL_KINDS],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=_("Send me mail when"),
        error_messages={"invalid_choice": _("There is no mail of the name “%(value)s”.")},
    )
    of_keys = forms.BooleanField(
        required=False,
        label=_("A key is used from a new network, or expires within 7 days"),
        help_text=_("That a key was created, revoked or found in public is mailed in any case."),
    )

    def __init__(self, *args: Any, sees_keys: bool, **more: Any) -> None:
        """sees_keys: whether the person may hear of keys at all."""
        super().__init__(*args, **more)
        if not sees_keys:
            del self.fields["of_keys"]


class WebhookForm(forms.Form):
    """Where a webhook goes."""

    url = forms.CharField(
        max_length=LONGEST_URL,
        label=_("Address"),
        help_text=_("Begins with https:// and can be reached by everybody."),
        error_messages={"required": _("Give the address that we post to.")},
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class NewWebhookForm(WebhookForm):
    """A new one; `submission` makes a repeated submit harmless."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    def clean(self) -> dict[str, Any]:
        """A hidden field has no place for its error, and what is damaged must not come back."""
        if self.errors.pop("submission", None) is not None:
            self.add_error(None, _("The form was incomplete. Nothing was added; try again."))
            self.data = {"url": self.data.get("url", ""), "submission": uuid4()}
        return self.cleaned_data


class EditWebhookForm(WebhookForm):
    """Where it goes from now on, and whether."""

    is_on = forms.BooleanField(required=False, label=_("On"))


class RotateForm(forms.Form):
    """Which secret is to be followed by another: a repeated submit makes no second."""

    generation = forms.IntegerField(min_value=1, widget=forms.HiddenInput)


class ResendForm(forms.Form):
    """How often it had been tried when somebody asked for another time."""

    tries = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
