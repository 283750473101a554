"""/account/billing/top-up: credits that are bought by themselves."""

import logging
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.current import AccountRequest, account_page
from accounts.money import MoneyField, code_when_read, price
from accounts.roles import Act
from accounts.site_address import site_address
from billing.checkout import CannotCheckout
from billing.leading import lead_to, turn_back
from billing.models import Product, Purchase, least_price_cents
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.top_ups import choosing
from billing.top_ups.models import AutoTopUp

logger = logging.getLogger(__name__)

_LINES = 5


def _packs() -> Any:
    return Product.objects.filter(is_active=True, kind=Product.Kind.CREDITS, least_cents=0)


class PackField(forms.ModelChoiceField[Product]):
    """Packs with what they cost, in the reader's language."""

    def label_from_instance(self, obj: Product) -> str:
        return f"{_(obj.name)}, {price(obj.price_cents)}"


class TopUpForm(forms.Form):
    """Below so many credits buy a pack, for at most so much a month."""

    below_credits = forms.IntegerField(
        label=gettext_lazy("When fewer credits are left than"),
        min_value=1,
        max_value=1_000_000,
        error_messages={
            "invalid": gettext_lazy("Write a whole number of credits."),
            "required": gettext_lazy("Write a whole number of credits."),
            "min_value": gettext_lazy("It must be at least 1 credit."),
            "max_value": gettext_lazy("It may be at most 1,000,000 credits."),
        },
    )
    product = PackField(
        Product.objects.none(),
        label=gettext_lazy("Buy this"),
        to_field_name="slug",
        empty_label=None,
        error_messages={
            "invalid_choice": gettext_lazy("This pack is not on sale. Choose one of these."),
            "required": gettext_lazy("Choose a pack."),
        },
    )
    month_cents = MoneyField(
        label=gettext_lazy("At most, in a month"),
        least=least_price_cents,
        most=100_000_00,
        help_text=format_lazy(
            gettext_lazy("In {currency}, of a calendar month in UTC."), currency=code_when_read()
        ),
    )

    # Of the page: what is asked for was meant in that.
    currency = forms.CharField(required=False, max_length=3)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["product"].queryset = _packs()  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
@account_page(Act.SPEND_MONEY)
@never_cache
def top_up(request: AccountRequest) -> HttpResponse:
    """What is wanted, with which card, and what it bought; posted, it is wanted so."""
    wish = choosing.wish_of(request.account)
    form = TopUpForm(request.POST or None, initial=_initial(wish))
    status = 200
    if request.method == "POST":
        if form.is_valid() and _wanted(request, form):
            return redirect("top_up")
        status = 422
    bought = Purchase.objects.filter(account=request.account, is_top_up=True)
    context = {
        "wish": wish,
        "form": form,
        "purchases": list(bought[:_LINES]),
        "currency": settings.STRIPE_CURRENCY,
    }
    return render(request, "billing/top_up.html", context, status=status)


def _initial(wish: AutoTopUp | None) -> dict[str, Any]:
    shown = wish or AutoTopUp()
    is_same = shown.currency == settings.STRIPE_CURRENCY
    return {
        "below_credits": shown.below_credits,
        "month_cents": shown.month_cents if is_same else None,
        "product": shown.product.slug if shown.product else None,
    }


def _wanted(request: AccountRequest, form: TopUpForm) -> bool:
    product = form.cleaned_data["product"]
    try:
        choosing.want(
            account=request.account,
            by=request.user,
            product=product,
            terms=product.terms,
            currency=form.cleaned_data["currency"],
            below_credits=form.cleaned_data["below_credits"],
            month_cents=form.cleaned_data["month_cents"],
            at=timezone.now(),
        )
    except CannotCheckout as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, _("Auto top-up is on."))
    return True


@require_POST
@account_page(Act.SPEND_MONEY)
def top_up_off(request: AccountRequest) -> HttpResponse:
    """Buy nothing by itself any more; with `card`, keep no card either."""
    now = timezone.now()
    if request.POST.get("card"):
        choosing.forget_card(account=request.account, by=request.user, at=now)
        messages.success(request, _("The card is not used any more, and auto top-up is off."))
    else:
        choosing.want_nothing(account=request.account, by=request.user, at=now)
        messages.success(request, _("Auto top-up is off."))
    return redirect("top_up")


@require_POST
@account_page(Act.SPEND_MONEY)
def top_up_card(request: AccountRequest) -> HttpResponse:
    """Lead to where a card is saved."""
    here = site_address(reverse("top_up"))
    landing = site_address(reverse("top_up_saved"))
    try:
        submission = forms.UUIDField().clean(request.POST.get("submission"))
        url = choosing.saving_page(
            account=request.account,
            email=request.user.email,
            submission=submission,
            success_url=f"{landing}?session={{CHECKOUT_SESSION_ID}}",
            cancel_url=here,
        )
    except forms.ValidationError:
        messages.error(request, _("The form was incomplete. Try again."))
        return redirect("top_up")
    except CannotCheckout as error:
        return turn_back(request, error, "top_up")
    return lead_to(request, url, name=_("Save a card"))


@account_page(Act.SPEND_MONEY)
@never_cache
def top_up_saved(request: AccountRequest) -> HttpResponse:
    """Back from where a card was saved: take it."""
    try:
        is_saved = choosing.keep_card(
            account=request.account,
            email=request.user.email,
            session_id=request.GET.get("session", "")[:255],
        )
    except (StripeUnavailable, StripeRefuses) as error:
        logger.warning("a saved card could not be read: %s", error)
        is_saved = False
    if is_saved:
        messages.success(request, _("The card is saved. Switch auto top-up on to have it used."))
    else:
        messages.error(request, _("No card was saved. Try again in a minute."))
    return redirect("top_up")
