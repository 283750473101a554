"""Bringing what PostgreSQL grants to the gate."""

import logging
from datetime import datetime

from django.conf import settings
from django.db.models import F, Q, Sum
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.models import Account
from gate import connection, hot_state, week
from gate.hot_state import AccountSnapshot, BoostGrant
from keys.models import ApiKey
from quotas import catalogue
from quotas.models import Boost, CreditEntry, Entitlement, Partition, UsageRollup

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 500


def entitlement_of(account: Account) -> Entitlement:
    """The account's entitlement; the default plan for an account that has none yet."""
    entitlement, _ = Entitlement.objects.select_related("plan").get_or_create(
        account=account, defaults={"plan_id": catalogue.default_plan().pk}
    )
    return entitlement


def account_snapshot(handle: str, *, at: datetime | None = None) -> AccountSnapshot | None:
    """What PostgreSQL says of an account; None when there is no such account.

    The version is read first: what changes while the rest is read comes again with a higher one.
    """
    at = timezone.now() if at is None else at
    account = Account.objects.filter(handle=handle).first()
    if account is None:
        return None
    entitlement = entitlement_of(account)
    partition = Partition.objects.get(pk=hot_state.partition_of(handle))
    this_week = week.week_of(week.to_ms(at))
    credits = CreditEntry.objects.filter(account=account).aggregate(
        granted=Sum("credits", filter=~Q(kind=CreditEntry.Kind.SPEND), default=0),
        spent=Sum("credits", filter=Q(kind=CreditEntry.Kind.SPEND), default=0),
    )
    used = UsageRollup.objects.filter(
        account=account,
        source=UsageRollup.Source.ALLOWANCE,
        hour__gte=week.starts_at(this_week),
        hour__lt=week.ends_at(this_week),
    ).aggregate(chats=Sum("chats", default=0))["chats"]
    return AccountSnapshot(
        handle=handle,
        epoch=partition.epoch,
        version=entitlement.version,
        plan=entitlement.plan.slug,
        packs=tuple(entitlement.packs_on.values_list("slug", flat=True)),
        suspended=entitlement.suspended_at is not None,
        credits=credits["granted"],
        credits_spent=-credits["spent"],
        boosts=tuple(
            BoostGrant(
                boost_id=boost.pk,
                chats=boost.chats,
                expires_ms=week.to_ms(boost.expires_at),
                spent=boost.spent,
            )
            for boost in Boost.objects.filter(account=account, expires_at__gt=at)
        ),
        week=this_week,
        used=used,
        keys=tuple(key.state for key in ApiKey.objects.filter(account=account, revoked_at=None)),
    )


def push(account: Account) -> bool:
    """Tell the gate what is committed for an account; False when it must be repeated later."""
    client = connection.sync_client(settings.REDIS_URL)
    try:
        for _ in range(3):
            snapshot = account_snapshot(account.handle)
            if snapshot is None:
                return True
            reply = hot_state.run(client, hot_state.put_account_call(snapshot))
            if reply == b"stored":
                break
            if reply == b"cold_catalogue":
                index = hot_state.partition_of(account.handle)
                epoch, current = catalogue.partition_snapshot(index)
                hot_state.run(client, hot_state.put_catalogue_call(index, epoch, current))
        else:
            logger.error("account %s: the gate asks for another epoch again and again", account.pk)
            return False
    except (RedisError, OSError) as error:
        logger.warning("account %s did not reach the gate: %s", account.pk, type(error).__name__)
        return False
    Entitlement.objects.filter(account=account, pushed_version__lt=snapshot.version).update(
        pushed_version=snapshot.version
    )
    return True


def push_pending_accounts() -> int:
    """Repeat what did not reach the gate; answers how many accounts did now."""
    pending = (
        Entitlement.objects.filter(pushed_version__lt=F("version"))
        .select_related("account")
        .order_by("pk")[:_SWEEP_AT_ONCE]
    )
    pushed = 0
    for entitlement in pending:
        if not push(entitlement.account):
            break
        pushed += 1
    return pushed
