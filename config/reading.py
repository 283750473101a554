"""Reading PostgreSQL from an event loop."""

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(read: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """The same read as a coroutine: it runs in a thread, and gives its connection back."""

    def reading(*args: P.args, **more: P.kwargs) -> T:
        try:
            return read(*args, **more)
        finally:
            connection.close()

    return sync_to_async(reading, thread_sensitive=False)
