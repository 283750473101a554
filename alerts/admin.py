from django.contrib import admin

from accounts.read_only_admin import ReadOnlyAdmin
from alerts.models import Alert, AlertSettings, Delivery, WebhookEndpoint


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert]):
    """What accounts were told of, and what only passed by."""

    list_display = ("kind", "account", "occasion", "is_passed", "occurred_at")
    list_filter = ("kind", "is_passed", "occurred_at")
    search_fields = ("=id", "account__handle", "account__name", "occasion")
    list_select_related = ("account",)
    show_full_result_count = False


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin[Delivery]):
    """Who was told, and what became of it."""

    list_display = (
        "alert",
        "user",
        "endpoint",
        "state",
        "tries",
        "last_status",
        "error",
        "done_at",
    )
    list_filter = ("state", "alert__kind", "next_try_at")
    search_fields = ("alert__account__handle", "user__email", "endpoint__url", "error")
    list_select_related = ("alert", "user", "endpoint")
    ordering = ("-pk",)
    show_full_result_count = False


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin[WebhookEndpoint]):
    """Where accounts have us post. Secrets are nowhere to be seen: none is stored."""

    list_display = ("url", "account", "is_on", "failures", "failing_since", "removed_at")
    list_filter = ("is_on", "created_at", ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("=id", "url", "account__handle", "account__name")
    list_select_related = ("account",)


@admin.register(AlertSettings)
class AlertSettingsAdmin(ReadOnlyAdmin[AlertSettings]):
    """What accounts chose to be told of; who never chose is not here."""

    list_display = ("account", "kinds", "low_credits")
    search_fields = ("account__handle", "account__name")
    list_select_related = ("account",)
