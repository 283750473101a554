"""Accounts: finding them, and the page of one, where it stands and what may be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.finding import HOW_ACCOUNTS_ARE_FOUND
from accounts.large_lists import in_period
from accounts.models import Account
from accounts.spending import in_words
from quotas import entitlements
from quotas.admin import account_acts
from quotas.admin.account_page import overview_of
from quotas.admin.people import AccessFilter, AccountPeople
from quotas.entitlements import Span
from quotas.models.entitlements import Suspension
from quotas.models.plans import Plan


@dataclass(frozen=True, slots=True)
class _Now:
    """What counts for an account from now on; read once for a page."""

    spans: Sequence[Span]
    suspension: Suspension | None


class PlanFilter(admin.SimpleListFilter):
    """Finds the accounts for which a plan counts now."""

    title = gettext_lazy("plan")
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

    title = gettext_lazy("suspended")
    parameter_name = "suspended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        match self.value():
            case "yes":
                return queryset.filter(entitlements.is_suspended())
            case "no":
                return queryset.filter(~entitlements.is_suspended())
        return queryset


@admin.register(Account)
class AccountAdmin(AccountPeople):
    """Find accounts, see where one stands, and act on it: grant, move, suspend."""

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
    search_help_text = HOW_ACCOUNTS_ARE_FOUND
    readonly_fields = ("handle", "is_personal", "created_at", "access")
    fieldsets = ((None, {"fields": ("name", "handle", "is_personal", "created_at", "access")}),)
    add_fieldsets = ((None, {"fields": ("name",)}),)

    def get_urls(self) -> list[Any]:
        return [*account_acts.addresses(self), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """A new account begins with the default plan; there is nothing to say about it yet."""
        return self.add_fieldsets if obj is None else super().get_fieldsets(request, obj)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Above what can be changed stands what is so, and what may be done."""
        account = context.get("original")
        if isinstance(account, Account):
            now = _now(account)
            context |= overview_of(account, request, plan=now.spans[0].plan)
            context |= {
                "title": account.name,
                "subtitle": None,
                "facts": [
                    (_("Plan"), self.plans_in_turn(account)),
                    (_("Packs"), self.packs(account)),
                    (_("Spending"), self.spending(account)),
                    (_("Suspension"), self.suspension(account)),
                    *([(_("Closed"), self.closing(account))] if account.closed_at else []),
                ],
                "acts": account_acts.offered(
                    request, account, is_suspended=now.suspension is not None
                ),
            }
        return super().render_change_form(request, context, *args, **kwargs)

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

    @admin.display(description=gettext_lazy("plan"))
    def plan(self, account: Any) -> str:
        return str(account.plan_name)

    @admin.display(description=gettext_lazy("suspended"))
    def is_suspended(self, account: Any) -> str:
        """In words: a sign for “no” would look like a fault."""
        if account.closed_at is not None:
            return _("Closed")
        return _("Suspended") if account.suspended_now else _("No")

    def plans_in_turn(self, account: Account) -> str:
        """What counts and what follows, with the way to who gave it and why."""
        spans = _now(account).spans
        sentence = ""
        for span in spans:
            plan = str(span.plan)
            if span.ends_at:
                ends = {"plan": plan, "moment": _moment(span.ends_at)}
                plan = _("%(plan)s until %(moment)s") % ends
            following = _("%(plans)s, then %(plan)s") % {"plans": sentence, "plan": plan}
            sentence = following if sentence else plan
        return _with_history(sentence, "quotas_plangrant", account)

    def packs(self, account: Account) -> str:
        names = ", ".join(pack.name for pack in entitlements.packs_on(account))
        sentence = _("%(packs)s on") % {"packs": names} if names else _("None on")
        return _with_history(sentence, "quotas_packswitch", account)

    def spending(self, account: Account) -> str:
        """What it may spend past the allowance, with the way to who chose that and when."""
        words = ", ".join(in_words(entitlements.spending_of(account)))
        sentence = words or _("Boosts pay, then credits, without a ceiling")
        return _with_history(sentence, "quotas_spendingchoice", account)

    def suspension(self, account: Account) -> str:
        """Since when, by whom and why."""
        suspension = _now(account).suspension
        if suspension is None:
            return _with_history(_("Not suspended"), "quotas_suspension", account)
        if suspension.by and suspension.note:
            sentence = _("Suspended since %(moment)s by %(person)s: %(reason)s")
        elif suspension.by:
            sentence = _("Suspended since %(moment)s by %(person)s")
        elif suspension.note:
            sentence = _("Suspended since %(moment)s: %(reason)s")
        else:
            sentence = _("Suspended since %(moment)s")
        said = sentence % {
            "moment": _moment(suspension.created_at),
            "person": suspension.by,
            "reason": suspension.note,
        }
        return _with_history(said, "quotas_suspension", account)

    def closing(self, account: Account) -> str:
        """Since when, by whom, and until when that can be undone."""
        assert account.closed_at
        assert account.may_be_reopened_until
        return _("Closed since %(moment)s by %(person)s. It can be reopened until %(until)s.") % {
            "moment": _moment(account.closed_at),
            "person": account.closed_by or _("somebody who is gone"),
            "until": _moment(account.may_be_reopened_until),
        }

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        """Accounts own ledgers; suspend instead."""
        return False


def _now(account: Account) -> _Now:
    known = vars(account)
    if "read_now" not in known:
        spans = entitlements.spans_of([account], since=timezone.now())[account.pk]
        known["read_now"] = _Now(spans, entitlements.suspension_of(account))
    now: _Now = known["read_now"]
    return now


def _moment(at: datetime) -> str:
    return f"{date_format(at, 'j M Y H:i')} UTC"


def _with_history(sentence: str, changelist: str, account: Account) -> str:
    address = reverse(f"admin:{changelist}_changelist", query={"account": account.pk})
    return format_html('{}. <a href="{}">{}</a>', sentence, address, _("History"))
