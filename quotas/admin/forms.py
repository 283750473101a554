"""What forms of the admin have in common."""

from typing import Any
from uuid import uuid4

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext

from accounts.models import User


def person(request: HttpRequest) -> User | None:
    """Who sent a form, to be kept with what it changes."""
    return request.user if isinstance(request.user, User) else None


class SplitMoment(AdminSplitDateTime):
    """A moment as Django's admin asks for it; each half says what it is when it is read out."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        for half, name in zip(
            self.widgets, (gettext_lazy("Date"), gettext_lazy("Time, UTC")), strict=True
        ):
            half.attrs["aria-label"] = name


class LinesField(forms.CharField):
    """Short texts, one a line; a list of them, without empty ones.

    longest: of a line, in characters. most: lines.
    """

    def __init__(self, *, longest: int, most: int, **kwargs: Any) -> None:
        self.longest, self.most = longest, most
        kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 6, "cols": 60}))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        return [line for line in map(str.strip, text.splitlines()) if line]

    def validate(self, value: Any) -> None:
        super().validate(value)
        if len(value) > self.most:
            words = ngettext(
                "Write at most %(most)s line, not %(count)s.",
                "Write at most %(most)s lines, not %(count)s.",
                self.most,
            )
            raise forms.ValidationError(words % {"most": self.most, "count": len(value)})
        for number, line in enumerate(value, start=1):
            if len(line) > self.longest:
                words = ngettext(
                    "Line %(number)s has %(count)s character; %(longest)s fit.",
                    "Line %(number)s has %(count)s characters; %(longest)s fit.",
                    len(line),
                )
                raise forms.ValidationError(
                    words % {"number": number, "count": len(line), "longest": self.longest}
                )

    def run_validators(self, value: Any) -> None:
        """Those of texts say nothing about a list."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((initial or []) != self.to_python(data))


class OnceForm(forms.ModelForm[Any]):
    """A form whose repeated submit gives nothing twice."""

    submission = forms.UUIDField(
        label=gettext_lazy("Submission"), widget=forms.HiddenInput, initial=uuid4
    )


class ReasonedForm(OnceForm):
    """What staff give from a list of grants asks why, as the acts of an account's page do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What was given is only shown: then there is nothing to ask.
        if reason := self.fields.get("note"):
            reason.required = True
            reason.label = gettext_lazy("Reason")
            reason.help_text = gettext_lazy("Kept with what you give, for whoever asks later.")
            reason.error_messages["required"] = gettext_lazy(
                "Say why in “Reason”: it is kept with what you give."
            )
