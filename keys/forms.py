from typing import Any
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
            "required": "The form was incomplete. Nothing was created; try again.",
            "invalid": "The form was damaged. Nothing was created; try again.",
        },
    )

    def clean(self) -> dict[str, Any]:
        """A hidden field has no place for its error, and what is damaged must not come back."""
        errors = self.errors.pop("submission", None)
        if errors is not None:
            self.add_error(None, errors.as_data())
            self.data = {"name": self.data.get("name", ""), "submission": uuid4()}
        return self.cleaned_data
