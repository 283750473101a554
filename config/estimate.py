"""What a visitor of the pricing page asks, and what is shown for an answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.numbers import thousands
from billing.estimating import CHATS_AT_MOST, Way, offers_of, ways
from billing.models import Product
from quotas.models.plans import Plan
from quotas.strip import Amounts

# Past the caps of small plans, so that the example has something to weigh.
_EXAMPLE_CHATS = 600


class EstimateForm(forms.Form):
    """How many chats a week."""

    chats = forms.IntegerField(
        label=_("Chats a week"),
        min_value=1,
        max_value=CHATS_AT_MOST,
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"),
            format_lazy(
                _("Chats a week must be a whole number from 1 to {most}."),
                most=thousands(CHATS_AT_MOST),
            ),
        ),
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )


@dataclass(frozen=True)
class Estimate:
    """The form, and what follows from it: the ways to pay, the cheapest first. None: not asked."""

    form: EstimateForm
    chats: int | None
    ways: tuple[Way, ...]

    @property
    def best(self) -> Way | None:
        """The cheapest."""
        return self.ways[0] if self.ways else None

    @property
    def week(self) -> Amounts | None:
        """A week of it as cells; None where nothing is counted up to a cap, or not week by week."""
        best = self.best
        if best is None or best.plan.cap is None or best.every_weeks > 1:
            return None
        return Amounts(
            allowance=best.plan.cap,
            boost=best.boosts * best.boost.chats if best.boost else 0,
            credits=best.chats_by_credits,
        )


def estimate_of(
    asked: str | None,
    *,
    plans: Sequence[Plan],
    products: Sequence[Product],
    credits_per_chat: int,
) -> Estimate:
    """The answer to what an address asks, or an example when it asks nothing."""
    form = EstimateForm({"chats": _EXAMPLE_CHATS if asked is None else asked})
    if not form.is_valid():
        return Estimate(form, None, ())
    chats: int = form.cleaned_data["chats"]
    offers = offers_of(plans, products, credits_per_chat=credits_per_chat)
    return Estimate(form, chats, ways(chats, offers))
