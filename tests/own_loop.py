"""An event loop in a thread of its own, for tests that ask an application case by case."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeVar

import schemathesis

from tests.patience import LONGEST_SECONDS

T = TypeVar("T")


class OwnLoop:
    """Runs from the beginning of a block to its end, with what was entered in it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._stack = contextlib.AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """What a context gives, until the end of the block."""
        return self.wait(self._stack.enter_async_context(context))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What some work comes to."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=LONGEST_SECONDS)


def as_words(case: "schemathesis.Case[Any]", *, base_url: str) -> dict[str, Any]:
    """A case as httpx's client is told it, byte for byte as it was made."""
    told = case.as_transport_kwargs(base_url=base_url)
    names = {"method", "url", "headers", "params", "json", "data", "content"}
    told = {name: value for name, value in told.items() if name in names}
    told["headers"] = {name: value.encode("latin-1") for name, value in told["headers"].items()}
    if isinstance(told.get("data"), bytes | str):
        told["content"] = told.pop("data")
    return told
