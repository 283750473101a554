"""Bringing what Valkey does not hold from PostgreSQL: accounts and catalogues that are cold.

Anybody can make up well-formed keys of accounts that do not exist, and only PostgreSQL can tell. So
accounts are looked up together: a flood of such keys costs one look-up for many of them, and an
honest account in the middle of it waits for a few look-ups.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from gate.store import snapshots
from gate.store.hot_state import Call, partition_of
from gate.store.snapshots import AccountSnapshot, CatalogueSnapshot, PartitionState
from gate.terms.reasons import Outcome

logger = logging.getLogger(__name__)

# A cold account waits for PostgreSQL; it may take longer than a check, but never for ever.
LOAD_WITHIN_SECONDS = 5.0
# Who comes when so many are on their way would wait for too long; it is refused at once.
ACCOUNTS_AT_ONCE = 4_096
ACCOUNTS_IN_A_BATCH = 64
# Pages need connections to PostgreSQL too: these leave some of a small pool.
BATCHES_AT_ONCE = 4
_CATALOGUES_AT_ONCE = 2
_MISS_REMEMBERED_SECONDS = 5.0
_MISSES_REMEMBERED = 10_000

K = TypeVar("K")
T = TypeVar("T")

Run = Callable[[Call], Awaitable[Any]]
LoadAccounts = Callable[[Sequence[str]], Awaitable[Mapping[str, AccountSnapshot]]]
LoadCatalogue = Callable[[int], Awaitable[tuple[PartitionState, CatalogueSnapshot]]]
CountUsed = Callable[[str], Awaitable[Collection[Outcome]]]


class QuotaUnavailable(Exception):
    """No decision can be made now; nothing is known to have been charged."""


class ColdAccounts:
    """Loads each account and catalogue once, however many callers wait for it.

    run: runs a call on Valkey, or raises QuotaUnavailable.
    load_accounts: handles -> snapshots from PostgreSQL of those that are accounts.
    load_catalogue: partition -> its state and the catalogue.
    count_used: tells Valkey what those of an account used that have a budget, and what it said.
    """

    def __init__(
        self,
        *,
        run: Run,
        load_accounts: LoadAccounts,
        load_catalogue: LoadCatalogue,
        count_used: CountUsed,
    ) -> None:
        self._run = run
        self._snapshots = _Snapshots(load_accounts)
        self._load_catalogue = load_catalogue
        self._count_used = count_used
        self._used: dict[str, asyncio.Future[None]] = {}
        self._catalogue_slots = asyncio.Semaphore(_CATALOGUES_AT_ONCE)
        self._accounts: dict[str, asyncio.Future[bool]] = {}
        self._catalogues: dict[int, asyncio.Future[None]] = {}
        # Handles that are no account's, and until when that is taken for granted; oldest first.
        self._misses: dict[str, float] = {}
        self._complain_at = 0.0

    async def account(self, handle: str) -> bool:
        """Bring an account to Valkey; False when there is none. Raises QuotaUnavailable."""
        if self._misses.get(handle, 0.0) > time.monotonic():
            return False
        if handle not in self._accounts and len(self._accounts) >= ACCOUNTS_AT_ONCE:
            self._complain()
            raise QuotaUnavailable
        return await _once(self._accounts, handle, self._warm_account)

    async def catalogue(self, partition: int) -> None:
        """Bring the catalogue to a partition. Raises QuotaUnavailable."""
        await _once(self._catalogues, partition, self._warm_catalogue)

    async def used(self, handle: str) -> None:
        """Say what keys and members of an account used that have a budget.

        Raises QuotaUnavailable.
        """
        await _once(self._used, handle, self._count)

    async def _count(self, handle: str) -> None:
        for _ in range(3):
            try:
                said = await self._count_used(handle)
            except Exception as error:
                logger.exception("it could not be said what was used")
                raise QuotaUnavailable from error
            # A cold account or catalogue finds whoever asks by itself, and comes back.
            if not {Outcome.STALE_EPOCH, Outcome.TOO_MANY} & set(said):
                return
        logger.error("account %s: what it uses changes faster than it is counted", handle)
        raise QuotaUnavailable

    async def _warm_account(self, handle: str) -> bool:
        for _ in range(3):
            snapshot = await self._snapshots.read(handle)
            if snapshot is None:
                self._remember_miss(handle)
                return False
            put = snapshots.put_account_call(snapshot)
            status = await self._put(put)
            if status is Outcome.COLD_CATALOGUE:
                await self.catalogue(partition_of(handle))
                status = await self._put(put)
            if status is Outcome.STORED:
                return True
        logger.error("account %s: its epoch changes faster than it loads", handle)
        raise QuotaUnavailable

    async def _put(self, call: Call) -> Outcome:
        status, _ = await self._run(call)
        return Outcome(status.decode())

    async def _warm_catalogue(self, partition: int) -> None:
        async with self._catalogue_slots:
            try:
                state, catalogue = await self._load_catalogue(partition)
            except Exception as error:
                logger.exception("PostgreSQL gave no catalogue")
                raise QuotaUnavailable from error
        await self._run(snapshots.put_catalogue_call(state, catalogue))

    def _remember_miss(self, handle: str) -> None:
        self._misses.pop(handle, None)
        if len(self._misses) >= _MISSES_REMEMBERED:
            del self._misses[next(iter(self._misses))]
        self._misses[handle] = time.monotonic() + _MISS_REMEMBERED_SECONDS

    def _complain(self) -> None:
        """Log that accounts are refused, at most once a second: it may be a flood of them."""
        now = time.monotonic()
        if now >= self._complain_at:
            logger.warning("%s accounts are being loaded; more are refused", len(self._accounts))
            self._complain_at = now + 1.0


class _Snapshots:
    """Reads snapshots of accounts: many in one look-up, first come, first served."""

    def __init__(self, load_accounts: LoadAccounts) -> None:
        self._load_accounts = load_accounts
        self._waiting: deque[tuple[str, asyncio.Future[AccountSnapshot | None]]] = deque()
        self._readers: set[asyncio.Future[None]] = set()

    def read(self, handle: str) -> "asyncio.Future[AccountSnapshot | None]":
        """The snapshot of an account, None when there is none. Raises QuotaUnavailable."""
        answer: asyncio.Future[AccountSnapshot | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((handle, answer))
        self._begin()
        return answer

    def _begin(self) -> None:
        if self._waiting and len(self._readers) < BATCHES_AT_ONCE:
            # It runs when this turn of the loop is over, and finds all who came in it.
            reader = asyncio.ensure_future(self._read_batches())
            self._readers.add(reader)
            reader.add_done_callback(self._end)

    def _end(self, reader: "asyncio.Future[None]") -> None:
        self._readers.discard(reader)
        # Somebody may have come after it saw that nobody waits.
        self._begin()

    async def _read_batches(self) -> None:
        while self._waiting:
            size = min(ACCOUNTS_IN_A_BATCH, len(self._waiting))
            batch = dict(self._waiting.popleft() for _ in range(size))
            try:
                found = await self._load_accounts(list(batch))
            except Exception:
                logger.exception("PostgreSQL gave no answer about %s accounts", size)
                for answer in batch.values():
                    answer.set_exception(QuotaUnavailable())
            else:
                for handle, answer in batch.items():
                    answer.set_result(found.get(handle))


async def _once(
    loads: dict[K, "asyncio.Future[T]"], name: K, load: Callable[[K], Coroutine[Any, Any, T]]
) -> T:
    """Load something, or wait for the load of it that is under way."""
    under_way = loads.get(name)
    if under_way is None:
        under_way = loads[name] = asyncio.ensure_future(load(name))
        under_way.add_done_callback(lambda ended: _forget(loads, name, ended))
    try:
        async with asyncio.timeout(LOAD_WITHIN_SECONDS):
            # One caller's time-out must not end the load that others wait for.
            return await asyncio.shield(under_way)
    except TimeoutError:
        raise QuotaUnavailable from None


def _forget(loads: dict[K, "asyncio.Future[T]"], name: K, ended: "asyncio.Future[T]") -> None:
    del loads[name]
    if not ended.cancelled():
        # When all who waited have given up, nobody else asks what came of it.
        ended.exception()
