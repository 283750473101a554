"""A cluster, and many accounts that live all over it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gate.decision.check import Decision, Gate, QuotaUnavailable
from gate.store import hot_state
from gate.store.connection import HotClient, NewServer, sync_client
from gate.store.snapshots import (
    AccountSnapshot,
    BoostGrant,
    CatalogueSnapshot,
    PartitionState,
)
from gate.terms.reasons import Outcome
from gate.terms.week import week_of
from tests.gate.cluster.shards import Cluster
from tests.gate.world import HOUR_MS, NOW_MS, PEPPER, World

# What every account of the crowd has: chats of three sources.
ALLOWANCE, BOOST, CREDIT_CHATS = 10, 5, 3
CALLERS = 100
EACH_HAS = ALLOWANCE + BOOST + CREDIT_CHATS


@dataclass
class Member:
    """One account of the crowd, and what came of its checks."""

    world: World
    allowed: int = 0
    refused: int = 0
    unanswered: int = 0

    def count(self, decision: Decision) -> None:
        if decision.allowed:
            self.allowed += 1
        else:
            assert decision.reason == "quota_exhausted"
            self.refused += 1


class Crowd:
    """Accounts in every partition."""

    def __init__(self, cluster: Cluster, *, in_each_partition: int = 2) -> None:
        self.cluster = cluster
        self.by_handle: dict[str, Member] = {}
        lacking = dict.fromkeys(range(hot_state.PARTITIONS), in_each_partition)
        while any(lacking.values()):
            world = World()
            partition = hot_state.partition_of(world.handle)
            if lacking[partition]:
                lacking[partition] -= 1
                world.grant(
                    used=50 - ALLOWANCE,
                    week=week_of(NOW_MS),
                    boosts=(
                        BoostGrant(
                            boost_id=1, chats=BOOST, expires_ms=NOW_MS + HOUR_MS * 24, spent=0
                        ),
                    ),
                    credits=CREDIT_CHATS * 2,
                )
                self.by_handle[world.handle] = Member(world)
        self.catalogue: CatalogueSnapshot = World().catalogue

    @property
    def members(self) -> list[Member]:
        return list(self.by_handle.values())

    def members_in(self, partition: int) -> list[Member]:
        return [
            member
            for handle, member in self.by_handle.items()
            if hot_state.partition_of(handle) == partition
        ]

    async def load_accounts(self, handles: Sequence[str]) -> dict[str, AccountSnapshot]:
        return {
            handle: replace(self.by_handle[handle].world.snapshot, epoch=1)
            for handle in handles
            if handle in self.by_handle
        }

    async def count_used(self, handle: str) -> list[Outcome]:
        raise LookupError(handle)

    async def load_catalogue(self, partition: int) -> tuple[PartitionState, CatalogueSnapshot]:
        return PartitionState(index=partition, epoch=1, pushes=0), self.catalogue

    @asynccontextmanager
    async def gate(
        self, url: str | None = None, *, new_server: NewServer | None = None
    ) -> AsyncIterator[Gate]:
        client = HotClient(url or self.cluster.url, new_server=new_server)
        try:
            yield Gate(
                client=client,
                peppers=[PEPPER],
                load_accounts=self.load_accounts,
                load_catalogue=self.load_catalogue,
                count_used=self.count_used,
            )
        finally:
            await client.aclose()

    async def check(self, gate: Gate, member: Member, **more: Any) -> Decision:
        return await gate.check(key=member.world.key, at_ms=NOW_MS, **more)

    async def storm(self, gate: Gate, members: list[Member], *, times: int) -> None:
        """Ask for every member so many times, as many callers at once as there are."""
        questions = iter([member for _ in range(times) for member in members])

        async def caller() -> None:
            for member in questions:
                try:
                    member.count(await self.check(gate, member))
                except QuotaUnavailable:
                    member.unanswered += 1

        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    def charged(self) -> dict[str, int]:
        """Chats in the streams, by account."""
        chats: dict[str, int] = dict.fromkeys(self.by_handle, 0)
        client: Any = sync_client(self.cluster.url)
        for partition in range(hot_state.PARTITIONS):
            for raw in client.xrange(hot_state.stream_name(partition)):
                entry = hot_state.read_entry(*raw)
                chats[entry.handle] += entry.allowance + entry.boost_chats + entry.credit_chats
        return chats


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three shards, for all the tests of this folder."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(running_cluster: Cluster) -> Cluster:
    """The cluster, well and empty."""
    running_cluster.wait_until_well()
    running_cluster.empty()
    return running_cluster


@pytest.fixture
def crowd(cluster: Cluster) -> Crowd:
    """Two accounts in every partition."""
    return Crowd(cluster)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time for a slow machine, so that only what a server says can make a check fail."""
    monkeypatch.setattr("gate.decision.check.ANSWER_WITHIN_SECONDS", 5.0)
    monkeypatch.setattr("gate.store.connection._HOT_TIMEOUT_SECONDS", 5.0)
