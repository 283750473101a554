"""What gate and site look at before they serve, and what both do once they do."""

import gc
import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from redis.exceptions import RedisError

from config import release
from quotas.epochs import CannotTrust, require_durable

logger = logging.getLogger(__name__)


def require_servers_and_data() -> None:
    """ImproperlyConfigured on a Valkey that forgets, and on data of a newer release.

    A Valkey that is away may come back.
    """
    try:
        require_durable()
    except CannotTrust as error:
        raise ImproperlyConfigured(str(error)) from None
    except (RedisError, OSError) as error:
        logger.warning("Valkey is away: %s", type(error).__name__)
    try:
        release.look_at_data()
    except release.CannotUseData as error:
        raise ImproperlyConfigured(str(error)) from None


def forget_connections() -> None:
    """Close what was opened to look: a connection must not be shared by processes."""
    connection.close()
    # Only PostgreSQL's has a pool, and types know any database.
    pooled: Any = connection
    pooled.close_pool()


def keep_what_was_made() -> None:
    """What was made so far stays for good.

    Without this the collector walks through all of Django, with nothing else going on, every now
    and then.
    """
    gc.collect()
    gc.freeze()
