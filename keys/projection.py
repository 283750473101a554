"""Bringing keys from PostgreSQL to the gate."""

import logging
from collections.abc import Mapping

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from redis.exceptions import RedisError

from gate.service.trust import Trust
from gate.store import connection, hot_state, snapshots
from keys.models import ApiKey, ServiceToken
from partitions.states import partition_state, record_pushes

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 500


class CannotConfirm(Exception):
    """What is recorded of a key the gate does not know yet; it is repeated by itself."""


def push_key(key: ApiKey) -> bool:
    """Tell the gate a committed key's state; False when it must be repeated later."""
    index = key.account.partition_index
    pushes = partition_state(index).pushes
    call = snapshots.put_key_call(key.account.handle, key.state(), pushes=pushes)
    try:
        _, pushes = hot_state.run(connection.sync_client(settings.REDIS_URL), call)
    except (RedisError, OSError) as error:
        logger.warning("key %s did not reach the gate: %s", key.pk, type(error).__name__)
        return False
    record_pushes({index: pushes})
    ApiKey.objects.filter(pk=key.pk, pushed_version__lt=key.version).update(
        pushed_version=key.version
    )
    return True


def confirm(key: ApiKey) -> None:
    """Done when the gate knows a committed key as it is. Raises CannotConfirm."""
    if key.pushed_version < key.version and not push_key(key):
        raise CannotConfirm


def count_pending_keys(*, at_most: int) -> int:
    """How many keys the gate does not know as they are; counted no further than `at_most`."""
    return ApiKey.objects.filter(pushed_version__lt=F("version"))[:at_most].count()


def push_pending_keys() -> int:
    """Repeat what did not reach the gate; answers how many keys did now."""
    pending = (
        ApiKey.objects.filter(pushed_version__lt=F("version"))
        .select_related("account")
        .order_by("pk")[:_SWEEP_AT_ONCE]
    )
    pushed = 0
    for key in pending:
        if not push_key(key):
            break
        pushed += 1
    return pushed


def valid_service_tokens() -> dict[str, Trust]:
    """The digests that the quota-check service accepts, and what each token is trusted with."""
    return {token.digest: token.trust for token in ServiceToken.objects.filter(revoked_at=None)}


def record_ignored_headers(counts: Mapping[int, int]) -> None:
    """Add to what is counted of each token, by its number."""
    now = timezone.now()
    # In one order everywhere: two processes that meet in the same rows cannot wait for each other.
    with transaction.atomic():
        for token_id, count in sorted(counts.items()):
            ServiceToken.objects.filter(pk=token_id).update(
                ignored_headers=F("ignored_headers") + count, ignored_at=now
            )
