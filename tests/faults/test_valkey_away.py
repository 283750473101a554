"""Valkey killed, refused, hung, loading or full: never a free pass, never a 500, soon back."""

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from quotas.usage import drain
from tests.faults.caller import Reply
from tests.faults.conftest import Service
from tests.faults.customers import Customer, customer
from tests.faults.servers import Valkey

pytestmark = pytest.mark.slow

# 500 ms by the service's own clock; the rest is what this machine takes to schedule everybody.
ANSWERS_WITHIN_SECONDS = 0.9
RETURNS_WITHIN_SECONDS = 5.0


class Load:
    """Callers that charge one chat after the other, until told to stop."""

    def __init__(self, service: Service, customers: list[Customer]) -> None:
        self._service = service
        self._customers = customers
        self._asked_to_stop = False
        self.granted: Counter[str] = Counter()
        self.refused = 0
        # No decision came: it was charged or it was not.
        self.undecided: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0

    @contextmanager
    def running(self, *, callers: int = 24) -> Iterator[None]:
        """Charge in a thread of its own: servers end with the thread that started them."""
        ended: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._charge(callers))
            except BaseException as error:  # noqa: BLE001 - raised where the test can see it
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self._asked_to_stop = True
            thread.join()
        if ended:
            raise ended[0]

    async def _charge(self, callers: int) -> None:
        async with self._service.callers(callers) as connected:

            async def charge(number: int) -> None:
                buyer = self._customers[number % len(self._customers)]
                handle = buyer.account.handle
                while not self._asked_to_stop:
                    try:
                        reply = await connected[number].check(buyer.key)
                    except OSError:
                        self.undecided[handle] += 1
                        self.statuses[0] += 1
                        continue
                    self._note(handle, reply)
                    if reply.status != 200:
                        await asyncio.sleep(0.02)

            await asyncio.gather(*map(charge, range(callers)))

    def _note(self, handle: str, reply: Reply) -> None:
        self.statuses[reply.status] += 1
        self.slowest = max(self.slowest, reply.seconds)
        if reply.is_granted:
            self.granted[handle] += 1
        elif reply.status == 200:
            self.refused += 1
        else:
            self.undecided[handle] += 1


def test_no_acknowledged_charge_is_lost_when_valkey_is_killed_thirty_times(
    service: Service,
    own_valkey: Valkey,
    figures: Callable[[str], None],
) -> None:
    buyers = [customer(plan="pro") for _ in range(8)]
    load = Load(service, buyers)
    recoveries: list[float] = []

    moments = random.Random(20)
    with load.running():
        for _ in range(30):
            time.sleep(moments.uniform(0.1, 0.4))
            own_valkey.kill()
            own_valkey.start()
            began = time.monotonic()
            before = load.granted.total()
            while load.granted.total() == before:
                assert time.monotonic() - began < RETURNS_WITHIN_SECONDS
                time.sleep(0.005)
            recoveries.append(time.monotonic() - began)

    assert set(load.statuses) <= {200, 503}
    assert load.refused == 0
    drain.move_all()
    counted = {buyer.account.handle: buyer.drained.allowance for buyer in buyers}
    for handle, chats in counted.items():
        assert load.granted[handle] <= chats, "an acknowledged charge is lost"
        assert chats <= load.granted[handle] + load.undecided[handle]
    figures(
        f"{load.statuses.total()} calls, {load.granted.total()} acknowledged, 0 lost, "
        f"{sum(counted.values())} counted, {load.undecided.total()} without a decision; "
        f"back after {max(recoveries):.2f} s at most, slowest answer {load.slowest:.3f} s"
    )


@contextmanager
def _killed(valkey: Valkey) -> Iterator[None]:
    valkey.kill()
    yield
    valkey.start()


@contextmanager
def _frozen(valkey: Valkey) -> Iterator[None]:
    valkey.freeze()
    yield
    valkey.thaw()


@contextmanager
def _without_memory(valkey: Valkey) -> Iterator[None]:
    with valkey.client as client:
        client.config_set("maxmemory", "1mb")
        yield
        client.config_set("maxmemory", 0)


@contextmanager
def _without_writes(valkey: Valkey) -> Iterator[None]:
    """What a server answers that cannot write its files, or that lost its replicas."""
    with valkey.client as client:
        client.config_set("min-replicas-to-write", 1)
        yield
        client.config_set("min-replicas-to-write", 0)


@contextmanager
def _with_full_disk(valkey: Valkey) -> Iterator[None]:
    # A server that promised to write always rather ends than answer without having written.
    valkey.limit_file_size(valkey.append_only_size + 1)
    yield
    valkey.until_ended()
    valkey.start()


@contextmanager
def _loading(valkey: Valkey) -> Iterator[None]:
    valkey.fill(2_000)
    valkey.kill()
    valkey.start_loading(key_load_delay="1500", loading_process_events_interval_bytes="1024")
    yield
    valkey.until_loaded()


@contextmanager
def _forgetful(valkey: Valkey) -> Iterator[None]:
    valkey.kill()
    valkey.more = {"appendonly": "no"}
    valkey.start()
    yield
    valkey.more = {}
    valkey.start()


FAULTS = {
    "refused": _killed,
    "hung": _frozen,
    "out of memory": _without_memory,
    "refusing writes": _without_writes,
    "out of disk": _with_full_disk,
    "loading": _loading,
    "back without its append-only file": _forgetful,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_without_valkey_the_answer_is_503_at_once_and_it_returns_by_itself(
    fault: Callable[[Valkey], AbstractContextManager[None]],
    service: Service,
    own_valkey: Valkey,
    figures: Callable[[str], None],
) -> None:
    buyer = customer()
    asyncio.run(service.until_it_decides(buyer.key))

    async def ask(seconds: float) -> list[Reply]:
        replies: list[Reply] = []
        async with service.callers(16) as callers:
            ends_at = time.monotonic() + seconds
            for _ in itertools.count():
                replies += await asyncio.gather(*(caller.check(buyer.key) for caller in callers))
                if time.monotonic() > ends_at:
                    return replies
        raise AssertionError

    with fault(own_valkey):
        replies = asyncio.run(ask(1.0))
    began = time.monotonic()
    asyncio.run(service.until_it_decides(buyer.key, patience=RETURNS_WITHIN_SECONDS))
    back_after = time.monotonic() - began

    assert {reply.status for reply in replies} == {503}
    assert {reply.body["code"] for reply in replies} == {"quota_unavailable"}
    slowest = max(reply.seconds for reply in replies)
    assert slowest < ANSWERS_WITHIN_SECONDS
    figures(
        f"{len(replies)} answers of 503, slowest {slowest:.3f} s, back after {back_after:.2f} s"
    )
