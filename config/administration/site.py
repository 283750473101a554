from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _

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
        return super().login(request, extra_context)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Models by task. app_label: those of one app only, as Django's page of an app asks."""
        apps = super().get_app_list(request, app_label)
        return by_task(apps, index_url=reverse("admin:index", current_app=self.name))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """How things stand, then every task."""
        return super().index(request, {**overview.of(request.user), **(extra_context or {})})
