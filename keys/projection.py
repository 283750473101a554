"""Bringing keys from PostgreSQL to the gate."""

import logging

from django.conf import settings
from django.db.models import F
from redis.exceptions import RedisError

from accounts.partitions import partition_state, record_pushes
from gate import connection, hot_state, snapshots
from keys.models import ApiKey, ServiceToken

logger = logging.getLogger(__name__)

_SWEEP_AT_ONCE = 500


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
    record_pushes(index, pushes)
    ApiKey.objects.filter(pk=key.pk, pushed_version__lt=key.version).update(
        pushed_version=key.version
    )
    return True


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


def valid_service_token_digests() -> frozenset[str]:
    """The digests that the quota-check service accepts."""
    return frozenset(ServiceToken.objects.filter(revoked_at=None).values_list("digest", flat=True))
