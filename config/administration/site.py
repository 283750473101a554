from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from accounts.second_factor import has_passkey, has_second_factor, showed_second_factor
from config.administration import overview
from config.administration.tasks import by_task


class AdministrationSite(admin.AdminSite):
    """The admin for people who run a business: by task, and first of all how things stand."""

    site_header = "sansxel account"
    site_title = "sansxel account"
    index_title = _("How things stand")
    empty_value_display = "–"

    # One door: the sign-in page has throttles, the admin's own has none.
    @method_decorator(secure_admin_login)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        user = request.user
        if self.has_permission(request) or not isinstance(user, User):
            return super().login(request, extra_context)
        if not has_second_factor(user):
            context = self.each_context(request)
            return TemplateResponse(request, "admin/second_factor.html", context, status=403)
        # They have one, and came in before, or by their password.
        way = "mfa_reauthenticate_webauthn" if has_passkey(user) else "mfa_reauthenticate"
        wanted = request.GET.get(REDIRECT_FIELD_NAME, reverse("admin:index"))
        return redirect(reverse(way, query={REDIRECT_FIELD_NAME: wanted}))

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff who showed more than a password in this session."""
        if not super().has_permission(request):
            return False
        if not settings.ADMIN_NEEDS_SECOND_FACTOR:
            return True
        return isinstance(request.user, User) and showed_second_factor(request, request.user)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What every page of the admin says of itself, besides."""
        is_lenient = not settings.ADMIN_NEEDS_SECOND_FACTOR
        return {**super().each_context(request), "password_will_do": is_lenient}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Models by task. app_label: those of one app only, as Django's page of an app asks."""
        apps = super().get_app_list(request, app_label)
        return by_task(apps, index_url=reverse("admin:index", current_app=self.name))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """How things stand, then every task."""
        return super().index(request, {**overview.of(request.user), **(extra_context or {})})
