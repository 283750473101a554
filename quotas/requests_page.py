"""/account/usage/requests: the last decisions of the account, and why a request was refused."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from django_stubs_ext import StrOrPromise
from redis.exceptions import RedisError

from accounts.current import AccountRequest, account_page
from accounts.roles import Act
from gate.service.shapes import MAX_REQUEST_ID
from gate.terms import tags
from keys.listing import keys_seen_by
from keys.models import ApiKey
from quotas.models.plans import Meter
from quotas.usage.explained import Explained, explained
from quotas.usage.recents import Decided, decisions_of

logger = logging.getLogger(__name__)

_A_PAGE = 50
# A list to choose from is no longer than that: those of the last keys that asked.
_KEYS_AT_MOST = 100
_ACCEPTED, _REFUSED = "accepted", "refused"


@dataclass(frozen=True, slots=True)
class Row:
    """One decision as the page shows it; `explained` of a refusal."""

    decided: Decided
    key: ApiKey | None
    meter: str
    explained: Explained | None


class Filter(forms.Form):
    """Which of the decisions to show; empty is all of them."""

    request_id = forms.CharField(
        required=False,
        max_length=MAX_REQUEST_ID,
        label=_("Request id"),
        help_text=_(
            "The whole X-Request-Id of an answer, or the request_id that your server sent."
        ),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", _("All")), (_ACCEPTED, _("Passed")), (_REFUSED, _("Refused"))],
        label=_("Outcome"),
        error_messages={"invalid_choice": _("Choose passed, refused or all.")},
    )
    reason = forms.ChoiceField(
        required=False,
        label=_("Why refused"),
        error_messages={"invalid_choice": _("No request here was refused for that.")},
    )
    key = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label=_("Key"),
        error_messages={"invalid_choice": _("No request here was made with that key.")},
    )
    tag = forms.CharField(required=False, max_length=tags.AT_MOST, label=_("Tag"))

    def __init__(self, asked: Any, *, decisions: Iterable[Decided], keys: Iterable[ApiKey]) -> None:
        super().__init__(asked)
        reasons = sorted({one.reason for one in decisions if not one.has_passed})
        self._choices("reason", [(reason, explained(reason).name) for reason in reasons])
        self._choices("key", [(key.pk, f"{key.name} ({key.masked})") for key in keys])

    def _choices(self, name: str, choices: Sequence[tuple[Any, StrOrPromise]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("Any")), *choices]

    def of(self, decisions: Iterable[Decided]) -> list[Decided]:
        """Those that were asked for; none where something is asked that cannot be."""
        return [one for one in decisions if self._is_wanted(one)] if self.is_valid() else []

    def _is_wanted(self, one: Decided) -> bool:
        asked = self.cleaned_data
        return (
            (not asked["request_id"] or one.request_id == asked["request_id"])
            and (not asked["outcome"] or one.has_passed == (asked["outcome"] == _ACCEPTED))
            and (not asked["reason"] or one.reason == asked["reason"])
            and (asked["key"] is None or one.key_id == asked["key"])
            and (not asked["tag"] or one.tag == asked["tag"])
        )


@require_GET
@account_page(Act.SEE_USAGE)
@never_cache
def requests(request: AccountRequest) -> HttpResponse:
    """The decisions, a page at a time, those asked for only."""
    try:
        decisions = decisions_of(request.account)
    except (RedisError, OSError) as error:
        logger.warning(
            "no recent requests of account %s: %s", request.account.pk, type(error).__name__
        )
        return render(request, "quotas/requests.html", {"is_away": True})
    keys = _keys(keys_seen_by(request.membership), decisions)
    form = Filter(request.GET, decisions=decisions, keys=keys.values())
    page = Paginator(form.of(decisions), _A_PAGE).get_page(request.GET.get("page"))
    meters = dict(Meter.objects.values_list("slug", "name"))
    asked = {
        name: value
        for name in form.fields
        if (value := request.GET.get(name, "")) and value.strip()
    }
    return render(
        request,
        "quotas/requests.html",
        {
            "form": form,
            "has_any": bool(decisions),
            "is_filtered": bool(asked),
            "query": urlencode(asked),
            "page": page,
            "rows": [
                Row(
                    one,
                    keys.get(one.key_id),
                    meters.get(one.meter, one.meter),
                    None if one.has_passed else explained(one.reason),
                )
                for one in page
            ],
        },
    )


def _keys(seen: QuerySet[ApiKey], decisions: Iterable[Decided]) -> dict[int, ApiKey]:
    """Those that the visitor may see of the keys that asked last, by number, the last one first."""
    last = list(dict.fromkeys(one.key_id for one in decisions))[:_KEYS_AT_MOST]
    found = seen.select_related("account").in_bulk(last)
    return {key_id: found[key_id] for key_id in last if key_id in found}
