"""Reading PostgreSQL from an event loop, for what decides.

These reads have threads and a pool of connections to themselves, one for each thread: however many
pages are slow or wait for somebody, a cold account is loaded, and a service token is known.
"""

from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import DEFAULT_DB_ALIAS, connection, connections

P = ParamSpec("P")
T = TypeVar("T")

# gate.cold's batches and catalogues, the service tokens, and the look at a new Valkey.
AT_ONCE = 8
_POOL = "deciding"


def in_thread(read: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same read as a coroutine: it runs in a thread, and gives its connection back."""

    def reading(*args: P.args, **more: P.kwargs) -> T:
        connections[DEFAULT_DB_ALIAS] = _own_connection()
        try:
            return read(*args, **more)
        finally:
            connection.close()

    return sync_to_async(reading, thread_sensitive=False, executor=_threads)


def close_pool() -> None:
    """Close the connections that wait for the next read; a later read opens others."""
    _own_connection().close_pool()


def _own_connection() -> Any:
    """A connection to the default database, but from a pool of its own: pools go by alias."""
    own: Any = connections.create_connection(DEFAULT_DB_ALIAS).copy(alias=_POOL)
    options = own.settings_dict["OPTIONS"]
    if isinstance(options.get("pool"), dict):
        options["pool"] = {**options["pool"], "max_size": AT_ONCE}
    return own


_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deciding")
