"""Bringing what PostgreSQL grants to the gate."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import TypeVar

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, F, Q, Sum
from django.utils import timezone
from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from accounts.access import attended
from accounts.models import WITHOUT_BUDGET, Account, Membership
from gate.store import connection, hot_state, snapshots
from gate.store.hot_state import REFUND_WINDOW_MS, Mark
from gate.store.snapshots import NOTHING_PAID, AccountSnapshot, BoostGrant, Paid, PlanSpan
from gate.terms import month, week
from gate.terms.budget import Budget
from gate.terms.reasons import Outcome
from gate.terms.spending import NO_LIMITS
from keys.models import ApiKey
from partitions.models import Partition
from partitions.states import record_pushes
from quotas import catalogue, entitlements
from quotas.entitlements import Span
from quotas.models.entitlements import Entitlement, PackSwitch, SpendingChoice, Suspension
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.used import ChargeMark, UsageRollup
from quotas.usage import drain

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 500
# What has ended by our clock may not have by Valkey's, which counts. It knows when each ends.
_CLOCKS_APART = timedelta(days=1)
# Less than the gate waits for an account: a drain that hangs must not keep what loads it.
_DRAIN_WITHIN_SECONDS = 4.0
# Without a catalogue, then cold, then of another epoch, twice.
_PUTS_AT_MOST = 5

Row = TypeVar("Row", Boost, ApiKey, ChargeMark, PackSwitch)


def entitlement_of(account: Account) -> Entitlement:
    """The account's entitlement; the database gives the default plan with the first one."""
    entitlement, _ = Entitlement.objects.get_or_create(account=account)
    return entitlement


def load_accounts(handles: Iterable[str]) -> dict[str, AccountSnapshot]:
    """What cold accounts are loaded with, by handle; what is no account's handle is left out.

    Their partitions are drained first. A cold account cannot be charged, so after that PostgreSQL
    knows everything it ever spent. The epochs are read before that: should one end meanwhile, the
    gate does not take the snapshot.
    """
    accounts = list(Account.objects.filter(handle__in=handles))
    partitions = _partitions_of(accounts)
    drain.move_all_of(partitions, within_seconds=_DRAIN_WITHIN_SECONDS)
    if not accounts:
        return {}
    name = hot_state.stream_name(min(partitions))
    servers_ms = connection.server_ms(connection.sync_client(settings.REDIS_URL), name)
    return _snapshots(accounts, partitions, at=timezone.now(), servers_ms=servers_ms)


def account_snapshot(account: Account, *, at: datetime | None = None) -> AccountSnapshot:
    """What PostgreSQL says of an account now."""
    at = timezone.now() if at is None else at
    return _snapshots([account], _partitions_of([account]), at=at)[account.handle]


def account_snapshots(accounts: Sequence[Account], *, at: datetime) -> dict[str, AccountSnapshot]:
    """The same of many accounts, by handle."""
    return _snapshots(accounts, _partitions_of(accounts), at=at)


def _partitions_of(accounts: Iterable[Account]) -> dict[int, Partition]:
    return Partition.objects.in_bulk({account.partition_index for account in accounts})


