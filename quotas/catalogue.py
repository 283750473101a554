"""Plans, packs, meters and the credit rate, as everybody shares them."""

import logging

from django.conf import settings
from django.db import transaction
from django.db.models import F
from redis.exceptions import RedisError

from gate.store import connection, hot_state, snapshots
from gate.store.snapshots import CatalogueSnapshot, PartitionState
from partitions.states import partition_state, partition_states, record_pushes
from quotas.models.plans import Meter, Plan, QuotaPolicy

logger = logging.getLogger(__name__)


def policy() -> QuotaPolicy:
    """The one row of settings."""
    return QuotaPolicy.objects.get(pk=1)


def default_plan() -> Plan:
    """The plan of an account that nobody moved."""
    return Plan.objects.get(is_default=True)


def ensure_default_plan() -> Plan | None:
    """Mark the plan that gives least where none is the default; answers the plan it had to mark.

    The database lets no such state arise, but a restored or hand-made one may hold it.
    """
    if Plan.objects.filter(is_default=True).exists():
        return None
    by_least = Plan.objects.order_by(F("weekly_cap").asc(nulls_last=True), "position", "pk")
    plan = Plan.objects.filter(slug="free").first() or by_least.first()
    if plan is not None:
        plan.is_default = True
        plan.save(update_fields=["is_default"])
        logger.warning("no plan was the default: new accounts begin with %s now", plan.slug)
    return plan


def public_plans() -> list[Plan]:
    """The plans of the pricing page, with their packs."""
    return list(Plan.objects.filter(is_public=True).prefetch_related("packs"))


def rank_of(plan: Plan) -> tuple[int, int]:
    """Of several plans that an account has, the one with the highest rank counts."""
    return plan.position, plan.pk


def is_better(plan: Plan, other: Plan) -> bool:
    """Which of two plans counts where an account has both; False of a plan and itself."""
    return rank_of(plan) > rank_of(other)


def changed() -> None:
    """Say that a plan, pack, meter or the policy changed; the gate knows right after commit."""
    QuotaPolicy.objects.filter(pk=1).update(version=F("version") + 1)
    transaction.on_commit(push)


def snapshot() -> CatalogueSnapshot:
    """The catalogue as the gate needs it."""
    # The version is read first: what changes while the rest is read comes again with a higher one.
    current = policy()
    plans = list(Plan.objects.prefetch_related("packs"))
    return CatalogueSnapshot(
        version=current.version,
        credits_per_chat=current.credits_per_chat,
        meters=dict(Meter.objects.values_list("slug", "chats")),
        caps={plan.slug: plan.weekly_cap for plan in plans},
        pack_caps={
            (plan.slug, pack.slug): pack.weekly_cap
            for plan in plans
            for pack in plan.included_packs
        },
        paces={plan.slug: plan.pace for plan in plans},
        plan_meters={plan.slug: tuple(plan.meters) for plan in plans},
    )


def partition_snapshot(partition: int) -> tuple[PartitionState, CatalogueSnapshot]:
    """A partition's state and the catalogue, for a partition that has lost its copy."""
    return partition_state(partition), snapshot()


def push() -> bool:
    """Tell every partition of the gate the catalogue; False when it must be repeated later."""
    current = snapshot()
    try:
        states = partition_states()
        calls = [snapshots.put_catalogue_call(state, current) for state in states]
        answers = hot_state.run_all(connection.sync_client(settings.REDIS_URL), calls)
    except (RedisError, OSError) as error:
        logger.warning("the catalogue did not reach the gate: %s", type(error).__name__)
        return False
    record_pushes({state.index: pushes for state, (_, pushes) in zip(states, answers, strict=True)})
    QuotaPolicy.objects.filter(pk=1, pushed_version__lt=current.version).update(
        pushed_version=current.version
    )
    return True


def is_pending() -> bool:
    """Whether the gate does not know the catalogue as it is."""
    return QuotaPolicy.objects.filter(pushed_version__lt=F("version")).exists()


def push_if_pending() -> bool:
    """Repeat a catalogue change that did not reach the gate; True when there was one."""
    if not is_pending():
        return False
    return push()
