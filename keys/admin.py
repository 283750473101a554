from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import OfAccountsAdmin, in_period
from accounts.models import User
from accounts.read_only_admin import ReadOnlyAdmin
from keys.issue import issue_service_token
from keys.models import ApiKey, ServiceToken
from keys.peppers import peppers_in_short
from keys.projection import CannotConfirm
from keys.revoke import revoke_api_key, revoke_service_token


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin[ApiKey], OfAccountsAdmin[ApiKey]):
    """Keys are made by their owners; here they are found and revoked."""

    # A row costs twice what it does elsewhere.
    list_per_page = 50
    list_display = (
        *("name", "masked", "account", "created_at", "last_used_at", "disabled_at", "revoked_at"),
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), in_period("created_at"))
    search_fields = ("^name", "last_four")
    search_help_text = format_lazy(
        gettext_lazy("How a key’s name begins, or its last four characters. {account}"),
        account=HOW_ACCOUNTS_ARE_FOUND,
    )
    actions = ("revoke",)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, below what is to be known of peppers."""
        context = {"note": peppers_in_short(), **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description=gettext_lazy("masked"))
    def masked(self, key: ApiKey) -> str:
        return key.masked

    @admin.action(description=gettext_lazy("Revoke selected keys"), permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        if not request.user.has_perm("keys.change_apikey"):
            self.message_user(request, _("You may not revoke keys."), messages.ERROR)
            return
        by = request.user if isinstance(request.user, User) else None
        waiting = 0
        for key in queryset:
            try:
                revoke_api_key(key=key, by=by, at=timezone.now())
            except CannotConfirm:
                waiting += 1
        if waiting:
            self.message_user(
                request,
                _("Waiting for the gate to confirm: %(count)s. This is repeated every second.")
                % {"count": waiting},
                messages.WARNING,
            )
        else:
            self.message_user(request, _("Revoked: the gate refuses these keys."), messages.SUCCESS)


TRUST = ("trusts_request_id", "trusts_units", "trusts_client_ip", "forwarded_hops", "meter")
COUNTED = ("ignored_headers", "ignored_at", "reported_at")


class TrustForm(forms.ModelForm[ServiceToken]):
    """What a token is called and trusted with; no number of hops is none."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["forwarded_hops"].required = False

    def clean_forwarded_hops(self) -> int:
        hops: int | None = self.cleaned_data["forwarded_hops"]
        return hops or 0


@admin.register(ServiceToken)
class ServiceTokenAdmin(admin.ModelAdmin[ServiceToken]):
    """Tokens of API servers and gateways; the text is shown once, right after adding."""

    list_display = (
        "name",
        "masked",
        "trusted_with",
        "ignored_headers",
        "ignored_at",
        "created_at",
        "reported_at",
        "revoked_at",
    )
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("name",)
    form = TrustForm
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("masked"))
    def masked(self, token: ServiceToken) -> str:
        return token.masked

    @admin.display(description=gettext_lazy("trusted with"))
    def trusted_with(self, token: ServiceToken) -> str:
        return token.trust_in_words or _("nothing")

    def get_readonly_fields(
        self, request: HttpRequest, obj: ServiceToken | None = None
    ) -> tuple[str, ...]:
        """The name of a token stays; what it is trusted with may change."""
        return () if obj is None else ("name", *COUNTED)

    def get_fields(self, request: HttpRequest, obj: ServiceToken | None = None) -> tuple[str, ...]:
        return ("name", *TRUST, *(() if obj is None else COUNTED))

    def has_delete_permission(self, request: HttpRequest, obj: ServiceToken | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: ServiceToken, form: object, change: bool
    ) -> None:
        if change:
            obj.save(update_fields=TRUST)
            self.message_user(request, _("It counts everywhere within 5 seconds."))
            return
        token, plaintext = issue_service_token(name=obj.name, trust=obj.trust)
        obj.pk = token.pk
        # Only for the answer to this very request; see response_add.
        obj.__dict__["_plaintext"] = plaintext

    def response_add(
        self, request: HttpRequest, obj: ServiceToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token in the answer to the POST itself: never in a message, session or URL."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("Service token “%(name)s”") % {"name": obj.name},
            "plaintext": obj.__dict__.pop("_plaintext"),
            "opts": self.opts,
        }
        response = render(request, "admin/keys/servicetoken/created.html", context, status=201)
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description=gettext_lazy("Revoke selected tokens"), permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ServiceToken]) -> None:
        if not request.user.has_perm("keys.change_servicetoken"):
            self.message_user(request, _("You may not revoke tokens."), messages.ERROR)
            return
        for token in queryset:
            revoke_service_token(token=token, at=timezone.now())
        self.message_user(request, _("Revoked: refused everywhere within 5 seconds."))
