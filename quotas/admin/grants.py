"""What staff give: boosts, credits and plans for a time."""

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import DateTimeField, Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import money
from accounts.large_lists import OfAccountsAdmin, in_period
from quotas import grants
from quotas.admin.forms import ReasonedForm, SplitMoment, person
from quotas.models.entitlements import PlanGrant
from quotas.models.ledger import Boost, CreditEntry


class BoostForm(ReasonedForm):
    """A free boost, which must still be able to pay."""

    def clean_expires_at(self) -> datetime:
        expires_at: datetime = self.cleaned_data["expires_at"]
        if expires_at <= timezone.now():
            raise forms.ValidationError(_("A boost must end in the future."))
        return expires_at


class CreditsForm(ReasonedForm):
    """A line of the ledger, whose reason customers read.

    It says what a credit is worth here: the text of the field is of US dollars.
    """

    class Meta:
        help_texts: ClassVar = {
            "credits": format_lazy(
                gettext_lazy("{worth} Negative when used."), worth=money.of_a_credit_when_read()
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if reason := self.fields.get("note"):
            reason.help_text = _("Customers read it in their ledger; the history says it was you.")


class GrantAdmin(OfAccountsAdmin[Any]):
    """Grants are added and never changed: a mistake is mended by another one."""

    form = ReasonedForm
    autocomplete_fields = ("account",)
    formfield_overrides: ClassVar = {
        DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": SplitMoment}
    }

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """What was given is kept in the history with its reason."""
        if add:
            return _("Added. Reason: %(reason)s.") % {"reason": form.cleaned_data["note"]}
        return super().construct_change_message(request, form, formsets, add)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The hidden submission belongs to the form that adds, not to the page that shows."""
        fields = super().get_fields(request, obj)
        return [name for name in fields if obj is None or name != "submission"]


@admin.register(Boost)
class BoostAdmin(GrantAdmin):
    """Free boosts of any size and life."""

    form = BoostForm
    list_display = ("account", "chats", "spent", "starts_at", "expires_at", "note", "granted_by")
    list_filter = (in_period("starts_at"), in_period("expires_at"))
    list_select_related = ("account", "granted_by")
    ordering = ("-starts_at", "-pk")
    fields = ("account", "chats", "expires_at", "note", "submission")

    def save_model(self, request: HttpRequest, obj: Boost, form: Any, change: bool) -> None:
        boost = grants.grant_boost(
            account=obj.account,
            chats=obj.chats,
            at=timezone.now(),
            expires_at=obj.expires_at,
            source_ref=f"admin:{form.cleaned_data['submission']}",
            by=person(request),
            note=obj.note,
        )
        obj.pk = boost.pk


class PlanGrantForm(ReasonedForm):
    """A plan for a time, which may begin later."""

    end_now = forms.BooleanField(
        label=gettext_lazy("End now"),
        required=False,
        help_text=gettext_lazy("What it has beside it counts then."),
    )

    class Meta:
        model = PlanGrant
        fields = ("account", "plan", "starts_at", "ends_at", "seats", "note", "end_note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "starts_at" in self.fields:
            self.fields["starts_at"].initial = timezone.now

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        starts_at, ends_at = data.get("starts_at"), data.get("ends_at")
        if ends_at and ends_at <= timezone.now():
            self.add_error("ends_at", _("A plan must end in the future."))
        if ends_at and starts_at and ends_at <= starts_at:
            self.add_error("ends_at", _("It must end after it begins."))
        if data.get("end_now") and not data.get("end_note"):
            self.add_error("end_note", _("Say why: it is kept with the grant."))
        if data.get("end_note") and "end_now" in self.fields and not data.get("end_now"):
            self.add_error("end_now", _("Tick this to end the plan."))
        return data


@admin.register(PlanGrant)
class PlanGrantAdmin(GrantAdmin):
    """Plans that accounts have, had or will have. One that lasts can be ended at once."""

    form = PlanGrantForm
    list_display = ("account", "plan", "source", "starts_at", "ends_at", "ended_at", "by")
    list_filter = (
        *("source", "plan"),
        *(in_period("starts_at"), in_period("ends_at"), in_period("ended_at")),
    )
    list_select_related = ("account", "plan", "by", "ended_by")
    add_fields = ("account", "plan", "starts_at", "ends_at", "seats", "note", "submission")
    shown_fields = (
        *("account", "plan", "source", "starts_at", "ends_at", "seats", "by", "note"),
        *("ended_at", "ended_by", "end_note"),
    )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What has ended, and what never does, is shown only."""
        if isinstance(obj, PlanGrant) and (
            obj.ended_at is not None or obj.source == PlanGrant.Source.DEFAULT
        ):
            return False
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return () if obj is None else [name for name in self.shown_fields if name != "end_note"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        if obj is None:
            return self.add_fields
        can_end = self.has_change_permission(request, obj)
        return (*self.shown_fields, "end_now") if can_end else self.shown_fields

    def save_model(self, request: HttpRequest, obj: PlanGrant, form: Any, change: bool) -> None:
        data = form.cleaned_data
        if not change:
            grant = grants.grant_plan(
                account=obj.account,
                plan=obj.plan,
                source=PlanGrant.Source.ADMIN,
                at=obj.starts_at,
                ends_at=obj.ends_at,
                seats=obj.seats,
                source_ref=f"admin:{data['submission']}",
                by=person(request),
                note=obj.note,
            )
            obj.pk = grant.pk
        elif data["end_now"]:
            grants.end_plan(
                source_ref=obj.source_ref,
                at=timezone.now(),
                by=person(request),
                note=data["end_note"],
            )


@admin.register(CreditEntry)
class CreditEntryAdmin(GrantAdmin):
    """The ledger. Adding a line grants credits, or takes them with a negative amount."""

    form = CreditsForm
    list_display = ("account", "credits", "kind", "created_at", "note")
    list_filter = ("kind", in_period("created_at"))
    fields = ("account", "credits", "note", "submission")

    def save_model(self, request: HttpRequest, obj: CreditEntry, form: Any, change: bool) -> None:
        entry = grants.grant_credits(
            account=obj.account,
            credits=obj.credits,
            kind=CreditEntry.Kind.GRANT,
            at=timezone.now(),
            source_ref=f"admin:{form.cleaned_data['submission']}",
            note=obj.note,
        )
        obj.pk = entry.pk
