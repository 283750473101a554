"""/account/usage: what was used, what is left, and when it resets."""

import logging
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET
from redis.exceptions import RedisError

from accounts.current import AccountRequest, account_page
from accounts.models import Account
from accounts.roles import Act
from quotas.models.used import UsageRollup
from quotas.standing import outlook_of, standing_of
from quotas.usage import week_page

logger = logging.getLogger(__name__)


@require_GET
@account_page(Act.SEE_USAGE)
@never_cache
def usage(request: AccountRequest) -> HttpResponse:
    """This week of the account."""
    return render(request, "quotas/usage.html", _now(request.account))


@require_GET
@account_page(Act.SEE_USAGE)
@never_cache
def usage_now(request: AccountRequest) -> HttpResponse:
    """The part of the page that changes, for htmx to fetch."""
    return render(request, "quotas/_usage_now.html", _now(request.account))


def _now(account: Account) -> dict[str, Any]:
    standing = standing_of(account)
    week = None
    if standing is not None:
        try:
            week = week_page.usage_of(account, at=timezone.now())
        except (RedisError, OSError) as error:
            logger.warning("no usage of account %s: %s", account.pk, type(error).__name__)
            standing = None
    return {
        "standing": standing,
        "outlook": outlook_of(standing),
        "days": week.days if week else [],
        "days_peak": week.peak if week else 0,
        "week_total": week.total if week else 0,
        "keys_usage": week.keys if week else [],
        "meters_usage": week.meters if week else [],
        "has_usage": bool(week and week.total)
        or UsageRollup.objects.filter(account=account).exists(),
    }
