"""What the measuring process needs of every client."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gate.store.hot_state import Call

Run = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to call: as many callers as there are share it."""

    run: Run
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Client:
    """A client that is compared: the module that has its `connect`, and what is installed for it.

    packages: everything that our own environment does not have.
    """

    name: str
    module: str
    packages: tuple[str, ...] = ()


CLIENTS = (
    Client("ours", "benchmark.connections.ours"),
    Client("redis-py", "benchmark.connections.redis_py"),
    Client(
        "coredis",
        "benchmark.connections.of_coredis",
        (
            *("coredis==6.9.0", "beartype==0.23.1", "deprecated==1.3.1", "wrapt==2.5.2"),
            "exceptiongroup==1.3.2",
        ),
    ),
    Client(
        "valkey-glide",
        "benchmark.connections.of_glide",
        ("valkey-glide==2.6.0", "protobuf==7.36.2", "sniffio==1.3.1"),
    ),
)
