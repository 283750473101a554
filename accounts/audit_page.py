"""/account/audit: what was done for the account, by whom and from where; as a file, too."""

from collections.abc import Iterator

from django.db.models import Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts import spreadsheets
from accounts.current import AccountRequest, account_page
from accounts.listing import KindAndDays
from accounts.models import AuditEvent
from accounts.paging import Place, WordsForm, of_kind_between, page_of, words_field
from accounts.roles import Act

_KINDS = [("", _("Any")), *AuditEvent.Kind.choices]
# The words of the file, in any language; the page says them.
EXPORTED = ("at", "who", "way", "kind", "act", "thing", "changes", "reason", "ip", "client")
_AT_ONCE = 1_000


class AuditFilter(WordsForm, KindAndDays):
    """Which lines to show: of a kind, of some days, about somebody or something."""

    search_instead = _("That is a key. Search for its name instead.")
    q = words_field(
        _("Who or what"),
        title=_("An address of a person, or the name of a key, plan or webhook."),
    )
    field_order = ("q", "kind", "since", "until")

    def of(self, request: AccountRequest) -> QuerySet[AuditEvent]:
        """The lines of the account that are asked for; the form is valid."""
        events = AuditEvent.objects.filter(account=request.account)
        if words := self.cleaned_data["q"]:
            events = events.filter(Q(user_name__icontains=words) | Q(thing__icontains=words))
        return of_kind_between(
            events, kind=self.cleaned_data["kind"], since=self.since_at, until=self.until_at
        )


@require_GET
@account_page(Act.SEE_AUDIT)
@never_cache
def audit(request: AccountRequest) -> HttpResponse:
    """What was done, the newest first, by pages."""
    asked = AuditFilter(request.GET, kinds=_KINDS)
    page = None
    if asked.is_valid():
        page = page_of(asked.of(request), request.GET, kept=asked.kept)
    context = {"page": page, "asked": asked, "exported": EXPORTED}
    return render(request, "accounts/audit.html", context)


@require_GET
@account_page(Act.SEE_AUDIT)
@never_cache
def audit_export(request: AccountRequest) -> HttpResponse | StreamingHttpResponse:
    """The same as a file, the oldest first."""
    asked = AuditFilter(request.GET, kinds=_KINDS)
    why = ""
    if asked.is_valid():
        parts = spreadsheets.as_csv(EXPORTED, rows(asked.of(request)))
        try:
            file = spreadsheets.alone(request.account, parts, of="audit")
        except spreadsheets.CannotExport as error:
            why = str(error)
        else:
            response = StreamingHttpResponse(file, content_type=spreadsheets.CSV)
            response["Content-Disposition"] = 'attachment; filename="audit.csv"'
            return response
    url = reverse("audit")
    context = {
        "asked": asked,
        "why": why,
        "list_url": url,
        "above": _("Audit log"),
        "above_url": url,
    }
    return render(request, "accounts/no_export.html", context, status=400)


def rows(events: QuerySet[AuditEvent]) -> Iterator[list[tuple[object, ...]]]:
    """The events as rows; each part is read anew, and nothing is held meanwhile."""
    last: Place | None = None
    while True:
        following = events.filter(last.newer("created_at")) if last else events
        some = list(following.order_by("created_at", "pk")[:_AT_ONCE])
        if some:
            yield [_row(event) for event in some]
            last = Place(some[-1].created_at, some[-1].pk)
        if len(some) < _AT_ONCE:
            return


def _row(event: AuditEvent) -> tuple[object, ...]:
    changes = "; ".join(f"{what}: {before} → {after}" for what, before, after in event.changes)
    return (
        event.created_at.isoformat(timespec="seconds"),
        event.user_name,
        event.via,
        event.kind,
        event.act,
        event.thing,
        changes,
        event.note,
        event.ip or "",
        event.client,
    )