def _snapshots(
    accounts: Sequence[Account],
    partitions: Mapping[int, Partition],
    *,
    at: datetime,
    servers_ms: int | None = None,
) -> dict[str, AccountSnapshot]:
    """What PostgreSQL says of accounts, by handle, in as many queries for many as for one.

    servers_ms: by Valkey's clock. What an account used in that week and month counts, whatever we
    believe in.

    The versions are read first: what changes while the rest is read comes again with a higher one.
    """
    held = _entitlements(accounts)
    with_people = attended(held)
    this_week = week.week_of(week.to_ms(at))
    credits = _credits(accounts)
    servers_ms = week.to_ms(at) if servers_ms is None else servers_ms
    servers_week, this_month = week.week_of(servers_ms), month.month_of(servers_ms)
    weeks_used = _used(accounts, {this_week, servers_week})
    paid = _paid(accounts, {this_week, servers_week}, this_month)
    by_any_clock = at - _CLOCKS_APART
    spans = entitlements.spans_of(accounts, since=by_any_clock)
    packs = _by_account(
        PackSwitch.objects.filter(account__in=accounts, ended_at=None).select_related("pack")
    )
    suspensions = Suspension.objects.filter(account__in=accounts, ended_at=None)
    suspended = set(suspensions.values_list("account", flat=True))
    choices = SpendingChoice.objects.filter(account__in=accounts, key=None, ended_at=None)
    spending = {choice.account_id: choice.spending for choice in choices}
    boosts = _by_account(Boost.objects.filter(account__in=accounts, expires_at__gt=by_any_clock))
    # Revoked keys too: an older copy of Valkey may hold them as active.
    keys = _by_account(ApiKey.objects.filter(account__in=accounts))
    refundable_since = at - timedelta(milliseconds=REFUND_WINDOW_MS) - _CLOCKS_APART
    marks = _by_account(
        ChargeMark.objects.filter(account__in=accounts, made_at__gt=refundable_since)
    )
    budgets = budgets_of(accounts)
    found = {}
    for account in accounts:
        partition = partitions[account.partition_index]
        entitlement = held[account.pk]
        granted, spent = credits.get(account.pk, (0, 0))
        by_week = weeks_used[account.pk]
        # Without anything used the earlier one: a check enters the next week by itself.
        counts = next(
            (number for number in (servers_week, this_week) if number in by_week),
            min(servers_week, this_week),
        )
        allowance, by_key = by_week.get(counts, _NOTHING)
        paid_by_key = paid[account.pk, counts]
        found[account.handle] = AccountSnapshot(
            handle=account.handle,
            epoch=partition.epoch,
            pushes=partition.pushes,
            version=entitlement.version,
            plan=entitlements.span_at(spans[account.pk], at).plan.slug,
            plans=_plan_spans(spans[account.pk]),
            packs=tuple(sorted(switch.pack.slug for switch in packs[account.pk])),
            # A person who is gone has no access, and nobody else can stop the keys they know.
            suspended=account.pk in suspended or account.pk not in with_people,
            credits=granted,
            credits_spent=spent,
            boosts=tuple(_grant(boost) for boost in boosts[account.pk]),
            week=counts,
            used=max(0, allowance),
            keys=tuple(
                key.state(used=by_key.get(key.pk, 0), paid=paid_by_key.get(key.pk, NOTHING_PAID))
                for key in keys[account.pk]
            ),
            spending=spending.get(account.pk, NO_LIMITS),
            month=this_month,
            # Of keys that are not there any more, too.
            paid=Paid(
                in_week=sum(one.in_week for one in paid_by_key.values()),
                in_month=sum(one.in_month for one in paid_by_key.values()),
            ),
            budgets=budgets[account.pk],
            marks=tuple(
                Mark(charge_ref=mark.charge_ref, content=mark.content) for mark in marks[account.pk]
            ),
        )
    return found


def budgets_of(accounts: Sequence[Account]) -> dict[int, dict[int, Budget]]:
    """What members may use who may not use everything, by account and user."""
    found: dict[int, dict[int, Budget]] = defaultdict(dict)
    for member in Membership.objects.filter(account__in=accounts).exclude(WITHOUT_BUDGET):
        found[member.account_id][member.user_id] = member.budget
    return found


def _entitlements(accounts: Sequence[Account]) -> dict[int, Entitlement]:
    """The entitlements by account; accounts that had none have one then, with the default plan."""
    rows = Entitlement.objects.filter(account__in=accounts)
    held = {row.account_id: row for row in rows}
    lacking = [account for account in accounts if account.pk not in held]
    if lacking:
        Entitlement.objects.bulk_create(
            (Entitlement(account=account) for account in lacking), ignore_conflicts=True
        )
        held |= {row.account_id: row for row in rows.filter(account__in=lacking)}
    return held


def _credits(accounts: Sequence[Account]) -> dict[int, tuple[int, int]]:
    """Credits granted, and spent as far as drained, by account."""
    is_spent = Q(kind=CreditEntry.Kind.SPEND)
    rows = (
        CreditEntry.objects.filter(account__in=accounts)
        .values_list("account_id")
        .annotate(
            granted=Sum("credits", filter=~is_spent, default=0),
            spent=Sum("credits", filter=is_spent, default=0),
        )
    )
    return {account_id: (granted, -spent) for account_id, granted, spent in rows}


# Chats of a week, as far as drained: of the allowance, and of every source by key.
_Used = tuple[int, Mapping[int, int]]


_NOTHING: _Used = (0, {})


