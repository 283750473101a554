"""A gate on the real Valkey, with snapshots that a test can change."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from django.conf import settings

from gate.decision.check import Gate
from gate.store import charges, hot_state, snapshots
from gate.store.connection import HotClient, sync_client
from gate.store.snapshots import (
    AccountSnapshot,
    BoostGrant,
    CatalogueSnapshot,
    KeyState,
    PartitionState,
    UsedSoFar,
)
from gate.terms import key_text, week
from gate.terms.key_text import Pepper
from gate.terms.reasons import Outcome
from tests.patience import LONGEST_SECONDS
from tests.patient_gate import patient_client

PEPPER = Pepper(pepper_id="1", secret=b"a" * 32)
# A Wednesday noon.
NOW_MS = week.starts_ms(2916) + int(2.5 * 24 * 3600 * 1000)
HOUR_MS = 3600 * 1000
# Time for a slow machine, where a test is not about time.
PATIENCE = LONGEST_SECONDS


def now_ms() -> int:
    """Milliseconds since 1970 by this machine's clock, which is Valkey's too."""
    return time.time_ns() // 1_000_000


class World:
    """What PostgreSQL would say, and how often it was asked."""

    def __init__(self) -> None:
        self.handle = key_text.new_handle()
        self.key = key_text.new_api_key(self.handle)
        self.epoch = 1
        self.account_loads = 0
        self.catalogue_loads = 0
        self.used_counts = 0
        self.used: list[UsedSoFar] = []
        self.snapshot = AccountSnapshot(
            handle=self.handle,
            epoch=1,
            version=1,
            plan="free",
            packs=(),
            suspended=False,
            credits=0,
            boosts=(),
            week=2916,
            used=0,
            credits_spent=0,
            keys=(self.key_state(),),
        )
        self.catalogue = CatalogueSnapshot(
            version=1,
            credits_per_chat=2,
            meters={"chat": 1, "images": 4},
            caps={"free": 50, "plus": 1500, "pro": None, "none": 0},
            pack_caps={("plus", "copilot-pro"): None},
        )

    def key_state(self, *, version: int = 1, is_active: bool = True, **limits: Any) -> KeyState:
        return KeyState(
            digest=key_text.digest(self.key, PEPPER)[:22],
            version=version,
            key_id=7,
            is_active=is_active,
            **limits,
        )

    def grant(self, **changes: Any) -> None:
        """Change what PostgreSQL says of the account."""
        self.snapshot = replace(self.snapshot, version=self.snapshot.version + 1, **changes)

    def boost(self, boost_id: int, chats: int, *, hours: int, spent: int = 0) -> BoostGrant:
        return BoostGrant(
            boost_id=boost_id, chats=chats, expires_ms=NOW_MS + hours * HOUR_MS, spent=spent
        )

    async def load_accounts(self, handles: Sequence[str]) -> dict[str, AccountSnapshot]:
        self.account_loads += 1
        known = replace(self.snapshot, epoch=self.epoch)
        return {handle: known for handle in handles if handle == self.handle}

    async def load_catalogue(self, partition: int) -> tuple[PartitionState, CatalogueSnapshot]:
        self.catalogue_loads += 1
        return self.partition(partition), self.catalogue

    async def count_used(self, handle: str) -> list[Outcome]:
        self.used_counts += 1
        found = [replace(used, epoch=self.epoch) for used in self.used if handle == self.handle]
        client = sync_client(settings.REDIS_URL)
        said = [hot_state.run(client, snapshots.count_call(used)) for used in found]
        return [Outcome(status.decode()) for (status,) in said]

    def partition(self, index: int) -> PartitionState:
        return PartitionState(index=index, epoch=self.epoch, pushes=0)

    @asynccontextmanager
    async def gate(self) -> AsyncIterator["OpenGate"]:
        client = patient_client()
        try:
            yield OpenGate(
                self,
                Gate(
                    client=client,
                    peppers=[PEPPER],
                    load_accounts=self.load_accounts,
                    load_catalogue=self.load_catalogue,
                    count_used=self.count_used,
                    answer_within=PATIENCE,
                ),
                client,
            )
        finally:
            await client.aclose()


class OpenGate:
    """A gate inside a running event loop."""

    def __init__(self, world: World, gate: Gate, client: HotClient) -> None:
        self.world, self.gate, self.client = world, gate, client

    async def connect(self) -> None:
        """Open the connection to Valkey; changes nothing."""
        look = charges.check_call(handle="nobody00", digests=[], meter="", units=0, request_id=None)
        await self.client.run(look)

    async def check(self, *, units: int = 1, at_ms: int | None = NOW_MS, **more: Any) -> Any:
        return await self.gate.check(key=self.world.key, units=units, at_ms=at_ms, **more)

    async def push(self) -> bytes:
        """Project the account as PostgreSQL has it now."""
        reply: list[bytes] = await self.client.run(snapshots.put_account_call(self.world.snapshot))
        return reply[0]

    async def push_catalogue(self) -> None:
        """Project the catalogue as PostgreSQL has it now."""
        partition = self.world.partition(hot_state.partition_of(self.world.handle))
        await self.client.run(snapshots.put_catalogue_call(partition, self.world.catalogue))

    def entries(self) -> list[hot_state.Entry]:
        """What waits in the account's stream."""
        name = hot_state.stream_name(hot_state.partition_of(self.world.handle))
        raw: Any = sync_client(settings.REDIS_URL).xrange(name)
        return [hot_state.read_entry(*entry) for entry in raw]

    def refusals(self) -> dict[str, int]:
        """What is counted of the account's refusals."""
        name = hot_state.refusals_name(hot_state.partition_of(self.world.handle))
        raw: Any = sync_client(settings.REDIS_URL).hgetall(name)
        return {field.decode(): int(count) for field, count in raw.items()}
