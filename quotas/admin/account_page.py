"""What the page of an account tells before anything can be changed: short lists, few queries."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from redis.exceptions import RedisError

from accounts.models import Account
from accounts.numbers import thousands
from gate.terms.reasons import Reason
from keys.models import ApiKey
from quotas import statement
from quotas.models.ledger import Boost
from quotas.models.plans import Plan
from quotas.standing import outlook_of, standing_of
from quotas.usage import recents
from quotas.usage.explained import explained
from quotas.usage.recents import Decided

logger = logging.getLogger(__name__)

_ROWS = 5
_DECISIONS = 8


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision in words: what was asked with which key, and what became of it."""

    at: datetime
    key: str
    asked: str
    says: str
    is_refused: bool
    request_id: str


def overview_of(account: Account, request: HttpRequest, *, plan: Plan) -> dict[str, Any]:
    """What is left and how the week stands, then the newest of each list that one may see."""
    standing = standing_of(account, plan=plan)
    told: dict[str, Any] = {
        "standing": standing,
        "outlook": outlook_of(standing),
        "decisions": _decisions(account),
    }
    may = request.user.has_perm
    if may("keys.view_apikey"):
        newest = ApiKey.objects.filter(account=account).order_by("-created_at", "-pk")
        told["api_keys"] = list(newest[:_ROWS])
        for key in told["api_keys"]:
            # Its text as owners know it has the account's handle.
            key.account = account
    if may("quotas.view_boost"):
        boosts = Boost.objects.filter(account=account).order_by("-expires_at", "-pk")
        told["boosts"] = list(boosts[:_ROWS])
    if may("quotas.view_creditentry"):
        told["ledger"] = statement.last_lines(account, at_most=_ROWS)
    return told


def _decisions(account: Account) -> list[Decision] | None:
    """The last ones; None when the gate gives no answer."""
    try:
        decided = recents.decisions_of(account)[:_DECISIONS]
    except (RedisError, OSError) as error:
        logger.warning("no decisions of account %s: %s", account.pk, type(error).__name__)
        return None
    names = dict(
        ApiKey.objects.filter(account=account, pk__in={one.key_id for one in decided}).values_list(
            "pk", "name"
        )
    )
    return [_in_words(one, names.get(one.key_id, "")) for one in decided]


def _in_words(one: Decided, key: str) -> Decision:
    is_refused = one.reason != Reason.OK
    return Decision(
        at=one.at,
        key=key,
        asked=f"{one.meter}: {one.model}" if one.model else one.meter,
        says=_("Refused: %(why)s") % {"why": explained(one.reason).name}
        if is_refused
        else _paid(one),
        is_refused=is_refused,
        request_id=one.request_id,
    )


def _paid(one: Decided) -> str:
    if one.is_given_back:
        return _("Given back")
    credits = ngettext("%(n)s credit", "%(n)s credits", one.credits) % {"n": thousands(one.credits)}
    parts = (
        (one.allowance, _("%(count)s of the allowance")),
        (one.boost, _("%(count)s of boosts")),
        (one.credit_chats, _("%(count)s for %(credits)s")),
    )
    said = ", ".join(
        words % {"count": thousands(chats), "credits": credits} for chats, words in parts if chats
    )
    return _("Passed: %(what_paid)s") % {"what_paid": said} if said else _("Passed")
