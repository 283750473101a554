"""The admin's page that returns a payment, and the refunds that the page of a purchase tells of."""

import logging
from typing import Any, cast
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import currencies
from accounts.models import User
from accounts.money import MoneyField
from billing import refunding, returning
from billing.models import Purchase, Refund
from billing.refunding import Money
from billing.stripe_client import asking
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable

logger = logging.getLogger(__name__)

STRIPE_IS_SILENT = gettext_lazy(
    "Stripe gave no answer. The refund is written down, and Stripe is asked again by itself until "
    "it answers: nothing is returned twice. This page says what became of it."
)


class RefundForm(forms.Form):
    """How much goes back, in the currency in which it came, and why.

    Of a currency that nothing is sold in, all goes back.
    """

    amount = MoneyField(label=gettext_lazy("Amount"), least=1)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        help_text=gettext_lazy("Kept with your name, for whoever asks later."),
        error_messages={"required": gettext_lazy("Say why: it is kept with the refund.")},
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    def __init__(self, *args: Any, money: Money, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.money = money
        if money.currency in currencies.LEAST:
            amount = cast("MoneyField", self.fields["amount"])
            amount.currency, amount.initial = money.currency, money.left_cents
            amount.help_text = _("In %(currency)s: all that is left, or a part of it.") % {
                "currency": money.currency.upper()
            }
        else:
            del self.fields["amount"]

    def clean_amount(self) -> int:
        cents: int = self.cleaned_data["amount"]
        if self._was_sent():
            return cents
        if cents > self.money.left_cents:
            raise forms.ValidationError(
                _("Not more than %(left)s is left to return.") % {"left": self.money.left}
            )
        return cents

    def _was_sent(self) -> bool:
        """Whether this very form made a refund before, which is not made twice."""
        try:
            submission = UUID(str(self.data.get("submission")))
        except ValueError:
            return False
        return Refund.objects.filter(submission=submission).exists()


def urls(site: admin.AdminSite, view: Any) -> list[URLPattern]:
    """Where the page is."""
    return [
        path("<uuid:purchase_id>/refund/", site.admin_view(view), name="billing_purchase_refund")
    ]


def page(shown: admin.ModelAdmin[Any], request: HttpRequest, purchase_id: UUID) -> HttpResponse:
    """Ask how much of a payment is to go back, and why; the POST has Stripe do it."""
    purchase = get_object_or_404(Purchase, pk=purchase_id)
    if not request.user.has_perm("billing.add_refund"):
        raise PermissionDenied
    if request.method != "POST":
        _bring_up_to_date(purchase)
    money = refunding.money_of(purchase)
    back = redirect("admin:billing_purchase_change", purchase.pk)
    if money is None:
        nothing = _("No payment of this purchase is known that could be returned.")
        shown.message_user(request, nothing, messages.ERROR)
        return back
    form = RefundForm(request.POST or None, money=money)
    if form.is_valid() and _returned(shown, request, purchase, form):
        return back
    context = {
        **shown.admin_site.each_context(request),
        "title": _("Return money"),
        "purchase": purchase,
        "money": money,
        "adminform": AdminForm(cast("Any", form), [(None, {"fields": list(form.fields)})], {}),
        "opts": shown.opts,
    }
    return render(request, "admin/billing/purchase/refund.html", context)


def _bring_up_to_date(purchase: Purchase) -> None:
    """What is left may be less than we heard: money is returned in Stripe's dashboard, too."""
    if not purchase.paid_through:
        return
    try:
        returning.look(purchase.paid_through, within_seconds=asking.PAGE_SECONDS)
    except (StripeUnavailable, StripeRefuses) as error:
        logger.warning("purchase %s: what went back is not known: %s", purchase.pk, error)
    purchase.refresh_from_db()


def _returned(
    shown: admin.ModelAdmin[Any], request: HttpRequest, purchase: Purchase, form: RefundForm
) -> bool:
    at = timezone.now()
    reason = form.cleaned_data["reason"]
    submission = form.cleaned_data["submission"]
    is_new = not Refund.objects.filter(submission=submission).exists()
    try:
        refund = refunding.begin(
            purchase=purchase,
            amount_cents=form.cleaned_data.get("amount", form.money.left_cents),
            reason=reason,
            by=request.user if isinstance(request.user, User) else None,
            submission=submission,
            at=at,
        )
    except refunding.CannotRefund as error:
        form.add_error(None, str(error))
        return False
    if is_new:
        shown.log_change(request, purchase, f"refund: {refund.amount}: {reason}")
    try:
        refunding.ask(refund, at=at, within_seconds=asking.PAGE_SECONDS)
    except StripeUnavailable as error:
        logger.warning("refund %s: Stripe gave no answer: %s", refund.pk, error)
        shown.message_user(request, str(STRIPE_IS_SILENT), messages.WARNING)
        return True
    refund.refresh_from_db()
    tell(shown, request, refund)
    return True


def tell(shown: admin.ModelAdmin[Any], request: HttpRequest, refund: Refund) -> None:
    """What became of a refund, in words."""
    if refund.status == Refund.Status.SUCCEEDED:
        done = _("%(amount)s went back.") % {"amount": refund.amount}
        shown.message_user(request, done, messages.SUCCESS)
    elif refund.status == Refund.Status.PENDING:
        coming = _("%(amount)s is on its way back.") % {"amount": refund.amount}
        shown.message_user(request, coming, messages.SUCCESS)
    else:
        refused = _("Nothing was returned: %(why)s.") % {"why": refund.error_in_words}
        shown.message_user(request, refused, messages.ERROR)
