"""/account/usage: what was used, what is left, and when it resets."""

import hashlib
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import (
    HttpResponse,
    HttpResponseNotModified,
    QueryDict,
    StreamingHttpResponse,
)
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import spreadsheets
from accounts.current import AccountRequest, account_page
from accounts.roles import Act
from keys.listing import keys_seen_by
from quotas.standing import fingerprint_of
from quotas.usage import export, page, reading, spans
from quotas.usage.reading import Question

_ZONE = "usage_zone"


@require_GET
@account_page(Act.SEE_USAGE)
@never_cache
def usage(request: AccountRequest) -> HttpResponse:
    """What an account used in a span of time, by what is asked for in the address."""
    at = timezone.now()
    # Before the page is read: what comes meanwhile is new to who has seen it.
    version = _version(request, at=at)
    question = _question(request, at=at)
    keys = keys_seen_by(request.membership)
    context = page.page_of(request.account, question, keys=keys, at=at)
    context |= {"zone_names": spans.zone_names(), "version": version}
    status = 400 if question.errors else 404 if context["page_is_past"] else 200
    return render(request, "quotas/usage.html", context, status=status)


@require_GET
@account_page(Act.SEE_USAGE)
@never_cache
def usage_now(request: AccountRequest) -> HttpResponse:
    """The part of the page that changes, for htmx to fetch; 304 while there is nothing new."""
    at = timezone.now()
    version = _version(request, at=at)
    if version and request.headers.get("If-None-Match") == version:
        return HttpResponseNotModified()
    keys, question = keys_seen_by(request.membership), _question(request, at=at)
    context: dict[str, Any] = page.page_of(request.account, question, keys=keys, at=at)
    return render(request, "quotas/_usage_now.html", context | {"version": version})


@require_POST
@account_page(Act.SEE_USAGE)
def usage_zone(request: AccountRequest) -> HttpResponse:
    """Choose the zone that times are told in, and go on with the view that was looked at."""
    view = QueryDict(request.POST.get("view", "")[:2_000], mutable=True)
    view.pop("zone", None)
    zone = reading.zone_of(request.POST.get("zone", ""))
    if zone is None:
        # The page says what is wrong with it.
        view["zone"] = request.POST.get("zone", "")[:100]
    else:
        request.session[_ZONE] = zone.key
    answer = redirect("usage")
    answer["Location"] += f"?{view.urlencode()}" if view else ""
    return answer


@require_GET
@account_page(Act.SEE_USAGE)
@never_cache
def usage_export(request: AccountRequest, kind: str) -> HttpResponse | StreamingHttpResponse:
    """Every row of a view as a file, sent as it is read: “csv” or “json”."""
    at = timezone.now()
    question = _question(request, at=at)
    if question.errors:
        return _no_export(request, question.errors)
    try:
        keys = keys_seen_by(request.membership)
        parts = export.rows(request.account, question.span, only=question.only, keys=keys, at=at)
        file = spreadsheets.alone(request.account, _WRITERS[kind](parts), of="usage")
    except spreadsheets.CannotExport as error:
        return _no_export(request, {"export": str(error)})
    response = StreamingHttpResponse(file, content_type=_CONTENT_TYPES[kind])
    first, last = question.span.first_date, question.span.last_date
    name = f"usage-{first}-to-{last}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


_WRITERS = {"csv": export.as_csv, "json": export.as_json}
_CONTENT_TYPES = {"csv": spreadsheets.CSV, "json": "application/json"}


def _no_export(request: AccountRequest, errors: dict[str, str]) -> HttpResponse:
    return render(request, "quotas/no_export.html", {"errors": errors}, status=400)


def _question(request: AccountRequest, *, at: datetime) -> Question:
    zone = reading.zone_of(request.session.get(_ZONE, "UTC")) or ZoneInfo("UTC")
    return reading.read(request.GET, account=request.account, zone=zone, at=at)


def _version(request: AccountRequest, *, at: datetime) -> str:
    """What of the page was seen; "" where the gate gives no answer. Once a minute another one."""
    fingerprint = fingerprint_of(request.account)
    if fingerprint is None:
        return ""
    zone, language = request.session.get(_ZONE, ""), get_language() or ""
    said = (
        *(request.GET.urlencode(), zone, language, request.membership.role),
        f"{at:%Y-%m-%dT%H:%M}",
    )
    text = "|".join((fingerprint, *said))
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
