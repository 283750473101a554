"""How quickly keys and accounts may ask, as it is kept, asked for and told in words."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.numbers import thousands
from gate.terms.pace import A_MINUTE_AT_MOST, AT_ONCE_AT_MOST, Pace

IS_KNOWN = (Q(requests_a_minute=None) | Q(requests_a_minute__gte=1)) & (
    Q(requests_at_once=None) | Q(requests_at_once__gte=1)
)


class PaceFields(models.Model):
    """Limits, on whatever has some. A release that does not know these writes none."""

    requests_a_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(A_MINUTE_AT_MOST)],
        help_text=_("That pass in any 60 seconds; empty is no limit."),
    )
    requests_at_once = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(AT_ONCE_AT_MOST)],
        help_text=_("That are answered at the same time; empty is no limit."),
    )

    class Meta:
        abstract = True

    @property
    def pace(self) -> Pace:
        """As the gate knows it."""
        return Pace(a_minute=self.requests_a_minute, at_once=self.requests_at_once)


def in_words(pace: Pace) -> Iterator[str]:
    """What is limited, each in a few words; nothing where nothing is."""
    if (number := pace.a_minute) is not None:
        words = ngettext("%(count)s request a minute", "%(count)s requests a minute", number)
        yield words % {"count": thousands(number)}
    if (number := pace.at_once) is not None:
        words = ngettext("%(count)s request at once", "%(count)s requests at once", number)
        yield words % {"count": thousands(number)}


def _number_field(most: int, wrong: Any, **more: Any) -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=1,
        max_value=most,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), wrong),
        **more,
    )


class PaceForm(forms.Form):
    """The fields that people fill in."""

    requests_a_minute = _number_field(
        A_MINUTE_AT_MOST,
        _("Give a whole number of requests, 1 to 1,000,000, or leave it empty."),
        label=_("Requests a minute"),
        help_text=_("In any 60 seconds. Empty: as many as the account may send."),
    )
    requests_at_once = _number_field(
        AT_ONCE_AT_MOST,
        _("Give a whole number of requests, 1 to 1,000, or leave it empty."),
        label=_("Requests at the same time"),
        help_text=_("That are being answered. Empty: as many as the account may send."),
    )
