"""Keys that will expire within seven days: whoever answers for them is mailed once for each end."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Membership
from accounts.site_address import site_address
from keys import mail_choice
from keys.models import ApiKey
from keys.telling import Told, key_address, mail_to, who_answers_for

WARNED_BEFORE = timedelta(days=7)
# Keys that one mail names; it says how many others there are.
_NAMED_AT_MOST = 10
_AT_ONCE = 500


def warn_of_expiring_keys(*, at: datetime) -> int:
    """Mail each person once about all keys of an account that they answer for; answers how many.

    A key that was made for less than these days is no news. One that is off is told of when it is
    on again.
    """
    accounts = _due(at=at).order_by("account_id").values_list("account_id", flat=True).distinct()
    return sum(_warn_about(account_id, at=at) for account_id in list(accounts[:_AT_ONCE]))


def _warn_about(account_id: int, *, at: datetime) -> int:
    with transaction.atomic():
        # Whoever holds a key this moment, or is held up by us, need not wait: an hour later we come
        # again.
        due = _due(at=at).filter(account_id=account_id).select_related("account")
        held = due.select_for_update(of=("self",), skip_locked=True).order_by("expires_at", "pk")
        keys = list(held[:_AT_ONCE])
        for key in keys:
            key.note_warned_of_expiry()
        told: dict[int, list[ApiKey]] = defaultdict(list)
        members: dict[int, Membership] = {}
        for key in keys:
            for member in who_answers_for(key):
                members[member.pk] = member
                told[member.pk].append(key)
        for member in mail_choice.who_wants_it(list(members.values())):
            theirs = told[member.pk]
            mail_to(member.user, theirs[0].account, partial(_told, theirs))
    return len(keys)


def _due(*, at: datetime) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(
        Q(expiry_told_for=None) | ~Q(expiry_told_for=F("expires_at")),
        Q(expires_at__gt=at),
        expires_at__lte=at + WARNED_BEFORE,
        expires_at__gt=F("created_at") + WARNED_BEFORE,
        revoked_at=None,
        disabled_at=None,
    )


def _told(keys: Sequence[ApiKey]) -> Told:
    count = len(keys)
    if count == 1:
        heading = _("Key “%(name)s” expires within 7 days") % {"name": keys[0].name}
        action, url = _("Look at this key"), key_address(keys[0])
    else:
        heading = ngettext(
            "%(count)s key expires within 7 days", "%(count)s keys expire within 7 days", count
        ) % {"count": count}
        action, url = _("Your keys"), site_address(reverse("keys"))
    facts = [
        # Whatever is warned of has an end.
        _("%(name)s (%(masked)s): until %(moment)s UTC")
        % {
            "name": key.name,
            "masked": key.masked,
            "moment": date_format(cast("datetime", key.expires_at), "DATETIME_FORMAT"),
        }
        for key in keys[:_NAMED_AT_MOST]
    ]
    if others := count - len(facts):
        more = ngettext("and %(count)s more key", "and %(count)s more keys", others)
        facts.append(more % {"count": others})
    return Told(
        heading=heading,
        facts=facts,
        sentences=[
            ngettext(
                "From then on every request with it is refused. Give it a later end on its page, "
                "or make another one for the program that uses it.",
                "From then on every request with them is refused. Give them a later end on their "
                "pages, or make others for the programs that use them.",
                count,
            ),
            mail_choice.sentence(),
        ],
        action=action,
        url=url,
    )
