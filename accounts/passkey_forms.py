"""The forms of passkeys, with our words and bounds."""

from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm
from django import forms
from django.utils.translation import gettext_lazy as _

NAME_AT_MOST = 60


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    """A new one: what it is called, and whether it replaces the password."""

    name = forms.CharField(label=_("Name"), required=False, max_length=NAME_AT_MOST)
    passwordless = forms.BooleanField(
        label=_("Sign in with it alone"),
        required=False,
        initial=True,
        help_text=_("Asks for your fingerprint, face or PIN, and for no password."),
    )


class RenamePasskeyForm(EditWebAuthnForm):  # type: ignore[misc]
    """Another name."""

    name = forms.CharField(label=_("Name"), max_length=NAME_AT_MOST)
