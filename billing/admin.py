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
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

# Django looks for pages of an app here.
import billing.subscriptions.admin
import billing.top_ups.admin  # noqa: F401
from accounts.admin_fields import RowForm
from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.models import User
from accounts.money import DollarField, dollars
from accounts.numbers import thousands
from accounts.read_only_admin import ReadOnlyAdmin
from billing import resolving
from billing.models import LEAST_PRICE_CENTS, Product, Purchase, StripeEvent


class ProductForm(forms.ModelForm[Product]):
    price_cents = DollarField(
        least=LEAST_PRICE_CENTS,
        most=100_000_00,
        label=gettext_lazy("Price"),
        help_text=format_lazy(
            gettext_lazy("In dollars. Stripe takes no less than {amount}."),
            amount=dollars(LEAST_PRICE_CENTS),
        ),
    )

    least_cents = DollarField(
        required=False,
        label=gettext_lazy("Least amount"),
        help_text=gettext_lazy(
            "Of credits whose amount the customer chooses; empty for a fixed price. Price and "
            "credits then say how many credits an amount gives."
        ),
    )
    most_cents = DollarField(required=False, label=gettext_lazy("Most amount"))

    def clean_least_cents(self) -> int:
        """Nothing typed is a fixed price."""
        return self.cleaned_data["least_cents"] or 0

    def clean_most_cents(self) -> int:
        """The same."""
        return self.cleaned_data["most_cents"] or 0

    class Meta:
        model = Product
        fields = (
            *("slug", "name", "summary", "kind", "price_cents", "chats", "valid_days", "credits"),
            *("least_cents", "most_cents"),
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

    @admin.display(description=gettext_lazy("gives"))
    def gives(self, product: Product) -> str:
        if product.kind == Product.Kind.BOOST:
            chats = ngettext("%(n)s chat", "%(n)s chats", product.chats)
            words = ngettext(
                "%(chats)s for %(days)s day", "%(chats)s for %(days)s days", product.valid_days
            )
            return words % {
                "chats": chats % {"n": thousands(product.chats)},
                "days": product.valid_days,
            }
        credits = ngettext("%(n)s credit", "%(n)s credits", product.credits)
        return credits % {"n": thousands(product.credits)}

    @admin.display(description=gettext_lazy("price"), ordering="price_cents")
    def price(self, product: Product) -> str:
        return dollars(product.price_cents)


class AlarmFilter(admin.SimpleListFilter):
    """Purchases that wait for a person, and those that somebody dealt with."""

    title = gettext_lazy("problem")
    parameter_name = "alarm"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", _("Needs a person")), ("resolved", _("Dealt with"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Purchase]) -> QuerySet[Purchase]:
        if self.value() == "open":
            return queryset.exclude(problem="").filter(resolved_at=None)
        if self.value() == "resolved":
            return queryset.exclude(problem="").exclude(resolved_at=None)
        return queryset


class ResolveForm(forms.Form):
    """What to do about a purchase that did not go as ordered."""

    act = forms.ChoiceField(
        label=gettext_lazy("What to do"),
        choices=[
            ("grant", gettext_lazy("Grant what was ordered: the payment is accepted as it is")),
            ("ask", gettext_lazy("Ask Stripe again: the purchase is open once more")),
            ("dismiss", gettext_lazy("Dismiss: nothing is granted")),
        ],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        help_text=gettext_lazy("Kept with the purchase; the customer reads it if dismissed."),
    )


def _in_words(cents: int, currency: str) -> str:
    if currency == "usd":
        return dollars(cents)
    return _("%(amount)s of the smallest unit of %(currency)s") % {
        "amount": thousands(cents),
        "currency": currency.upper(),
    }


@admin.register(Purchase)
class PurchaseAdmin(ReadOnlyAdmin[Purchase], OfAccountsAdmin[Purchase]):
    """What was bought; Stripe and fulfilment write it, and a person deals with what went wrong."""

    list_display = (
        "product_name",
        "account",
        "amount",
        "status",
        "what_is_wrong",
        "created_at",
        "paid_at",
        "resolved_at",
    )
    list_filter = (AlarmFilter, "status", "kind", in_period("created_at"))
    search_fields = ("id", "stripe_session_id")
    search_help_text = format_lazy(
        gettext_lazy("A purchase’s number, or the id of its session at Stripe. {account}"),
        account=HOW_ACCOUNTS_ARE_FOUND,
    )
    fields = (
        *("id", "account", "user", "product_name", "amount", "status", "what_is_wrong", "received"),
        "returned",
        *("chats", "valid_days", "credits", "created_at", "paid_at", "opened_at", "looked_at"),
        *("stripe_session_id", "resolved_at", "resolved_by", "resolution"),
    )

    @admin.display(description=gettext_lazy("amount"))
    def amount(self, purchase: Purchase) -> str:
        return dollars(purchase.amount_cents)

    @admin.display(description=gettext_lazy("problem"))
    def what_is_wrong(self, purchase: Purchase) -> str:
        """In the reader's language."""
        return purchase.problem_in_words

    @admin.display(description=gettext_lazy("received"))
    def received(self, purchase: Purchase) -> str | None:
        """What arrived, where it is not what was ordered; other currencies count as they do."""
        if purchase.received_cents is None:
            return None
        return _in_words(purchase.received_cents, purchase.received_currency)

    @admin.display(description=gettext_lazy("returned"))
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
            "title": _("Deal with the problem"),
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
        self.message_user(request, _("Done. The problem is dealt with."), messages.SUCCESS)
        return True


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin[StripeEvent]):
    """What Stripe told us, and whether it was handled."""

    list_display = ("type", "event_id", "received_at", "handled_at", "attempts", "error")
    list_filter = (("handled_at", admin.EmptyFieldListFilter), in_period("received_at"))
    search_fields = ("event_id", "type")
    search_help_text = gettext_lazy("An event’s id or its type, as “checkout.session.completed”.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        """A list of events reads none of what they carry."""
        return super().get_queryset(request).defer("payload")
