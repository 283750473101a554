from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Account, User
from accounts.read_only_admin import ReadOnlyAdmin
from partitions.models import Partition
from quotas import catalogue, grants, projection
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Entitlement, Meter, Pack, Plan, QuotaPolicy
from quotas.models.used import WeekClose
from quotas.people_admin import AccessFilter, AccountPeople
from quotas.standing import standing_of


class CatalogueAdmin(admin.ModelAdmin[Any]):
    """Whatever is changed here counts for the very next chat of everybody."""

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """A slug is spelled in the gate and in answers of the API: it stays."""
        return ["slug"] if obj is not None and hasattr(obj, "slug") else []

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Tell the gate after everything of the form is saved."""
        super().save_related(request, form, formsets, change)
        catalogue.changed()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What must stay is named with the reason on the page that asks, and is not deleted."""
        listed, counts, lacking, protected = super().get_deleted_objects(objs, request)
        reasons = [reason for obj in objs if (reason := obj.why_it_stays)]
        return listed, counts, lacking, [*reasons, *protected]

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
        if self.instance.why_it_stays:
            mark.disabled = True
            mark.help_text = self.instance.why_it_stays
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


class EntitlementForm(forms.ModelForm[Entitlement]):
    suspended = forms.BooleanField(
        required=False, help_text="Every request of the account is refused with 403."
    )

    class Meta:
        model = Entitlement
        fields = ("plan",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["suspended"].initial = self.instance.suspended_at is not None


class EntitlementInline(admin.StackedInline[Entitlement, Account]):
    model = Entitlement
    form = EntitlementForm
    fields = ("plan", "suspended", "packs_on")
    readonly_fields = ("packs_on",)
    can_delete = False
    max_num = 1
    verbose_name_plural = "entitlement"


@admin.register(Account)
class AccountAdmin(AccountPeople):
    """Move an account to another plan, suspend it, see where it stands."""

    list_display = (
        "name",
        "handle",
        "plan",
        "is_personal",
        "has_people",
        "is_suspended",
        "created_at",
    )
    list_filter = (
        AccessFilter,
        "entitlement__plan",
        ("entitlement__suspended_at", admin.EmptyFieldListFilter),
        "is_personal",
        "created_at",
    )
    search_fields = ("name", "handle", "members__email")
    list_select_related = ("entitlement__plan",)
    readonly_fields = ("handle", "is_personal", "created_at", "standing_now", "access")
    inlines: ClassVar = [EntitlementInline, *AccountPeople.inlines]

    @admin.display(ordering="entitlement__plan")
    def plan(self, account: Account) -> str:
        entitlement = getattr(account, "entitlement", None)
        return entitlement.plan.name if entitlement else "(default)"

    @admin.display(boolean=True, description="suspended")
    def is_suspended(self, account: Account) -> bool:
        entitlement = getattr(account, "entitlement", None)
        return bool(entitlement and entitlement.suspended_at)

    @admin.display(description="standing now")
    def standing_now(self, account: Account) -> str:
        """What the gate says, for people who answer questions."""
        standing = standing_of(account) if account.pk else None
        if standing is None:
            return "The gate gives no answer at the moment."
        cap = "unlimited" if standing.cap is None else f"{standing.cap:,}"
        return (
            f"{standing.used:,} of {cap} chats used this week, {standing.boost_left:,} left in "
            f"boosts, {standing.credits_left:,} credits. "
            f"Resets {standing.resets_at:%-d %b %H:%M} UTC."
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Give an account that was never looked at its default plan, so that it can be edited."""
        account = super().get_object(request, object_id, from_field)
        if account is not None:
            projection.entitlement_of(account)
        return account

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        """Accounts own ledgers; suspend instead."""
        return False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Plan and suspension go through the seam, like every change of quota."""
        if formset.model is not Entitlement:
            super().save_formset(request, form, formset, change)
            return
        formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []
        for entry in formset.forms:
            if not entry.has_changed():
                continue
            account, data = form.instance, entry.cleaned_data
            if "plan" in entry.changed_data:
                grants.move_to_plan(account=account, plan=data["plan"])
            if "suspended" in entry.changed_data:
                grants.set_suspended(
                    account=account, suspended=data["suspended"], at=timezone.now()
                )
            formset.changed_objects.append((entry.instance, entry.changed_data))


class OnceForm(forms.ModelForm[Any]):
    """A form whose repeated submit gives nothing twice."""

    submission = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)


class BoostForm(OnceForm):
    """A free boost, which must still be able to pay."""

    def clean_expires_at(self) -> datetime:
        expires_at: datetime = self.cleaned_data["expires_at"]
        if expires_at <= timezone.now():
            raise forms.ValidationError("A boost must end in the future.")
        return expires_at


class GrantAdmin(admin.ModelAdmin[Any]):
    """Grants are added and never changed: a mistake is mended by another one."""

    form = OnceForm
    autocomplete_fields = ("account",)
    list_select_related = ("account",)
    search_fields = ("account__name", "account__handle", "account__members__email", "note")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The hidden submission belongs to the form that adds, not to the page that shows."""
        fields = super().get_fields(request, obj)
        return [name for name in fields if obj is None or name != "submission"]


@admin.register(Boost)
class BoostAdmin(GrantAdmin):
    """Free boosts of any size and life."""

    form = BoostForm
    list_display = ("account", "chats", "spent", "starts_at", "expires_at", "note", "granted_by")
    list_filter = ("starts_at", "expires_at")
    fields = ("account", "chats", "expires_at", "note", "submission")

    def save_model(self, request: HttpRequest, obj: Boost, form: Any, change: bool) -> None:
        boost = grants.grant_boost(
            account=obj.account,
            chats=obj.chats,
            at=timezone.now(),
            expires_at=obj.expires_at,
            source_ref=f"admin:{form.cleaned_data['submission']}",
            by=request.user if isinstance(request.user, User) else None,
            note=obj.note,
        )
        obj.pk = boost.pk


@admin.register(CreditEntry)
class CreditEntryAdmin(GrantAdmin):
    """The ledger. Adding a line grants credits, or takes them with a negative amount."""

    list_display = ("account", "credits", "kind", "created_at", "note")
    list_filter = ("kind", "created_at")
    date_hierarchy = "created_at"
    fields = ("account", "credits", "note", "submission")

    def save_model(self, request: HttpRequest, obj: CreditEntry, form: Any, change: bool) -> None:
        entry = grants.grant_credits(
            account=obj.account,
            credits=obj.credits,
            kind=CreditEntry.Kind.GRANT,
            at=timezone.now(),
            source_ref=f"admin:{form.cleaned_data['submission']}",
            note=obj.note or f"By {request.user}",
        )
        obj.pk = entry.pk


@admin.register(WeekClose)
class WeekCloseAdmin(ReadOnlyAdmin[WeekClose]):
    """What accounts used in weeks that have ended."""

    list_display = ("account", "week", "allowance", "boost", "credits", "closed_at")
    list_filter = ("week",)
    search_fields = ("account__name", "account__handle")
    list_select_related = ("account",)


@admin.register(Partition)
class PartitionAdmin(ReadOnlyAdmin[Partition]):
    """How far each partition's charges have been drained."""

    list_display = ("index", "epoch", "pushes", "drained_id", "drained_at")