def _used(accounts: Sequence[Account], weeks: set[int]) -> dict[int, dict[int, _Used]]:
    """What was used in some weeks, by account and week. Only weeks with something are there."""
    is_in_one = Q()
    for number in weeks:
        is_in_one |= Q(hour__gte=week.starts_at(number), hour__lt=week.ends_at(number))
    latest = week.starts_at(max(weeks))
    rows = (
        UsageRollup.objects.filter(is_in_one, account__in=accounts)
        .annotate(is_of_latest=ExpressionWrapper(Q(hour__gte=latest), BooleanField()))
        .values_list("account_id", "key_id", "source", "is_of_latest")
        .annotate(total=Sum("chats"))
    )
    allowance: dict[tuple[int, int], int] = defaultdict(int)
    by_key: dict[tuple[int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for account_id, key_id, source, is_of_latest, chats in rows:
        at = account_id, max(weeks) if is_of_latest else min(weeks)
        by_key[at][key_id] += chats
        if source == UsageRollup.Source.ALLOWANCE:
            allowance[at] += chats
    found: dict[int, dict[int, _Used]] = defaultdict(dict)
    for (account_id, number), keys in by_key.items():
        found[account_id][number] = allowance[account_id, number], keys
    return found


def _paid(
    accounts: Sequence[Account], weeks: set[int], this_month: int
) -> dict[tuple[int, int], dict[int, Paid]]:
    """Credits that were spent in a week, and in the month, by account and week, by key.

    As far as drained. A charge and what came back of it stand in the hour of the charge.
    """
    in_month = Q(hour__gte=month.starts_at(this_month), hour__lt=month.ends_at(this_month))
    in_weeks = {
        number: Q(hour__gte=week.starts_at(number), hour__lt=week.ends_at(number))
        for number in weeks
    }
    in_any = reduce(or_, in_weeks.values(), in_month)
    rows = (
        UsageRollup.objects.filter(in_any, account__in=accounts, source=UsageRollup.Source.CREDITS)
        .values_list("account_id", "key_id")
        .annotate(
            in_month=Sum("credits", filter=in_month, default=0),
            **{
                f"in_week_{number}": Sum("credits", filter=in_week, default=0)
                for number, in_week in in_weeks.items()
            },
        )
    )
    found: dict[tuple[int, int], dict[int, Paid]] = defaultdict(dict)
    for account_id, key_id, of_month, *of_weeks in rows:
        for number, of_week in zip(in_weeks, of_weeks, strict=True):
            paid = Paid(in_week=max(0, of_week), in_month=max(0, of_month))
            found[account_id, number][key_id] = paid
    return found


def _plan_spans(spans: Sequence[Span]) -> tuple[PlanSpan, ...]:
    """Spans as the gate needs them: nothing where one plan counts for good."""
    if len(spans) == 1:
        return ()
    return tuple(
        PlanSpan(span.plan.slug, None if span.ends_at is None else week.to_ms(span.ends_at))
        for span in spans
    )


def _grant(boost: Boost) -> BoostGrant:
    return BoostGrant(
        boost_id=boost.pk,
        chats=boost.granted,
        expires_ms=week.to_ms(boost.expires_at),
        spent=boost.spent,
    )


def _by_account(rows: Iterable[Row]) -> dict[int, list[Row]]:
    by_account: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_account[row.account_id].append(row)
    return by_account


def push(account: Account, *, is_cold: bool = False) -> bool:
    """Tell the gate what is committed for an account; False when it must be repeated later.

    is_cold: the gate said so already. It is asked nothing then that it would refuse.
    """
    snapshot = None
    try:
        client = connection.sync_client(settings.REDIS_URL)
        for _ in range(_PUTS_AT_MOST):
            if snapshot is None:
                # Loaded rather than left alone: a snapshot that was read before this change may be
                # on its way, and would otherwise be the one that stays.
                handle = account.handle
                snapshot = load_accounts([handle])[handle] if is_cold else account_snapshot(account)
            status, pushes = _put(client, snapshot, seed=is_cold)
            if status == Outcome.STORED:
                break
            if status == Outcome.COLD_CATALOGUE:
                # The snapshot stays good: its epoch is looked at again.
                state, current = catalogue.partition_snapshot(account.partition_index)
                hot_state.run(client, snapshots.put_catalogue_call(state, current))
                continue
            is_cold = is_cold or status == Outcome.COLD
            snapshot = None
        else:
            logger.error("account %s: the gate asks for another epoch again and again", account.pk)
            return False
    except (RedisError, OSError) as error:
        logger.warning("account %s did not reach the gate: %s", account.pk, type(error).__name__)
        return False
    record_pushes({account.partition_index: pushes})
    Entitlement.objects.filter(account=account, pushed_version__lt=snapshot.version).update(
        pushed_version=snapshot.version
    )
    return True


def push_if_behind(account: Account) -> None:
    """Tell the gate what is committed, if whoever committed it has not done so yet.

    For a page that is about to say what the gate accepts.
    """
    if Entitlement.objects.filter(account=account, pushed_version__lt=F("version")).exists():
        push(account)


def _put(
    client: Redis | RedisCluster, snapshot: AccountSnapshot, *, seed: bool
) -> tuple[Outcome, int]:
    status, pushes = hot_state.run(client, snapshots.put_account_call(snapshot, seed=seed))
    return Outcome(status.decode()), pushes


def count_pending_accounts(*, at_most: int) -> int:
    """How many accounts the gate does not know as they are; counted no further than `at_most`."""
    return Entitlement.objects.filter(pushed_version__lt=F("version"))[:at_most].count()


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
