from uuid import uuid4

from django import forms


class NewKeyForm(forms.Form):
    """Asks for a key's name; `submission` makes a repeated submit harmless."""

    name = forms.CharField(
        max_length=80,
        label="Name",
        help_text="Where will you use it? For example “production” or “laptop”.",
        error_messages={
            "required": "Give the key a name, so that you recognise it later.",
            "max_length": "A name may have at most 80 characters.",
        },
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "production"}),
    )
    submission = forms.UUIDField(
        widget=forms.HiddenInput,
        initial=uuid4,
        error_messages={
            "required": "This form is incomplete. Reload the page and try again.",
            "invalid": "This form is damaged. Reload the page and try again.",
        },
    )
