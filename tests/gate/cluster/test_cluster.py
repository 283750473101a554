"""On a cluster the gate decides as on one server: exactly, also while slots move."""

import asyncio
import time
from collections.abc import Callable

import pytest

from gate.decision.check import Gate, QuotaUnavailable
from gate.store import hot_state
from gate.store.connection import sync_client
from tests.gate.cluster.conftest import EACH_HAS, Crowd, Member
from tests.gate.cluster.shards import Cluster
from tests.gate.world import NOW_MS

pytestmark = pytest.mark.slow

# 0.4 s on a machine three times slower than it was made for.
_GIVEN_UP_WITHIN_SECONDS = 1.2


def test_partitions_live_on_every_shard(cluster: Cluster) -> None:
    for shard in cluster.shards:
        assert len(cluster.partitions_of(shard)) >= 10


@pytest.mark.usefixtures("patient")
async def test_a_storm_over_all_partitions_is_exact(crowd: Crowd) -> None:

    async with crowd.gate() as gate:
        await crowd.storm(gate, crowd.members, times=EACH_HAS + 6)
    for member in crowd.members:
        assert (member.allowed, member.refused, member.unanswered) == (EACH_HAS, 6, 0)
    assert set(crowd.charged().values()) == {EACH_HAS}


@pytest.mark.usefixtures("patient")
async def test_two_processes_that_know_different_shards_are_exact_together(crowd: Crowd) -> None:

    async with (
        crowd.gate(crowd.cluster.shards[1].url) as one,
        crowd.gate(crowd.cluster.shards[2].url) as other,
    ):
        await asyncio.gather(
            *(crowd.storm(gate, crowd.members, times=EACH_HAS) for gate in (one, other))
        )
    for member in crowd.members:
        assert (member.allowed, member.refused) == (EACH_HAS, EACH_HAS)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("move", [Cluster.move_key_by_key, Cluster.move_at_once])
async def test_a_slot_that_moves_under_load_loses_and_refuses_nothing(
    crowd: Crowd, move: Callable[[Cluster, int], None]
) -> None:
    cluster = crowd.cluster
    busy = [cluster.partitions_of(shard)[0] for shard in cluster.shards]
    members = [member for partition in busy for member in crowd.members_in(partition)]
    owners = {partition: cluster.owner_of(partition) for partition in busy}
    asked_while_moving = 0

    def move_all() -> None:
        for _ in range(4):
            for partition in busy:
                move(cluster, partition)
                time.sleep(0.02)

    async with crowd.gate() as gate:
        # Unlimited while it moves, so that there is always something to lose.
        for member in members:
            member.world.grant(plan="pro")
        moving = asyncio.create_task(asyncio.to_thread(move_all))
        while not moving.done():
            await crowd.storm(gate, members, times=5)
            asked_while_moving += 5
            await asyncio.sleep(0)
        await moving
    # Four moves among three shards: each is one further than it began.
    assert all(cluster.owner_of(partition) is not owners[partition] for partition in busy)
    assert asked_while_moving > 20
    charged = crowd.charged()
    for member in members:
        assert member.unanswered == 0
        assert member.refused == 0
        assert member.allowed == asked_while_moving == charged[member.world.handle]


@pytest.mark.usefixtures("patient")
async def test_what_is_there_is_spent_exactly_while_slots_move(crowd: Crowd) -> None:
    cluster = crowd.cluster
    moved = [cluster.partitions_of(shard)[1] for shard in cluster.shards]

    def move_all() -> None:
        for partition in moved:
            cluster.move_at_once(partition)

    async with crowd.gate() as gate:
        moving = asyncio.create_task(asyncio.to_thread(move_all))
        for _ in range(EACH_HAS + 2):
            await crowd.storm(gate, crowd.members, times=1)
        while not moving.done():
            await crowd.storm(gate, crowd.members, times=1)
        await moving
    for member in crowd.members:
        assert (member.allowed, member.unanswered) == (EACH_HAS, 0)
    assert set(crowd.charged().values()) == {EACH_HAS}


@pytest.mark.usefixtures("patient")
async def test_a_request_id_that_comes_again_after_a_move_is_not_charged(crowd: Crowd) -> None:
    member = crowd.members[0]
    partition = hot_state.partition_of(member.world.handle)
    async with crowd.gate() as gate:
        first = await crowd.check(gate, member, request_id="order 1")
        await asyncio.to_thread(crowd.cluster.move_key_by_key, partition)
        again = await crowd.check(gate, member, request_id="order 1")
        assert again.charge_id == first.charge_id
        assert first.charge_id is not None
        refunded = await gate.refund(charge_id=first.charge_id, at_ms=NOW_MS)
        assert refunded.allowance == 1


