from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.admin_fields import RowForm
from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.models import User
from accounts.money import DollarField, dollars
from accounts.read_only_admin import ReadOnlyAdmin
from billing import resolving
from billing.models import LEAST_PRICE_CENTS, Product, Purchase, StripeEvent


class ProductForm(forms.ModelForm[Product]):
    price_cents = DollarField(
        least=LEAST_PRICE_CENTS,
        most=100_000_00,
        label="Price",
        help_text=f"In dollars. Stripe takes no less than {dollars(LEAST_PRICE_CENTS)}.",
    )

    class Meta:
        model = Product
        fields = (
            *("slug", "name", "summary", "kind", "price_cents", "chats", "valid_days", "credits"),
            *("position", "is_active"),
        )


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    """What is on sale. A change holds for later purchases only."""

    form = ProductForm
    list_display = ("name", "gives", "price", "is_active")
    list_filter = ("kind", "is_active")
    list_editable = ("is_active",)
    search_fields = ("name", "slug")
    prepopulated_fields: ClassVar = {"slug": ("name",)}

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": RowForm, **kwargs})

    @admin.display(description="gives")
    def gives(self, product: Product) -> str:
        if product.kind == Product.Kind.BOOST:
            return f"{product.chats:,} chats for {product.valid_days} days"
        return f"{product.credits:,} credits"

    @admin.display(description="price", ordering="price_cents")
    def price(self, product: Product) -> str:
        return dollars(product.price_cents)


class AlarmFilter(admin.SimpleListFilter):
    """Purchases that wait for a person, and those that somebody dealt with."""

    title = "problem"
    parameter_name = "alarm"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Needs a person"), ("resolved", "Dealt with")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Purchase]) -> QuerySet[Purchase]:
        if self.value() == "open":
            return queryset.exclude(problem="").filter(resolved_at=None)
        if self.value() == "resolved":
            return queryset.exclude(problem="").exclude(resolved_at=None)
        return queryset


class ResolveForm(forms.Form):
    """What to do about a purchase that did not go as ordered."""

    act = forms.ChoiceField(
        label="What to do",
        choices=[
            ("grant", "Grant what was ordered: the payment is accepted as it is"),
            ("ask", "Ask Stripe again: the purchase is open once more"),
            ("dismiss", "Dismiss: nothing is granted"),
        ],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        max_length=200, help_text="Kept with the purchase; the customer reads it if dismissed."
    )


def _in_words(cents: int, currency: str) -> str:
    if currency == "usd":
        return dollars(cents)
    return f"{cents:,} of the smallest unit of {currency.upper()}"


@admin.register(Purchase)
class PurchaseAdmin(ReadOnlyAdmin[Purchase], OfAccountsAdmin[Purchase]):
    """What was bought; Stripe and fulfilment write it, and a person deals with what went wrong."""

    list_display = (
        "product_name",
        "account",
        "amount",
        "status",
        "problem",
        "created_at",
        "paid_at",
        "resolved_at",
    )
    list_filter = (AlarmFilter, "status", "kind", in_period("created_at"))
    search_fields = ("id", "stripe_session_id")
    search_help_text = (
        "A purchase’s number, the id of its session at Stripe, or an account: "
        f"{HOW_ACCOUNTS_ARE_FOUND}"
    )
    fields = (
        *("id", "account", "user", "product_name", "amount", "status", "problem", "received"),
        "returned",
        *("chats", "valid_days", "credits", "created_at", "paid_at", "opened_at", "looked_at"),
        *("stripe_session_id", "resolved_at", "resolved_by", "resolution"),
    )

    @admin.display(description="amount")
    def amount(self, purchase: Purchase) -> str:
        return dollars(purchase.amount_cents)

    @admin.display(description="received")
    def received(self, purchase: Purchase) -> str | None:
        """What arrived, where it is not what was ordered; other currencies count as they do."""
        if purchase.received_cents is None:
            return None
        return _in_words(purchase.received_cents, purchase.received_currency)

    @admin.display(description=_("returned"))
    def returned(self, purchase: Purchase) -> str | None:
        """What went back, in the currency in which it came."""
        currency = purchase.received_currency or purchase.currency
        if not purchase.returned_cents:
            return None
        return _in_words(purchase.returned_cents, currency)

    def get_urls(self) -> list[Any]:
        own = path(
            "<uuid:purchase_id>/resolve/",
            self.admin_site.admin_view(self.resolve),
            name="billing_purchase_resolve",
        )
        return [own, *super().get_urls()]

    def resolve(self, request: HttpRequest, purchase_id: UUID) -> HttpResponse:
        """Ask what to do about a problem, and why; the POST does it."""
        purchase = get_object_or_404(Purchase, pk=purchase_id)
        if not request.user.has_perm("billing.change_purchase"):
            raise PermissionDenied
        form = ResolveForm(request.POST or None)
        if form.is_valid() and self._resolved(request, purchase, form):
            return redirect("admin:billing_purchase_change", purchase.pk)
        context = {
            **self.admin_site.each_context(request),
            "title": "Deal with the problem",
            "purchase": purchase,
            "form": form,
            "opts": self.opts,
        }
        return render(request, "admin/billing/purchase/resolve.html", context)

    def _resolved(self, request: HttpRequest, purchase: Purchase, form: ResolveForm) -> bool:
        act, reason = form.cleaned_data["act"], form.cleaned_data["reason"]
        do = {
            "grant": resolving.grant_anyway,
            "ask": resolving.ask_again,
            "dismiss": resolving.dismiss,
        }[act]
        by = request.user if isinstance(request.user, User) else None
        try:
            do(purchase=purchase, by=by, reason=reason, at=timezone.now())
        except resolving.CannotResolve as error:
            form.add_error(None, str(error))
            return False
        self.log_change(request, purchase, f"{act}: {reason}")
        self.message_user(request, "Done. The problem is dealt with.", messages.SUCCESS)
        return True


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin[StripeEvent]):
    """What Stripe told us, and whether it was handled."""

    list_display = ("type", "event_id", "received_at", "handled_at", "attempts", "error")
    list_filter = (("handled_at", admin.EmptyFieldListFilter), in_period("received_at"))
    search_fields = ("event_id", "type")
    search_help_text = "An event’s id or its type, as “checkout.session.completed”."

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        """A list of events reads none of what they carry."""
        return super().get_queryset(request).defer("payload")
