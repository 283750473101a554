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

from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.models import User
from accounts.read_only_admin import ReadOnlyAdmin
from billing import resolving
from billing.models import Product, Purchase, StripeEvent


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    """What is on sale. A change holds for later purchases only."""

    list_display = ("name", "kind", "price_cents", "chats", "valid_days", "credits", "is_active")
    list_filter = ("kind", "is_active")
    list_editable = ("is_active",)
    search_fields = ("name", "slug")
    prepopulated_fields: ClassVar = {"slug": ("name",)}


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


@admin.register(Purchase)
class PurchaseAdmin(ReadOnlyAdmin[Purchase], OfAccountsAdmin[Purchase]):
    """What was bought; Stripe and fulfilment write it, and a person deals with what went wrong."""

    list_display = (
        "product_name",
        "account",
        "amount_cents",
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
    exclude = ("checkout_url",)

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