@pytest.mark.parametrize("number", [0, 1])
async def test_a_shard_that_dies_stops_its_own_partitions_only(crowd: Crowd, number: int) -> None:
    cluster = crowd.cluster
    dead = cluster.shards[number]
    lost = [crowd.members_in(partition)[0] for partition in cluster.partitions_of(dead)]
    served = [
        crowd.members_in(partition)[0]
        for shard in cluster.shards
        if shard is not dead
        for partition in cluster.partitions_of(shard)
    ]

    async with crowd.gate() as gate:
        await crowd.storm(gate, lost + served, times=2)
        dead.kill()
        # Through the time in which the other shards notice, and after it.
        ends_at = time.monotonic() + 3
        while time.monotonic() < ends_at:
            member = lost[0]
            lost.append(lost.pop(0))
            asked_at = time.monotonic()
            with pytest.raises(QuotaUnavailable):
                await crowd.check(gate, member)
            assert time.monotonic() - asked_at < _GIVEN_UP_WITHIN_SECONDS
            await crowd.storm(gate, served[:5], times=1)
            served.extend(served[:5])
            del served[:5]
        dead.start()
        await asyncio.to_thread(cluster.wait_until_well)
        await _until_answered(crowd, gate, lost)
        await crowd.storm(gate, lost + served, times=EACH_HAS)
    charged = crowd.charged()
    for member in served:
        assert (member.allowed, member.unanswered) == (EACH_HAS, 0)
    for member in lost + served:
        assert charged[member.world.handle] == EACH_HAS
        assert member.allowed == EACH_HAS


async def _until_answered(crowd: Crowd, gate: Gate, members: list[Member]) -> None:
    """Look without charging until every member is answered; at most five seconds."""
    ends_at = time.monotonic() + 5
    waiting = list(members)
    while waiting:
        try:
            await crowd.check(gate, waiting[-1], units=0)
        except QuotaUnavailable:
            assert time.monotonic() < ends_at
            await asyncio.sleep(0.05)
        else:
            waiting.pop()


@pytest.mark.usefixtures("patient")
async def test_a_new_process_can_begin_at_any_shard(crowd: Crowd) -> None:
    for shard in crowd.cluster.shards:
        async with crowd.gate(shard.url) as gate:
            for member in crowd.members:
                assert (await crowd.check(gate, member)).allowed


def test_the_shared_client_knows_a_cluster_from_a_server(cluster: Cluster) -> None:
    assert type(sync_client(cluster.url)).__name__ == "RedisCluster"
    sync_client.cache_clear()


@pytest.mark.usefixtures("patient")
async def test_forgotten_scripts_are_sent_again_to_each_shard(crowd: Crowd) -> None:

    async with crowd.gate() as gate:
        await crowd.storm(gate, crowd.members, times=1)
        for shard in crowd.cluster.shards:
            shard.admin.script_flush()
        await crowd.storm(gate, crowd.members, times=1)
    assert {member.allowed for member in crowd.members} == {2}


async def test_a_shard_that_hangs_stops_its_own_partitions_only(crowd: Crowd) -> None:
    cluster = crowd.cluster
    frozen, well = cluster.shards[2], cluster.shards[:2]
    lost = [crowd.members_in(partition)[0] for partition in cluster.partitions_of(frozen)]
    served = [
        crowd.members_in(partition)[0]
        for shard in well
        for partition in cluster.partitions_of(shard)
    ]

    async with crowd.gate() as gate:
        await crowd.storm(gate, lost + served, times=1)
        frozen.freeze()
        ended = []

        async def storm(members: list[Member], name: str) -> None:
            await crowd.storm(gate, members, times=1)
            ended.append(name)

        try:
            asked_at = time.monotonic()
            await asyncio.gather(storm(lost, "lost"), storm(served, "served"))
            # They wait side by side: one after another would be 0.4 s for each of them.
            assert time.monotonic() - asked_at < _GIVEN_UP_WITHIN_SECONDS
        finally:
            frozen.thaw()
        await asyncio.to_thread(cluster.wait_until_well)
        await _until_answered(crowd, gate, lost)
    assert ended == ["served", "lost"]
    charged = crowd.charged()
    for member in served:
        assert (member.allowed, member.unanswered) == (2, 0)
    for member in lost:
        assert (member.allowed, member.unanswered) == (1, 1)
        # What had no answer was charged once or not at all.
        assert charged[member.world.handle] in {1, 2}


async def test_every_shard_is_looked_at_before_it_is_asked(crowd: Crowd) -> None:
    seen: list[str] = []

    async def look(run_id: str) -> None:
        seen.append(run_id)

    async with crowd.gate(new_server=look) as gate:
        await crowd.storm(gate, crowd.members, times=2)
        assert sorted(seen) == sorted(shard.run_id for shard in crowd.cluster.shards)
        crowd.cluster.shards[1].kill()
        crowd.cluster.shards[1].start()
        await asyncio.to_thread(crowd.cluster.wait_until_well)
        await _until_answered(crowd, gate, crowd.members)
        assert seen[3:] == [crowd.cluster.shards[1].run_id]
