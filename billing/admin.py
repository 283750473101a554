from typing import Any, ClassVar
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.functional import lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

# Django looks for pages of an app here.
import billing.subscriptions.admin
import billing.top_ups.admin  # noqa: F401
from accounts import money
from accounts.admin_fields import RowForm
from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.models import User
from accounts.money import MoneyField
from accounts.numbers import thousands
from accounts.read_only_admin import ReadOnlyAdmin
from billing import refund_page, refunding, resolving, watching_admin
from billing.models import Product, Purchase, least_price_cents
from billing.stripe_client.errors import StripeUnavailable

__all__ = ["ProductAdmin", "PurchaseAdmin", "watching_admin"]


def _least_price() -> str:
    return money.price(least_price_cents())


class ProductForm(forms.ModelForm[Product]):
    price_cents = MoneyField(
        least=least_price_cents,
        most=100_000_00,
        label=gettext_lazy("Price"),
        help_text=format_lazy(
            gettext_lazy("In {currency}. Stripe takes no less than {amount}."),
            currency=money.code_when_read(),
            amount=lazy(_least_price, str)(),
        ),
    )

    least_cents = MoneyField(
        required=False,
        label=gettext_lazy("Least amount"),
        help_text=gettext_lazy(
            "Of credits whose amount the customer chooses; empty for a fixed price. Price and "
            "credits then say how many credits an amount gives."
        ),
    )
    most_cents = MoneyField(required=False, label=gettext_lazy("Most amount"))

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
        help_texts: ClassVar = {"credits": money.of_a_credit_when_read()}


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
        return money.price(product.price_cents)


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
            (
                "refund",
                gettext_lazy("Refund through Stripe: all that arrived goes back, nothing is given"),
            ),
            ("ask", gettext_lazy("Ask Stripe again: the purchase is open once more")),
            ("dismiss", gettext_lazy("Dismiss: nothing is granted")),
        ],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        help_text=gettext_lazy(
            "Kept with the purchase; the customer reads it if dismissed or refunded."
        ),
    )
    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4, required=False)


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
        return money.amount(purchase.amount_cents, purchase.currency)

    @admin.display(description=gettext_lazy("problem"))
    def what_is_wrong(self, purchase: Purchase) -> str:
        """In the reader's language."""
        return purchase.problem_in_words

    @admin.display(description=gettext_lazy("received"))
    def received(self, purchase: Purchase) -> str:
        """What arrived; other currencies count as they do."""
        if not purchase.has_come:
            return str(self.get_empty_value_display())
        return money.amount(purchase.came_cents, purchase.currency_of_payment)

    @admin.display(description=gettext_lazy("returned"))
    def returned(self, purchase: Purchase) -> str:
        """What went back, in the currency in which it came."""
        if not purchase.returned_cents:
            return str(self.get_empty_value_display())
        return money.amount(purchase.returned_cents, purchase.currency_of_payment)

    def get_urls(self) -> list[Any]:
        own = path(
            "<uuid:purchase_id>/resolve/",
            self.admin_site.admin_view(self.resolve),
            name="billing_purchase_resolve",
        )
        return [*refund_page.urls(self.admin_site, self.refund), own, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """With the refunds that staff made, and the way to make one."""
        shown = self.get_object(request, object_id)
        told: dict[str, Any] = {}
        if shown is not None:
            told["refunds"] = list(shown.refunds.select_related("by"))
            may = request.user.has_perm("billing.add_refund")
            money = refunding.money_of(shown) if may else None
            told["can_refund"] = money is not None and money.left_cents > 0
        return super().change_view(request, object_id, form_url, {**told, **(extra_context or {})})

    def refund(self, request: HttpRequest, purchase_id: UUID) -> HttpResponse:
        """Give some or all of the payment back."""
        return refund_page.page(self, request, purchase_id)

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
        by = request.user if isinstance(request.user, User) else None
        if act == "refund":
            return self._refunded(request, purchase, form, by=by)
        do = {
            "grant": resolving.grant_anyway,
            "ask": resolving.ask_again,
            "dismiss": resolving.dismiss,
        }[act]
        try:
            do(purchase=purchase, by=by, reason=reason, at=timezone.now())
        except resolving.CannotResolve as error:
            form.add_error(None, str(error))
            return False
        self.log_change(request, purchase, f"{act}: {reason}")
        self.message_user(request, _("Done. The problem is dealt with."), messages.SUCCESS)
        return True

    def _refunded(
        self, request: HttpRequest, purchase: Purchase, form: ResolveForm, *, by: User | None
    ) -> bool:
        if not request.user.has_perm("billing.add_refund"):
            raise PermissionDenied
        reason = form.cleaned_data["reason"]
        try:
            refund = resolving.refund(
                purchase=purchase,
                by=by,
                reason=reason,
                submission=form.cleaned_data["submission"] or uuid4(),
                at=timezone.now(),
            )
        except resolving.CannotResolve as error:
            form.add_error(None, str(error))
            return False
        except StripeUnavailable:
            self.log_change(request, purchase, f"refund: {reason}")
            self.message_user(request, str(refund_page.STRIPE_IS_SILENT), messages.WARNING)
            return True
        self.log_change(request, purchase, f"refund: {refund.amount}: {reason}")
        refund_page.tell(self, request, refund)
        return True
