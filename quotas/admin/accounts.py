"""The page of an account: where it stands, and what staff may change about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.db.models import OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import in_period
from accounts.models import Account
from quotas import entitlements, grants
from quotas.admin.forms import OnceForm, person
from quotas.admin.people import AccessFilter, AccountPeople
from quotas.entitlements import Span
from quotas.models.entitlements import Suspension
from quotas.models.plans import Plan
from quotas.standing import standing_of


@dataclass(frozen=True, slots=True)
class _Now:
    """What counts for an account from now on; read once for a page and the form on it."""

    spans: Sequence[Span]
    suspension: Suspension | None


class AccountForm(OnceForm):
    """Moves an account to another plan, suspends it or lets it work again; each with a reason."""

    plan = forms.ModelChoiceField(Plan.objects.all(), empty_label=None)
    plan_ends_at = forms.SplitDateTimeField(
        label="Plan until",
        required=False,
        widget=AdminSplitDateTime,
        help_text="When the plan ends by itself (UTC); its default plan counts then. "
        "Empty is for good.",
    )
    suspended = forms.BooleanField(
        required=False, help_text="Every request of the account is refused with 403."
    )
    reason = forms.CharField(
        required=False,
        max_length=200,
        help_text="Why its plan or suspension is changed. Kept with your name.",
    )

    class Meta:
        model = Account
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            return
        now = _now(self.instance)
        counts = now.spans[0]
        self.fields["plan"].initial = counts.plan
        self.fields["plan_ends_at"].initial = counts.ends_at
        self.fields["suspended"].initial = now.suspension is not None
        # A queryset would be asked twice: whether it begins with an empty choice, and for all.
        plan = cast("forms.ModelChoiceField[Plan]", self.fields["plan"])
        plan.choices = [(plan.pk, str(plan)) for plan in Plan.objects.all()]

    @property
    def moves(self) -> bool:
        """Whether the account is moved to a plan, or the end of its plan is moved."""
        return not {"plan", "plan_ends_at"}.isdisjoint(self.changed_data)

    def clean_plan_ends_at(self) -> datetime | None:
        ends_at: datetime | None = self.cleaned_data["plan_ends_at"]
        if "plan_ends_at" in self.changed_data and ends_at and ends_at <= timezone.now():
            raise forms.ValidationError("A plan must end in the future.")
        return ends_at

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if (self.moves or "suspended" in self.changed_data) and not data.get("reason"):
            self.add_error("reason", "Say why: it is kept with the change.")
        return data


class PlanFilter(admin.SimpleListFilter):
    """Finds the accounts for which a plan counts now."""

    title = "plan"
    parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return list(Plan.objects.values_list("pk", "name"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        chosen = self.value()
        if chosen not in {str(pk) for pk, _ in self.lookup_choices}:
            return queryset
        # What the page's queryset is annotated with.
        counts = Q(("plan_counting", chosen))
        # Few accounts hold a plan that is not the default; only those are looked at.
        return queryset.filter(counts, entitlements.may_count(int(chosen)))


class SuspendedFilter(admin.SimpleListFilter):
    """Finds the accounts that are suspended."""

    title = "suspended"
    parameter_name = "suspended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        match self.value():
            case "yes":
                return queryset.filter(entitlements.is_suspended())
            case "no":
                return queryset.filter(~entitlements.is_suspended())
        return queryset


@admin.register(Account)
class AccountAdmin(AccountPeople):
    """Move an account to another plan, suspend it, see where it stands."""

    form = AccountForm
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
        *(AccessFilter, PlanFilter, SuspendedFilter),
        *("is_personal", in_period("created_at")),
    )
    search_fields = ("^name", "handle")
    search_help_text = f"An account: {HOW_ACCOUNTS_ARE_FOUND}"
    readonly_fields = (
        *("handle", "is_personal", "created_at", "standing_now", "access"),
        *("plans_in_turn", "packs", "suspension"),
    )
    fieldsets = (
        (None, {"fields": ("name", "handle", "is_personal", "created_at")}),
        ("Now", {"fields": ("standing_now", "access", "plans_in_turn", "packs", "suspension")}),
        ("Change", {"fields": ("plan", "plan_ends_at", "suspended", "reason", "submission")}),
    )
    add_fieldsets = ((None, {"fields": ("name",)}),)

    def get_form(
        self, request: HttpRequest, obj: Account | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """A new account begins with the default plan."""
        if obj is None:
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        return self.add_fieldsets if obj is None else super().get_fieldsets(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return (
            super()
            .get_queryset(request)
            .annotate(plan_counting=entitlements.plan_counting(timezone.now()))
            .annotate(
                plan_name=Plan.objects.filter(pk=OuterRef("plan_counting")).values("name")[:1],
                suspended_now=entitlements.is_suspended(),
            )
        )

    @admin.display()
    def plan(self, account: Any) -> str:
        return str(account.plan_name)

    @admin.display(boolean=True, description="suspended")
    def is_suspended(self, account: Any) -> bool:
        return bool(account.suspended_now)

    @admin.display(description="standing now")
    def standing_now(self, account: Account) -> str:
        """What the gate says, for people who answer questions."""
        standing = standing_of(account, plan=_now(account).spans[0].plan)
        if standing is None:
            return "The gate gives no answer at the moment."
        cap = "unlimited" if standing.cap is None else f"{standing.cap:,}"
        return (
            f"{standing.used:,} of {cap} chats used this week, {standing.boost_left:,} left in "
            f"boosts, {standing.credits_left:,} credits. Resets {_moment(standing.resets_at)}."
        )

    @admin.display(description="plan")
    def plans_in_turn(self, account: Account) -> str:
        """What counts and what follows, with the way to who gave it and why."""
        spans = _now(account).spans
        sentence = ", then ".join(
            f"{span.plan} until {_moment(span.ends_at)}" if span.ends_at else str(span.plan)
            for span in spans
        )
        return _with_history(sentence, "quotas_plangrant", account)

    @admin.display(description="packs")
    def packs(self, account: Account) -> str:
        names = ", ".join(pack.name for pack in entitlements.packs_on(account))
        return _with_history(f"{names or 'None'} on", "quotas_packswitch", account)

    @admin.display(description="suspension")
    def suspension(self, account: Account) -> str:
        """Since when, by whom and why."""
        suspension = _now(account).suspension
        if suspension is None:
            return _with_history("Not suspended", "quotas_suspension", account)
        by = f" by {suspension.by}" if suspension.by else ""
        why = f": {suspension.note}" if suspension.note else ""
        sentence = f"Suspended since {_moment(suspension.created_at)}{by}{why}"
        return _with_history(sentence, "quotas_suspension", account)

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        """Accounts own ledgers; suspend instead."""
        return False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Plan and suspension go through the seam, like every change of quota."""
        super().save_related(request, form, formsets, change)
        if not isinstance(form, AccountForm):
            return
        data = form.cleaned_data
        told = {"at": timezone.now(), "by": person(request), "note": data["reason"]}
        if form.moves:
            grants.move_to_plan(
                account=form.instance,
                plan=data["plan"],
                ends_at=data["plan_ends_at"],
                source_ref=f"admin:{data['submission']}",
                **told,
            )
        if "suspended" in form.changed_data:
            change_access = grants.suspend if data["suspended"] else grants.reinstate
            change_access(account=form.instance, **told)


def _now(account: Account) -> _Now:
    known = vars(account)
    if "read_now" not in known:
        spans = entitlements.spans_of([account], since=timezone.now())[account.pk]
        known["read_now"] = _Now(spans, entitlements.suspension_of(account))
    now: _Now = known["read_now"]
    return now


def _moment(at: datetime) -> str:
    return f"{at:%-d %b %Y %H:%M} UTC"


def _with_history(sentence: str, changelist: str, account: Account) -> str:
    address = reverse(f"admin:{changelist}_changelist", query={"account": account.pk})
    return format_html('{}. <a href="{}">History</a>', sentence, address)
