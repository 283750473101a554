"""Credits for an amount that the customer chooses, between the bounds of the product."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.money import MoneyField, price
from billing.models import Product


class AmountForm(forms.Form):
    """How much to pay."""

    def __init__(self, product: Product, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"amount": product.price_cents})
        self.fields["amount"] = MoneyField(
            least=product.least_cents,
            most=product.most_cents,
            label=gettext_lazy("Another amount"),
            help_text=_("From %(least)s to %(most)s.")
            % {"least": price(product.least_cents), "most": price(product.most_cents)},
            error_messages={"required": gettext_lazy("Give an amount, as 5 or 5.50.")},
        )


def typed(cents: int | None) -> str:
    """An amount as the form takes it: “5.50”."""
    return "" if cents is None else f"{cents // 100}.{cents % 100:02d}"


@dataclass(frozen=True, slots=True)
class OpenOffer:
    """A product whose amount is chosen, with what the amount in its form gives.

    cents: None where the form has no amount that can be paid. chats: after what is owed is paid.
    """

    product: Product
    form: AmountForm
    cents: int | None
    credits: int
    chats: int
    pays_owed: int


def open_offer(
    product: Product,
    data: Mapping[str, Any] | None,
    *,
    credits_per_chat: int,
    owed: int,
) -> OpenOffer:
    """The product as it is offered; `data` is what was typed, None before anything was."""
    form = AmountForm(product, data)
    cents: int | None = product.price_cents
    if data is not None:
        cents = form.cleaned_data["amount"] if form.is_valid() else None
    credits = 0 if cents is None else product.credits_for(cents)
    pays_owed = min(owed, credits)
    return OpenOffer(
        product=product,
        form=form,
        cents=cents,
        credits=credits,
        chats=(credits - pays_owed) // credits_per_chat,
        pays_owed=pays_owed,
    )
