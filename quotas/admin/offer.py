"""Models that customers may name, and the providers that answer."""

import os
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Count, F, QuerySet
from django.db.models.expressions import OuterRef, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin_fields import ManyAsBoxes, RowForm
from accounts.numbers import thousands
from quotas import offer
from quotas.admin.catalogue import StayingAdmin
from quotas.models.offer import AIModel, Provider
from quotas.models.plans import Meter

_DEMO = gettext_lazy("Built-in demo")


def _is_set(variable: str) -> bool:
    """Whether this process has it; empty is absent, as for every setting."""
    return bool(os.environ.get(variable, "").strip())


@admin.register(Provider)
class ProviderAdmin(StayingAdmin):
    """Where models are asked. A change counts for the calls that come after it."""

    list_display = ("name", "asked_at", "key", "models")
    list_filter = (
        ("base_url", admin.EmptyFieldListFilter),
        ("key_variable", admin.EmptyFieldListFilter),
    )
    search_fields = ("name", "base_url", "key_variable")
    fields = ("name", "base_url", "key_variable")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        counted: QuerySet[Any] = (
            super().get_queryset(request).annotate(model_count=Count("ai_models"))
        )
        return counted

    @admin.display(description=gettext_lazy("address"), ordering="base_url")
    def asked_at(self, provider: Provider) -> str:
        """As it counts: its own, the house's, or none."""
        base_url = offer.base_url_of(provider)
        if not base_url:
            return str(_DEMO)
        return base_url if provider.base_url else f"{base_url} (MODEL_BASE_URL)"

    @admin.display(description=gettext_lazy("key"), ordering="key_variable")
    def key(self, provider: Provider) -> str:
        """The variable that counts, and whether it is there."""
        variable = offer.key_variable_of(provider)
        if not variable:
            return _("No key")
        if _is_set(variable):
            return variable
        return _("%(variable)s (not set)") % {"variable": variable}

    @admin.display(description=gettext_lazy("models"), ordering="model_count")
    def models(self, provider: Any) -> int:
        return int(provider.model_count)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        provider = context.get("original")
        if isinstance(provider, Provider):
            self._warn_of_missing_key(request, provider)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Provider, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._warn_of_missing_key(request, obj)

    def _warn_of_missing_key(self, request: HttpRequest, provider: Provider) -> None:
        variable = offer.key_variable_of(provider)
        if variable and not _is_set(variable):
            self.message_user(
                request,
                _(
                    "%(variable)s is not set in the environment of the process that shows this "
                    "page. Unless the gate has it, the provider is asked without a key."
                )
                % {"variable": variable},
                messages.WARNING,
            )


class AIModelForm(forms.ModelForm[AIModel]):
    """Either every plan may use a model, or those that are chosen: never by leaving all empty."""

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        is_for_all, plans = data.get("for_all_plans"), data.get("plans")
        if is_for_all and plans:
            self.add_error("for_all_plans", _("Untick this, or choose no plan: it is one of both."))
        elif not is_for_all and not plans and "plans" not in self.errors:
            self.add_error("plans", _("Choose who may use it: plans, or all of them."))
        return data


class WhoMayUseFilter(admin.SimpleListFilter):
    """Finds models that every plan may use, only some, or none any more."""

    title = gettext_lazy("plans")
    parameter_name = "plans"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", _("All plans")), ("some", _("Some plans")), ("none", _("Nobody"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> QuerySet[AIModel]:
        match self.value():
            case "all":
                return queryset.filter(for_all_plans=True)
            case "some":
                return queryset.filter(for_all_plans=False, plans__isnull=False).distinct()
            case "none":
                return queryset.filter(for_all_plans=False, plans=None)
        return queryset


@admin.register(AIModel)
class AIModelAdmin(ManyAsBoxes):
    """What customers may name. A change counts for the calls that come after it."""

    form = AIModelForm
    list_display = (
        *("name", "endpoint", "position", "answered_by", "cost", "who_may", "is_offered"),
    )
    list_editable = ("position",)
    list_filter = ("endpoint", "is_offered", WhoMayUseFilter, "provider")
    list_select_related = ("provider",)
    search_fields = ("name", "name_at_provider", "description", "provider__name")
    # How many there are without the filters is a count that nobody asks for.
    show_full_result_count = False
    readonly_fields = ("asked_as", "cost")
    actions = ("start_offering", "stop_offering")
    fieldsets = (
        (None, {"fields": ("name", "description", "endpoint", "position", "is_offered")}),
        (gettext_lazy("Who answers"), {"fields": ("provider", "name_at_provider", "asked_as")}),
        (gettext_lazy("What it costs"), {"fields": ("units", "cost")}),
        (gettext_lazy("Who may use it"), {"fields": ("for_all_plans", "plans")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AIModel]:
        meter = Meter.objects.filter(slug=OuterRef("endpoint")).values("chats")[:1]
        models: QuerySet[AIModel] = (
            super()
            .get_queryset(request)
            .annotate(meter_chats=Subquery(meter))
            .annotate(cost_chats=F("meter_chats") * F("units"))
            .prefetch_related("plans")
        )
        return models

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, **{"form": RowForm, **kwargs})

    @admin.display(description=gettext_lazy("cost in chats"), ordering="cost_chats")
    def cost(self, model: Any) -> str:
        """What a call costs now: the meter's cost times the units."""
        if model.pk is None:
            return "-"
        if model.cost_chats is None:
            return _("Not offered: there is no meter “%(meter)s”") % {"meter": model.endpoint}
        return thousands(model.cost_chats)

    @admin.display(description=gettext_lazy("provider"), ordering="provider__name")
    def answered_by(self, model: AIModel) -> str:
        """One column for both: the list is wide."""
        return f"{model.provider}: {self.asked_as(model)}"

    @admin.display(description=gettext_lazy("asked as"))
    def asked_as(self, model: AIModel) -> str:
        """What the provider is asked for, or why it cannot be."""
        if model.pk is None:
            return "-"
        if why := offer.why_unanswered(model):
            return _("Not offered: %(why)s") % {"why": why}
        return offer.name_at_provider_of(model) if offer.base_url_of(model.provider) else str(_DEMO)

    @admin.display(description=gettext_lazy("plans"))
    def who_may(self, model: AIModel) -> str:
        if model.for_all_plans:
            return _("All")
        return ", ".join(plan.name for plan in model.plans.all()) or _("Nobody")

    @admin.action(description=gettext_lazy("Offer the selected models"), permissions=["change"])
    def start_offering(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        self._set_offered(request, queryset, is_offered=True)

    @admin.action(
        description=gettext_lazy("Stop offering the selected models"), permissions=["change"]
    )
    def stop_offering(self, request: HttpRequest, queryset: QuerySet[AIModel]) -> None:
        self._set_offered(request, queryset, is_offered=False)

    def _set_offered(
        self, request: HttpRequest, queryset: QuerySet[AIModel], *, is_offered: bool
    ) -> None:
        changed = list(queryset.exclude(is_offered=is_offered))
        AIModel.objects.filter(pk__in=[model.pk for model in changed]).update(is_offered=is_offered)
        says = _("Offered.") if is_offered else _("No longer offered.")
        if changed:
            assert request.user.pk is not None
            LogEntry.objects.log_actions(request.user.pk, changed, CHANGE, says)
        names = ", ".join(model.name for model in changed)
        if not changed:
            told = _("Nothing changed.")
        elif is_offered:
            told = _("Offered. %(names)s.") % {"names": names}
        else:
            told = _("No longer offered. %(names)s.") % {"names": names}
        self.message_user(request, told, messages.SUCCESS)
