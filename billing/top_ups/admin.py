from django.contrib import admin
from django.utils.translation import gettext_lazy

from accounts.large_lists import OfAccountsAdmin
from accounts.money import amount
from accounts.read_only_admin import ReadOnlyAdmin
from billing.top_ups.models import AutoTopUp


@admin.register(AutoTopUp)
class AutoTopUpAdmin(ReadOnlyAdmin[AutoTopUp], OfAccountsAdmin[AutoTopUp]):
    """Who has credits bought by themselves, and for whom that stopped."""

    list_display = (
        "account",
        "is_on",
        "below_credits",
        "product",
        "month",
        "stopped",
        "changed_at",
    )
    list_select_related = ("account", "product")
    fields = (
        *("account", "is_on", "below_credits", "product", "month", "card"),
        *("stopped", "stopped_at", "next_at", "changed_at", "changed_by"),
    )

    @admin.display(description=gettext_lazy("at most a month"))
    def month(self, wish: AutoTopUp) -> str:
        return amount(wish.month_cents, wish.currency)
