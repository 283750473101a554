from typing import ClassVar

from django.contrib import admin

from accounts.read_only_admin import ReadOnlyAdmin
from billing.models import Product, Purchase, StripeEvent


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    """What is on sale. A change holds for later purchases only."""

    list_display = ("name", "kind", "price_cents", "chats", "valid_days", "credits", "is_active")
    list_filter = ("kind", "is_active")
    list_editable = ("is_active",)
    search_fields = ("name", "slug")
    prepopulated_fields: ClassVar = {"slug": ("name",)}


@admin.register(Purchase)
class PurchaseAdmin(ReadOnlyAdmin[Purchase]):
    """What was bought; Stripe and fulfilment write it."""

    list_display = ("product_name", "account", "amount_cents", "status", "created_at", "paid_at")
    list_filter = ("status", "kind", ("problem", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("=id", "stripe_session_id", "account__handle", "account__name", "user__email")
    list_select_related = ("account",)
    exclude = ("checkout_url",)
    date_hierarchy = "created_at"


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin[StripeEvent]):
    """What Stripe told us, and whether it was handled."""

    list_display = ("type", "event_id", "received_at", "handled_at", "attempts", "error")
    list_filter = (("handled_at", admin.EmptyFieldListFilter), "type", "received_at")
    search_fields = ("event_id", "type")
    date_hierarchy = "received_at"
