"""Cold accounts: looked up together, in the order they came, and never more than may wait."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gate.decision import cold
from gate.decision.cold import (
    ACCOUNTS_AT_ONCE,
    ACCOUNTS_IN_A_BATCH,
    BATCHES_AT_ONCE,
    ColdAccounts,
    QuotaUnavailable,
)
from gate.store.snapshots import AccountSnapshot
from gate.terms import key_text
from tests.gate.world import PATIENCE, World
from tests.patient_gate import patient_client


class Database:
    """What PostgreSQL would say of a few accounts, and what it was asked."""

    def __init__(self, *worlds: World) -> None:
        self.worlds = {world.handle: world for world in worlds}
        self.asked: list[Sequence[str]] = []
        self._look_ups = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fails = False

    async def load_accounts(self, handles: Sequence[str]) -> dict[str, AccountSnapshot]:
        self.asked.append(handles)
        self._look_ups.release()
        await self.may_answer.wait()
        if self.fails:
            raise OSError("refused")
        return {
            handle: replace(self.worlds[handle].snapshot, epoch=self.worlds[handle].epoch)
            for handle in handles
            if handle in self.worlds
        }

    async def was_asked(self, times: int) -> None:
        """Wait until it was asked so many times more."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(times):
                await self._look_ups.acquire()

    @asynccontextmanager
    async def cold(self) -> AsyncIterator[ColdAccounts]:
        """What loads from it into the real Valkey."""
        client = patient_client()
        try:
            yield ColdAccounts(
                run=client.run,
                load_accounts=self.load_accounts,
                load_catalogue=World().load_catalogue,
                count_used=World().count_used,
            )
        finally:
            await client.aclose()


def _handles(count: int) -> list[str]:
    return [key_text.new_handle() for _ in range(count)]


def _ask(accounts: ColdAccounts, handles: Sequence[str]) -> list["asyncio.Task[bool]"]:
    return [asyncio.create_task(accounts.account(handle)) for handle in handles]


async def test_who_waits_is_looked_up_together_in_the_order_they_came() -> None:
    database = Database()
    under_way = BATCHES_AT_ONCE * ACCOUNTS_IN_A_BATCH
    handles = _handles(under_way + ACCOUNTS_IN_A_BATCH + 36)

    async with database.cold() as accounts:
        database.may_answer.clear()
        asked = _ask(accounts, handles)
        await database.was_asked(BATCHES_AT_ONCE)
        await asyncio.sleep(0.02)
        assert len(database.asked) == BATCHES_AT_ONCE
        database.may_answer.set()
        assert not any(await asyncio.gather(*asked))
    sizes = [len(batch) for batch in database.asked]
    assert sizes == [ACCOUNTS_IN_A_BATCH] * (BATCHES_AT_ONCE + 1) + [36]
    assert [handle for batch in database.asked for handle in batch] == handles


async def test_who_comes_when_enough_wait_is_refused_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="gate.decision.cold")
    world = World()
    database = Database(world)

    async with database.cold() as accounts:
        database.may_answer.clear()
        waiting = _ask(accounts, [world.handle, *_handles(ACCOUNTS_AT_ONCE - 1)])
        await database.was_asked(BATCHES_AT_ONCE)
        late = _handles(20)
        async with asyncio.timeout(PATIENCE):
            for handle in late:
                with pytest.raises(QuotaUnavailable):
                    await accounts.account(handle)
        # One more caller of an account that is on its way waits like the others.
        waiting += _ask(accounts, [world.handle])
        await asyncio.sleep(0)
        database.may_answer.set()
        first, *unknown, last = await asyncio.gather(*waiting)
        assert first
        assert last
        assert not any(unknown)
        assert not await accounts.account(late[0])
    assert sum("more are refused" in line for line in caplog.messages) == 1


async def test_who_gives_up_does_not_end_what_others_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    database = Database(world)

    async with database.cold() as accounts:
        database.may_answer.clear()
        (gone,) = _ask(accounts, [world.handle])
        await database.was_asked(1)
        gone.cancel()
        with monkeypatch.context() as impatient:
            impatient.setattr(cold, "LOAD_WITHIN_SECONDS", 0.02)
            with pytest.raises(QuotaUnavailable):
                await accounts.account(world.handle)
        (patient,) = _ask(accounts, [world.handle])
        await asyncio.sleep(0)
        database.may_answer.set()
        assert await patient
    assert database.asked == [[world.handle]]


@pytest.mark.parametrize("turns", range(4))
async def test_who_comes_just_as_the_last_look_ups_end_is_looked_up(turns: int) -> None:
    database = Database()
    async with database.cold() as accounts, asyncio.timeout(PATIENCE):
        database.may_answer.clear()
        asked = []
        for handle in _handles(BATCHES_AT_ONCE):
            asked += _ask(accounts, [handle])
            await database.was_asked(1)
        asked += _ask(accounts, _handles(1))
        for _ in range(turns):
            await asyncio.sleep(0)
        database.may_answer.set()
        assert not any(await asyncio.gather(*asked))


async def test_an_account_that_cannot_be_stored_fails_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    restless, calm = World(), World()
    # PostgreSQL is ahead of what Valkey is told of the partition, again and again.
    restless.epoch = 2
    database = Database(restless, calm)

    async with database.cold() as accounts:
        failing, fine, unknown = _ask(accounts, [restless.handle, calm.handle, "Unknown0"])
        assert await fine
        assert not await unknown
        with pytest.raises(QuotaUnavailable):
            await failing
    again = [restless.handle]
    assert database.asked == [[restless.handle, calm.handle, "Unknown0"], again, again]
    assert f"account {restless.handle}: its epoch changes" in caplog.text


async def test_when_postgresql_fails_all_are_told_and_one_line_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    database = Database(world)

    async with database.cold() as accounts, asyncio.timeout(PATIENCE):
        database.fails = True
        asked = _ask(accounts, [world.handle, *_handles(9)])
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(answer) for answer in answers} == {QuotaUnavailable}
        database.fails = False
        # A failure says nothing about the account.
        assert await accounts.account(world.handle)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "OSError: refused" in caplog.text


async def test_a_failure_that_nobody_waits_for_any_more_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cold, "LOAD_WITHIN_SECONDS", 0.02)
    database = Database()

    async with database.cold() as accounts:
        database.may_answer.clear()
        database.fails = True
        with pytest.raises(QuotaUnavailable):
            await accounts.account("Unknown0")
        database.may_answer.set()
        await asyncio.sleep(0.02)
    # asyncio complains of errors that nobody asked for when they are thrown away.
    gc.collect()
    assert [record.name for record in caplog.records] == ["gate.decision.cold"]


async def test_who_does_not_exist_is_not_looked_up_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cold, "_MISS_REMEMBERED_SECONDS", 2.0)
    world = World()
    database = Database()

    async with database.cold() as accounts:
        for _ in range(5):
            assert not await accounts.account(world.handle)
        assert database.asked == [[world.handle]]
        # An account is opened, and found.
        database.worlds[world.handle] = world
        await asyncio.sleep(2.0)
        assert await accounts.account(world.handle)


async def test_of_too_many_who_do_not_exist_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cold, "_MISSES_REMEMBERED", 3)
    database = Database()
    first, second, third, fourth = _handles(4)

    async with database.cold() as accounts:
        for handle in (first, second, third, fourth, second, third, fourth, first):
            assert not await accounts.account(handle)
    assert database.asked == [[first], [second], [third], [fourth], [first]]
