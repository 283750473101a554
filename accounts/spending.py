"""What people choose to spend past the allowance, as it is kept, asked for and told in words."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django import forms
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import numbers
from accounts.numbers import thousands
from gate.terms.spending import PastAllowance, Spending

# What a column takes, and more than anybody has.
CREDITS_AT_MOST = 1_000_000_000
# No request asks for more.
UNITS_AT_MOST = 10_000
IS_KNOWN = models.Q(past_allowance__in=[choice.value for choice in PastAllowance])


class SpendingFields(models.Model):
    """A choice, on whatever it is made for."""

    class Past(models.TextChoices):
        """As in `gate.terms.spending`, with names for the admin."""

        ALL = PastAllowance.ALL.value, gettext_lazy("boosts, then credits")
        BOOSTS = PastAllowance.BOOSTS.value, gettext_lazy("boosts only")
        NOTHING = PastAllowance.NOTHING.value, gettext_lazy("nothing")

    # Defaults of the database: a release that does not know these lets everything pay.
    past_allowance = models.CharField(
        max_length=8,
        choices=Past,
        blank=True,
        default=Past.ALL,
        db_default="",
        help_text=gettext_lazy("What pays when the allowance of the week is used up."),
    )
    credits_a_week = models.PositiveIntegerField(
        null=True, blank=True, help_text=gettext_lazy("At the most; empty is no ceiling.")
    )
    credits_a_month = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=gettext_lazy("At the most, in a calendar month in UTC; empty is no ceiling."),
    )
    units_a_request = models.PositiveIntegerField(
        null=True, blank=True, help_text=gettext_lazy("At the most; empty is no ceiling.")
    )

    class Meta:
        abstract = True

    @property
    def spending(self) -> Spending:
        """As the gate knows it."""
        return Spending(
            past_allowance=PastAllowance(self.past_allowance),
            credits_a_week=self.credits_a_week,
            credits_a_month=self.credits_a_month,
            units_a_request=self.units_a_request,
        )


def fields_of(spending: Spending) -> dict[str, Any]:
    """The same as values of those fields."""
    return {
        "past_allowance": spending.past_allowance.value,
        "credits_a_week": spending.credits_a_week,
        "credits_a_month": spending.credits_a_month,
        "units_a_request": spending.units_a_request,
    }


def in_words(spending: Spending) -> Iterator[str]:
    """What a choice forbids, each in a few words; nothing of one that forbids nothing."""
    if spending.past_allowance is PastAllowance.NOTHING:
        yield _("stops at the allowance")
    if spending.past_allowance is PastAllowance.BOOSTS:
        yield _("no credits")
    if spending.credits_a_week is not None:
        yield _("at most %(credits)s a week") % {
            "credits": numbers.credits(spending.credits_a_week)
        }
    if spending.credits_a_month is not None:
        yield _("at most %(credits)s a month") % {
            "credits": numbers.credits(spending.credits_a_month)
        }
    if (units := spending.units_a_request) is not None:
        words = ngettext(
            "at most %(count)s unit a request", "at most %(count)s units a request", units
        )
        yield words % {"count": thousands(units)}


def _ceiling(*, least: int, most: int, wrong: Any, **more: Any) -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=least,
        max_value=most,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), wrong),
        **more,
    )


_CREDITS = gettext_lazy("Give a whole number of credits, 0 to 1,000,000,000, or leave it empty.")


class SpendingForm(forms.Form):
    """Asks for a choice."""

    # Text, because a radio button without a value is one that a browser makes up.
    ANSWERS: ClassVar = {
        "all": PastAllowance.ALL,
        "boosts": PastAllowance.BOOSTS,
        "nothing": PastAllowance.NOTHING,
    }

    past_allowance = forms.ChoiceField(
        choices=[
            ("all", gettext_lazy("Boosts pay, then credits")),
            ("boosts", gettext_lazy("Boosts pay, credits do not")),
            ("nothing", gettext_lazy("Stop: neither boosts nor credits pay")),
        ],
        widget=forms.RadioSelect,
        label=gettext_lazy("When the allowance of a week is used up"),
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), gettext_lazy("Choose what pays then.")
        ),
    )
    credits_a_week = _ceiling(
        least=0,
        most=CREDITS_AT_MOST,
        wrong=_CREDITS,
        label=gettext_lazy("Credits a week, at the most"),
    )
    credits_a_month = _ceiling(
        least=0,
        most=CREDITS_AT_MOST,
        wrong=_CREDITS,
        label=gettext_lazy("Credits a month, at the most"),
    )
    units_a_request = _ceiling(
        least=1,
        most=UNITS_AT_MOST,
        wrong=gettext_lazy("Give a whole number of units, 1 to 10,000, or leave it empty."),
        label=gettext_lazy("Units in one request, at the most"),
        help_text=gettext_lazy(
            "What a request is charged in, for example one for each of several answers. Empty: as "
            "many as it asks for."
        ),
    )

    @classmethod
    def showing(cls, spending: Spending) -> "SpendingForm":
        """The form with what is chosen now."""
        answer = next(a for a, past in cls.ANSWERS.items() if past is spending.past_allowance)
        return cls(initial=fields_of(spending) | {"past_allowance": answer})

    def name_the_price(self, credits_per_chat: int) -> None:
        """Say beside the ceilings what so many credits are in chats."""
        so_many = 100 * credits_per_chat
        words = _("%(credits)s pay for %(chats)s. Empty: no ceiling. 0: none at all.") % {
            "credits": numbers.credits(so_many),
            "chats": numbers.chats(100),
        }
        for name in ("credits_a_week", "credits_a_month"):
            self.fields[name].help_text = words

    @property
    def spending(self) -> Spending:
        """What was chosen, of a form that is valid."""
        return Spending(**self.cleaned_data | {"past_allowance": self._past})

    @property
    def _past(self) -> PastAllowance:
        past: PastAllowance = self.ANSWERS[self.cleaned_data["past_allowance"]]
        return past
