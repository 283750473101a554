"""Bringing what PostgreSQL grants to the gate."""

import logging
from collections import defaultdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, Sum
from django.utils import timezone
from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from accounts.models import Account
from accounts.partitions import partition_state, record_pushes
from gate import connection, hot_state, snapshots, week
from gate.hot_state import REFUND_WINDOW_MS, Mark
from gate.snapshots import AccountSnapshot, BoostGrant
from keys.models import ApiKey
from quotas import catalogue, rollups
from quotas.models import Boost, ChargeMark, CreditEntry, Entitlement, UsageRollup

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 500


def entitlement_of(account: Account) -> Entitlement:
    """The account's entitlement; the default plan for an account that has none yet."""
    entitlement, _ = Entitlement.objects.select_related("plan").get_or_create(
        account=account, defaults={"plan_id": catalogue.default_plan().pk}
    )
    return entitlement


def load_account(handle: str) -> AccountSnapshot | None:
    """What a cold account is loaded with; None when there is no such account.

    The partition is drained first. A cold account cannot be charged, so after that PostgreSQL knows
    everything it ever spent.
    """
    account = Account.objects.filter(handle=handle).first()
    if account is None:
        return None
    rollups.drain_partition_fully(account.partition_index)
    return account_snapshot(account)


def account_snapshot(account: Account, *, at: datetime | None = None) -> AccountSnapshot:
    """What PostgreSQL says of an account now.

    The version is read first: what changes while the rest is read comes again with a higher one.
    """
    at = timezone.now() if at is None else at
    entitlement = entitlement_of(account)
    this_week = week.week_of(week.to_ms(at))
    credits = CreditEntry.objects.filter(account=account).aggregate(
        granted=Sum("credits", filter=~Q(kind=CreditEntry.Kind.SPEND), default=0),
        spent=Sum("credits", filter=Q(kind=CreditEntry.Kind.SPEND), default=0),
    )
    used, used_by_key = _used(account, this_week)
    partition = partition_state(account.partition_index)
    return AccountSnapshot(
        handle=account.handle,
        epoch=partition.epoch,
        pushes=partition.pushes,
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
        # Revoked keys too: an older copy of Valkey may hold them as active.
        keys=tuple(
            key.state(used=used_by_key[key.pk]) for key in ApiKey.objects.filter(account=account)
        ),
        marks=tuple(
            Mark(charge_ref=mark.charge_ref, content=mark.content)
            for mark in ChargeMark.objects.filter(
                account=account, made_at__gt=at - timedelta(milliseconds=REFUND_WINDOW_MS)
            )
        ),
    )


def _used(account: Account, this_week: int) -> tuple[int, dict[int, int]]:
    """Allowance chats of the week, and chats from every source by key, as far as drained."""
    rows = (
        UsageRollup.objects.filter(
            account=account, hour__gte=week.starts_at(this_week), hour__lt=week.ends_at(this_week)
        )
        .values_list("key_id", "source")
        .annotate(total=Sum("chats"))
    )
    allowance = 0
    by_key: dict[int, int] = defaultdict(int)
    for key_id, source, chats in rows:
        by_key[key_id] += chats
        if source == UsageRollup.Source.ALLOWANCE:
            allowance += chats
    return max(0, allowance), by_key


def push(account: Account) -> bool:
    """Tell the gate what is committed for an account; False when it must be repeated later."""
    try:
        client = connection.sync_client(settings.REDIS_URL)
        for _ in range(3):
            snapshot = account_snapshot(account)
            status, pushes = _put(client, snapshot, seed=False)
            if status == b"cold":
                # Loaded rather than left alone: a snapshot that was read before this change may be
                # on its way, and would otherwise be the one that stays.
                rollups.drain_partition_fully(account.partition_index)
                snapshot = account_snapshot(account)
                status, pushes = _put(client, snapshot, seed=True)
            if status == b"stored":
                break
            if status == b"cold_catalogue":
                state, current = catalogue.partition_snapshot(account.partition_index)
                hot_state.run(client, snapshots.put_catalogue_call(state, current))
        else:
            logger.error("account %s: the gate asks for another epoch again and again", account.pk)
            return False
    except (RedisError, OSError) as error:
        logger.warning("account %s did not reach the gate: %s", account.pk, type(error).__name__)
        return False
    record_pushes(account.partition_index, pushes)
    Entitlement.objects.filter(account=account, pushed_version__lt=snapshot.version).update(
        pushed_version=snapshot.version
    )
    return True


def _put(
    client: Redis | RedisCluster, snapshot: AccountSnapshot, *, seed: bool
) -> tuple[bytes, int]:
    status, pushes = hot_state.run(client, snapshots.put_account_call(snapshot, seed=seed))
    return status, pushes


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
