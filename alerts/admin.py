from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.finding import HOW_ACCOUNTS_ARE_FOUND, accounts_found
from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.money import of_a_credit_when_read
from accounts.read_only_admin import ReadOnlyAdmin
from alerts.models import Alert, AlertSettings, Delivery, WebhookEndpoint

_LOW = _("Credits below which they are low. {worth}")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert], OfAccountsAdmin[Alert]):
    """What accounts were told of, and what only passed by."""

    list_display = ("kind", "account", "occasion", "is_passed", "occurred_at")
    list_filter = ("kind", in_period("occurred_at"))
    search_fields = ("account", "id")


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
        "what_went_wrong",
        "done_at",
    )
    list_filter = ("state",)
    search_fields = ("alert", "endpoint")
    search_help_text: ClassVar[Any] = HOW_ACCOUNTS_ARE_FOUND
    list_select_related = ("alert", "user", "endpoint")
    ordering = ("-pk",)

    @admin.display(description=_("error"))
    def what_went_wrong(self, delivery: Delivery) -> str:
        """In the reader's language."""
        return delivery.why

    def get_fields(self, request: HttpRequest, obj: Delivery | None = None) -> Any:
        shown = super().get_fields(request, obj)
        return ["what_went_wrong" if name == "error" else name for name in shown]

    def found_elsewhere(self, request: HttpRequest, words: str) -> Q:
        return Q(alert__in=Alert.objects.filter(account__in=accounts_found(words)).values("pk"))


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin[WebhookEndpoint], OfAccountsAdmin[WebhookEndpoint]):
    """Where accounts have us post. Secrets are nowhere to be seen: none is stored."""

    list_display = ("url", "account", "is_on", "failures", "failing_since", "removed_at")
    list_filter = ("is_on", ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("account", "id")
    ordering = ("-created_at", "-pk")


class SettingsForm(forms.ModelForm[AlertSettings]):
    """With what a credit is worth here: the text of the field is of US dollars."""

    class Meta:
        model = AlertSettings
        fields = ("account", "kinds", "low_credits", "changed_at")
        help_texts: ClassVar = {"low_credits": format_lazy(_LOW, worth=of_a_credit_when_read())}


@admin.register(AlertSettings)
class AlertSettingsAdmin(ReadOnlyAdmin[AlertSettings], OfAccountsAdmin[AlertSettings]):
    """What accounts chose to be told of; who never chose is not here."""

    form = SettingsForm
    list_display = ("account", "kinds", "low_credits")
