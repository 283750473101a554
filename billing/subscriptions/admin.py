from typing import ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.money import amount, by_period
from accounts.read_only_admin import ReadOnlyAdmin
from billing.stripe_client import asking, subscriptions
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.subscriptions import keeping
from billing.subscriptions.models import Customer, PlanOrder, PlanPrice, Subscription

_ASKED_AT_ONCE = 20


class NeedsAPerson(admin.SimpleListFilter):
    """Subscriptions that wait for a person."""

    title = gettext_lazy("problem")
    parameter_name = "alarm"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("open", _("Needs a person"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Subscription]
    ) -> QuerySet[Subscription]:
        if self.value() == "open":
            return queryset.exclude(problem="").filter(ended_at=None)
        return queryset


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin[Subscription], OfAccountsAdmin[Subscription]):
    """Plans that are paid for, as Stripe described them when it was last asked."""

    list_display = (
        *("account", "plan", "price", "status", "renews_at", "is_ending", "problem_in_words"),
        "ended_at",
    )
    list_filter = (NeedsAPerson, in_period("created_at"))
    list_select_related = ("account", "plan")
    search_fields = ("stripe_subscription_id",)
    search_help_text = format_lazy(
        gettext_lazy("The id of a subscription at Stripe. {account}"),
        account=HOW_ACCOUNTS_ARE_FOUND,
    )
    actions = ("ask_stripe",)
    fields = (
        *("account", "plan", "interval", "price", "quantity", "status", "problem_in_words"),
        *("starts_at", "renews_at", "is_ending", "is_changing", "is_taxed", "is_discounted"),
        *("created_at", "ended_at"),
        *("asked_at", "ask_at", "stripe_subscription_id"),
    )

    @admin.display(description=gettext_lazy("price"))
    def price(self, row: Subscription) -> str:
        return by_period(amount(row.amount_cents, row.currency), row.interval)

    @admin.display(description=gettext_lazy("problem"))
    def problem_in_words(self, row: Subscription) -> str:
        """In the reader's language."""
        return row.problem_in_words

    @admin.action(description=gettext_lazy("Ask Stripe about them now"), permissions=["view"])
    def ask_stripe(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        """Bring some up to date, and with them the plans of their accounts."""
        asked = 0
        for row in queryset.filter(ended_at=None)[:_ASKED_AT_ONCE]:
            try:
                known = subscriptions.retrieve(
                    row.stripe_subscription_id, within_seconds=asking.PAGE_SECONDS
                )
            except (StripeUnavailable, StripeRefuses) as error:
                said = _("Stripe gave no answer about the subscription of %(account)s: %(error)s")
                words = said % {"account": row.account, "error": error}
                self.message_user(request, words, messages.ERROR)
                break
            keeping.keep(known, at=timezone.now())
            asked += 1
        said = ngettext(
            "%(count)s subscription is up to date.",
            "%(count)s subscriptions are up to date.",
            asked,
        )
        self.message_user(request, said % {"count": asked}, messages.SUCCESS)


@admin.register(PlanOrder)
class PlanOrderAdmin(ReadOnlyAdmin[PlanOrder], OfAccountsAdmin[PlanOrder]):
    """Checkouts of plans."""

    list_display = ("plan_name", "account", "price", "status", "created_at", "ended_at")
    list_filter = (in_period("created_at"),)
    search_fields = ("id", "stripe_session_id")
    search_help_text = format_lazy(
        gettext_lazy("An order’s number, or the id of its session at Stripe. {account}"),
        account=HOW_ACCOUNTS_ARE_FOUND,
    )
    fields = (
        *("id", "account", "user", "plan", "plan_name", "interval", "price", "seats", "status"),
        *("created_at", "opened_at", "ended_at", "stripe_session_id"),
    )

    @admin.display(description=gettext_lazy("price"))
    def price(self, order: PlanOrder) -> str:
        return by_period(amount(order.total_cents, order.currency), order.interval)


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin[Customer], OfAccountsAdmin[Customer]):
    """Which customer an account is at Stripe."""

    list_display = ("account", "stripe_customer_id", "email", "created_at")
    search_fields = ("stripe_customer_id",)
    search_help_text = format_lazy(
        gettext_lazy("The id of a customer at Stripe. {account}"), account=HOW_ACCOUNTS_ARE_FOUND
    )
    fields = ("account", "stripe_customer_id", "email", "created_at")


@admin.register(PlanPrice)
class PlanPriceAdmin(ReadOnlyAdmin[PlanPrice]):
    """What plans cost and did cost, and the price of each at Stripe."""

    list_display = ("plan", "interval", "amount", "stripe_price_id", "created_at")
    list_select_related = ("plan",)
    search_fields = ("stripe_price_id",)
    ordering = ("-pk",)
    fields: ClassVar = ("plan", "interval", "amount", "stripe_price_id", "created_at")

    @admin.display(description=gettext_lazy("amount"))
    def amount(self, price: PlanPrice) -> str:
        return amount(price.amount_cents, price.currency)
