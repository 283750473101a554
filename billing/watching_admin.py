"""The admin's lists of what is told and found about money: events, refunds, checks, differences."""

import json
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.large_lists import in_period
from accounts.read_only_admin import ReadOnlyAdmin
from billing import events, problems
from billing.models import OBJECT_ID, BookCheck, Difference, Refund, StripeEvent

_AGAIN_AT_MOST = 100
_ID_IN_SHORT = 30
_TYPES_AT_MOST = 200
# Each type is found by the one before it, in the index of types.
_TYPES = """
WITH RECURSIVE known (type) AS (
    (SELECT type FROM billing_stripeevent ORDER BY type LIMIT 1)
    UNION ALL
    SELECT (
        SELECT type FROM billing_stripeevent WHERE type > known.type ORDER BY type LIMIT 1
    ) FROM known WHERE known.type IS NOT NULL
)
SELECT type FROM known WHERE type IS NOT NULL LIMIT %s
"""


class StateFilter(admin.SimpleListFilter):
    """Events by what became of them."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, str(words)) for name, words in _STATES.items()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[StripeEvent]
    ) -> QuerySet[StripeEvent]:
        chosen = _CONDITIONS.get(str(self.value()))
        return queryset if chosen is None else queryset.filter(chosen)


_STATES = {
    "waiting": gettext_lazy("Waiting"),
    "failed": gettext_lazy("Failed, and tried again"),
    "handled": gettext_lazy("Handled"),
    "without_effect": gettext_lazy("Without effect"),
}
_CONDITIONS = {
    "waiting": Q(handled_at=None, error=""),
    "failed": Q(handled_at=None) & ~Q(error=""),
    "handled": Q(handled_at__isnull=False, error=""),
    "without_effect": Q(handled_at__isnull=False) & ~Q(error=""),
}


class TypeFilter(admin.SimpleListFilter):
    """Events of one type, of those that came."""

    title = gettext_lazy("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        with connection.cursor() as cursor:
            cursor.execute(_TYPES, [_TYPES_AT_MOST])
            return [(kind, kind) for (kind,) in cursor.fetchall()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[StripeEvent]
    ) -> QuerySet[StripeEvent]:
        chosen = self.value()
        return queryset.filter(type=chosen) if chosen else queryset


class AgainForm(forms.Form):
    """Why events are handled again."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        help_text=gettext_lazy("Kept with your name, for whoever asks later."),
        error_messages={"required": gettext_lazy("Say why: it is kept with the event.")},
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin[StripeEvent]):
    """What Stripe told us, and what became of it; any of it can be handled again."""

    list_display = ("type", "state", "why", "object_id_in_short", "received_at", "attempts")
    list_filter = (StateFilter, TypeFilter, in_period("received_at"))
    search_fields = ("event_id", "type")
    search_help_text = gettext_lazy(
        "An event’s id, the id of what it is about, as “cs_…” or “ch_…”, or its type, as "
        "“checkout.session.completed”."
    )
    fields = (
        *("event_id", "type", "object_id", "state", "why", "received_at", "handled_at"),
        *("attempts", "retry_at", "claimed_until", "what_came"),
    )
    readonly_fields = ("object_id", "state", "why", "what_came")
    actions = ("handle_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StripeEvent]:
        """A list of events reads none of what they carry, but the id of what they are about."""
        found = super().get_queryset(request).annotate(about_id=OBJECT_ID)
        return found.defer("payload")

    def found_elsewhere(self, request: HttpRequest, words: str) -> Q:
        return Q(about_id=words)

    @admin.display(description=gettext_lazy("about"))
    def object_id(self, event: StripeEvent) -> str:
        return getattr(event, "about_id", None) or str(self.get_empty_value_display())

    @admin.display(description=gettext_lazy("about"))
    def object_id_in_short(self, event: StripeEvent) -> str:
        """Those of sessions are longer than a column."""
        return Truncator(self.object_id(event)).chars(_ID_IN_SHORT)

    @admin.display(description=gettext_lazy("payload"))
    def what_came(self, event: StripeEvent) -> str:
        """As it was sent, a line for each thing that it says."""
        return format_html("<pre>{}</pre>", json.dumps(event.payload, indent=2, ensure_ascii=False))

    @admin.display(description=gettext_lazy("state"))
    def state(self, event: StripeEvent) -> str:
        return str(_STATES[event.state])

    @admin.display(description=gettext_lazy("why"))
    def why(self, event: StripeEvent) -> str:
        return problems.of_an_event(event.error)

    def has_again_permission(self, request: HttpRequest) -> bool:
        """Whoever may change events may have them handled again."""
        return request.user.has_perm("billing.change_stripeevent")

    @admin.action(description=gettext_lazy("Handle again"), permissions=["again"])
    def handle_again(
        self, request: HttpRequest, chosen: QuerySet[StripeEvent]
    ) -> HttpResponse | None:
        """Lead to the page that asks why."""
        numbers = list(chosen.values_list("pk", flat=True)[: _AGAIN_AT_MOST + 1])
        if len(numbers) > _AGAIN_AT_MOST:
            too_many = _("Choose at most %(number)s events.") % {"number": _AGAIN_AT_MOST}
            self.message_user(request, too_many, messages.ERROR)
            return None
        where = reverse("admin:billing_stripeevent_again")
        return redirect(f"{where}?ids={','.join(map(str, numbers))}")

    def get_urls(self) -> list[Any]:
        own = path(
            "again/", self.admin_site.admin_view(self.again), name="billing_stripeevent_again"
        )
        return [own, *super().get_urls()]

    def again(self, request: HttpRequest) -> HttpResponse:
        """Ask why events are to be handled again; the POST leaves them to the worker."""
        if not self.has_again_permission(request):
            raise PermissionDenied
        numbers = [
            int(text)
            for text in request.GET.get("ids", "").split(",")[:_AGAIN_AT_MOST]
            if text.isascii() and text.isdecimal() and len(text) < 19
        ]
        chosen = list(StripeEvent.objects.filter(pk__in=numbers).defer("payload"))
        form = AgainForm(request.POST or None)
        if chosen and form.is_valid():
            self._handled_again(request, chosen, form.cleaned_data["reason"])
            if len(chosen) == 1:
                return redirect("admin:billing_stripeevent_change", chosen[0].pk)
            return redirect("admin:billing_stripeevent_changelist")
        if not chosen:
            self.message_user(request, _("Choose the events first."), messages.ERROR)
            return redirect("admin:billing_stripeevent_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Handle again"),
            "events": chosen,
            "adminform": AdminForm(cast("Any", form), [(None, {"fields": list(form.fields)})], {}),
            "opts": self.opts,
        }
        return render(request, "admin/billing/stripeevent/again.html", context)

    def _handled_again(self, request: HttpRequest, chosen: list[StripeEvent], reason: str) -> None:
        taken = 0
        for event in chosen:
            if events.handle_again(event.pk, at=timezone.now()):
                taken += 1
                self.log_change(request, event, f"handle again: {reason}")
        if taken:
            done = ngettext(
                "%(number)s event is handled again within seconds.",
                "%(number)s events are handled again within seconds.",
                taken,
            )
            self.message_user(request, done % {"number": taken}, messages.SUCCESS)
        if taken < len(chosen):
            busy = _("What a worker is at this very moment was left to it.")
            self.message_user(request, busy, messages.WARNING)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin[Refund]):
    """What staff returned, and what became of it; made on the page of a purchase."""

    list_display = ("purchase", "amount", "status", "why", "reason", "by", "created_at")
    list_filter = ("status", in_period("created_at"))
    list_select_related = ("purchase__account", "by")
    search_fields = ("purchase", "stripe_refund_id", "stripe_session_id")
    search_help_text = gettext_lazy(
        "A purchase’s number, or the id of the refund or of its session at Stripe."
    )
    fields = (
        *("purchase", "amount", "status", "why", "reason", "by", "created_at", "asked_at"),
        *("answered_at", "stripe_refund_id", "stripe_session_id"),
    )
    readonly_fields = ("amount", "why")

    @admin.display(description=gettext_lazy("amount"))
    def amount(self, refund: Refund) -> str:
        return refund.amount

    @admin.display(description=gettext_lazy("why"))
    def why(self, refund: Refund) -> str:
        return refund.error_in_words


