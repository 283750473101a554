"""What keys and members may use in a day, a week, a month or in all, as it is typed and told."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.numbers import thousands
from gate.terms.budget import Budget

if TYPE_CHECKING:
    # It imports the admin, which the gate does without.
    from django_stubs_ext import StrOrPromise

CHATS_AT_MOST = 1_000_000_000


def cap_field(label: "StrOrPromise", help_text: "StrOrPromise" = "") -> forms.IntegerField:
    """So many chats, or none at all; left empty it is no limit. What is wrong names the field."""
    wrong = _("%(field)s: give a whole number of chats, 0 to 1,000,000,000, or leave it empty.")
    return _CapField(
        required=False,
        min_value=0,
        max_value=CHATS_AT_MOST,
        label=label,
        help_text=help_text,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), wrong),
    )


class _CapField(forms.IntegerField):
    def clean(self, value: Any) -> int | None:
        try:
            cleaned: int | None = super().clean(value)
        except forms.ValidationError:
            wrong = self.error_messages["invalid"] % {"field": self.label}
            raise forms.ValidationError(wrong, code="invalid") from None
        return cleaned


class BudgetForm(forms.Form):
    """How many chats may be used in a day, a week and a month; all three count."""

    daily_cap = cap_field(_("Chats a day"), _("Of a day in UTC."))
    weekly_cap = cap_field(_("Chats a week"), _("From Monday 00:00 UTC."))
    monthly_cap = cap_field(_("Chats a month"), _("Of the calendar, in UTC."))

    @property
    def budget(self) -> Budget:
        """What was filled in."""
        said = self.cleaned_data
        return Budget(
            a_day=said["daily_cap"], a_week=said["weekly_cap"], a_month=said["monthly_cap"]
        )


def in_words(budget: Budget) -> Iterator[str]:
    """What is limited, each in a few words; nothing where nothing is."""
    if (number := budget.a_day) is not None:
        words = ngettext("%(count)s chat a day", "%(count)s chats a day", number)
        yield words % {"count": thousands(number)}
    if (number := budget.a_week) is not None:
        words = ngettext("%(count)s chat a week", "%(count)s chats a week", number)
        yield words % {"count": thousands(number)}
    if (number := budget.a_month) is not None:
        words = ngettext("%(count)s chat a month", "%(count)s chats a month", number)
        yield words % {"count": thousands(number)}
    if (number := budget.in_all) is not None:
        words = ngettext("%(count)s chat in all", "%(count)s chats in all", number)
        yield words % {"count": thousands(number)}


def in_vain(budget: Budget) -> Iterator[str]:
    """Of limits those that never stop anything, because one of a longer time is not above them."""
    limits = (
        (_("Chats a day"), budget.a_day),
        (_("Chats a week"), budget.a_week),
        (_("Chats a month"), budget.a_month),
        (_("Chats in all"), budget.in_all),
    )
    for at, (name, number) in enumerate(limits):
        for longer, most in limits[at + 1 :]:
            if number is not None and most is not None and most < number:
                words = _("“%(name)s” is above “%(longer)s”, which is used up first.")
                yield str(words) % {"name": name, "longer": longer}
                break
