"""What forms of the admin have in common."""

from typing import Any
from uuid import uuid4

from django import forms
from django.http import HttpRequest

from accounts.models import User


def person(request: HttpRequest) -> User | None:
    """Who sent a form, to be kept with what it changes."""
    return request.user if isinstance(request.user, User) else None


class OnceForm(forms.ModelForm[Any]):
    """A form whose repeated submit gives nothing twice."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)