class OpenFilter(admin.SimpleListFilter):
    """Differences that are there, and those that were."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", _("There at the last look")), ("resolved", _("Gone since"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Difference]
    ) -> QuerySet[Difference]:
        if self.value() == "open":
            return queryset.filter(resolved_at=None)
        if self.value() == "resolved":
            return queryset.exclude(resolved_at=None)
        return queryset


@admin.register(Difference)
class DifferenceAdmin(ReadOnlyAdmin[Difference]):
    """Books that do not say the same, and what to do; they resolve themselves."""

    list_display = (
        *("kind", "account", "expected", "found", "what_to_do", "first_seen_at", "resolved_at"),
    )
    list_filter = (OpenFilter, "kind", in_period("first_seen_at"))
    list_select_related = ("account",)
    search_fields = ("subject", "purchase")
    search_help_text = gettext_lazy(
        "What it is about, as “account:12” or “boost:7”, or a purchase’s number."
    )
    fields = (
        *("kind", "account", "purchase", "subject", "expected", "found", "what_to_do"),
        *("first_seen_at", "last_seen_at", "resolved_at"),
    )
    readonly_fields = ("what_to_do",)

    @admin.display(description=gettext_lazy("what to do"))
    def what_to_do(self, difference: Difference) -> str:
        return difference.what_to_do


@admin.register(BookCheck)
class BookCheckAdmin(ReadOnlyAdmin[BookCheck]):
    """When Stripe's books and the gate's were looked at beside ours, and what was found."""

    list_display = ("kind", "started_at", "finished_at", "since", "until", "found", "error")
    list_filter: ClassVar[Any] = ("kind", in_period("started_at"))
    fields = (
        *("kind", "started_at", "finished_at", "since", "until", "found", "untold_at", "error"),
    )
    readonly_fields = ("found",)

    @admin.display(description=gettext_lazy("found"))
    def found(self, check: BookCheck) -> str:
        """Names and numbers, as programs read them."""
        return ", ".join(f"{name} {number}" for name, number in sorted(check.counts.items()))
