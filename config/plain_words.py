"""What every form says of a value that it cannot take, in words that a person would use.

Django has one sentence to a kind of mistake, on the class that finds it. They are changed there,
once, so that forms of ours, of libraries and of the admin say the same. What a form says of its own
field goes before that.
"""

from typing import Any

from django import forms
from django.core import validators
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from django_stubs_ext import StrOrPromise

# By the class of a field and the kind of mistake.
_OF_FIELDS: dict[type[forms.Field], dict[str, StrOrPromise]] = {
    forms.Field: {"required": _("Fill this in.")},
    forms.IntegerField: {"invalid": _("Write a whole number, in digits.")},
    forms.DecimalField: {"invalid": _("Write a number, in digits.")},
    forms.FloatField: {"invalid": _("Write a number, in digits.")},
    forms.DateField: {"invalid": _("Write a day that exists, as 2026-11-29.")},
    forms.TimeField: {"invalid": _("Write a time of day, as 14:30.")},
    forms.DateTimeField: {"invalid": _("Write a day and a time, as 2026-11-29 14:30.")},
    forms.SplitDateTimeField: {
        "invalid_date": _("Write a day that exists, as 2026-11-29."),
        "invalid_time": _("Write a time of day, as 14:30."),
    },
    forms.ChoiceField: {"invalid_choice": _("This is none of the choices. Choose one of them.")},
    forms.MultipleChoiceField: {
        "invalid_choice": _("This is none of the choices. Choose among them."),
        "invalid_list": _("Choose among the choices."),
    },
    forms.ModelChoiceField: {
        "invalid_choice": _("This is none of the choices. Choose one of them.")
    },
    forms.ModelMultipleChoiceField: {
        "invalid_choice": _("This is none of the choices. Choose among them."),
        "invalid_list": _("Choose among the choices."),
        "invalid_pk_value": _("This is none of the choices. Choose among them."),
    },
    forms.UUIDField: {"invalid": _("This is no identifier: a part of it is missing or changed.")},
    forms.JSONField: {"invalid": _("This is no JSON: a quotation mark or bracket may be missing.")},
    forms.URLField: {"invalid": _("Write a whole address, as https://example.com/.")},
}

# By the class of a validator. Each says by itself what would do.
_OF_VALIDATORS: dict[type[validators.BaseValidator], StrOrPromise] = {
    validators.MinValueValidator: _("Give %(limit_value)s or more."),
    validators.MaxValueValidator: _("Give %(limit_value)s or less."),
    validators.StepValueValidator: _("Give a multiple of %(limit_value)s."),
    validators.MinLengthValidator: ngettext_lazy(
        "Write %(limit_value)d character or more; this has %(show_value)d.",
        "Write %(limit_value)d characters or more; this has %(show_value)d.",
        "limit_value",
    ),
    validators.MaxLengthValidator: ngettext_lazy(
        "Write %(limit_value)d character at most; this has %(show_value)d.",
        "Write %(limit_value)d characters at most; this has %(show_value)d.",
        "limit_value",
    ),
}
_OF_DIGITS: dict[str, Any] = {
    "max_digits": ngettext_lazy(
        "Write %(max)s digit at most.", "Write %(max)s digits at most.", "max"
    ),
    "max_decimal_places": ngettext_lazy(
        "Write %(max)s digit behind the point at most.",
        "Write %(max)s digits behind the point at most.",
        "max",
    ),
    "max_whole_digits": ngettext_lazy(
        "Write %(max)s digit before the point at most.",
        "Write %(max)s digits before the point at most.",
        "max",
    ),
}


def speak_plainly() -> None:
    """From now on forms say it in these words. Before any field is made: each copies them."""
    for field, words in _OF_FIELDS.items():
        own = vars(field).get("default_error_messages", {})
        field.default_error_messages = {**own, **words}
    for validator, sentence in _OF_VALIDATORS.items():
        validator.message = sentence
    validators.DecimalValidator.messages = {**validators.DecimalValidator.messages, **_OF_DIGITS}
