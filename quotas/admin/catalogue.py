"""Plans, packs, meters and what a chat costs: what everybody shares."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from quotas import catalogue, grants
from quotas.models.plans import Meter, Pack, Plan, QuotaPolicy


class StayingAdmin(admin.ModelAdmin[Any]):
    """What must stay says why (`why_it_stays`) on the page that asks, and is not deleted."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The reasons of those that stay, if there are any: then none is deleted."""
        reasons = [reason for obj in objs if (reason := obj.why_it_stays)]
        if reasons:
            # What depends on it may be thousands of rows that nobody reads.
            return [], {}, set(), reasons
        return super().get_deleted_objects(objs, request)


class CatalogueAdmin(StayingAdmin):
    """Whatever is changed here counts for the very next chat of everybody."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """A slug is spelled in the gate and in answers of the API: it stays."""
        return ["slug"] if obj is not None and hasattr(obj, "slug") else []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Tell the gate after everything of the form is saved."""
        super().save_related(request, form, formsets, change)
        if change and "position" in form.changed_data:
            grants.plans_changed_places()
        catalogue.changed()

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        catalogue.changed()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        catalogue.changed()


class PlanForm(forms.ModelForm[Plan]):
    """Choosing another plan as the default moves the mark; it cannot be taken away."""

    class Meta:
        model = Plan
        fields = (
            *("slug", "name", "summary", "features", "weekly_cap", "monthly_price_cents"),
            *("packs", "position", "is_public", "is_default"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mark = self.fields["is_default"]
        if self.instance.why_it_stays_default:
            mark.disabled = True
            mark.help_text = self.instance.why_it_stays_default
        else:
            mark.help_text = "New accounts begin with it, instead of the plan that is so now."

    def _get_validation_exclusions(self) -> set[str]:
        # That another plan has the mark is no mistake: saving moves it.
        return {*super()._get_validation_exclusions(), "is_default"}  # type: ignore[misc]


@admin.register(Plan)
class PlanAdmin(CatalogueAdmin):
    form = PlanForm
    list_display = ("name", "weekly_cap", "monthly_price_cents", "is_public", "is_default")
    list_filter = ("is_public",)
    search_fields = ("name", "slug")
    filter_horizontal = ("packs",)


@admin.register(Pack)
class PackAdmin(CatalogueAdmin):
    list_display = ("name", "slug", "weekly_cap")
    search_fields = ("name", "slug")


@admin.register(Meter)
class MeterAdmin(CatalogueAdmin):
    list_display = ("name", "slug", "chats")
    search_fields = ("name", "slug")


@admin.register(QuotaPolicy)
class QuotaPolicyAdmin(CatalogueAdmin):
    list_display = ("__str__", "credits_per_chat")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
