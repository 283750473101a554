"""Where keys are used from is noticed beside the decision, and no request waits for it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from gate.decision.check import Decision, Renewal
from gate.service import sightings
from gate.service.sightings import Sighting, Sightings
from gate.store.charges import Answer
from gate.terms import addresses, key_text
from gate.terms.reasons import Reason
from tests.gate.quota_service import QuotaService
from tests.patience import LONGEST_SECONDS

HERE, THERE = "192.0.2.7", "2001:db8:1:2::7"


class Book:
    """Takes down what is recorded; it may fail or hang before."""

    def __init__(self, *, failures: int = 0) -> None:
        self.seen: list[Sighting] = []
        self.calls = 0
        self.failures = failures
        self.is_free = asyncio.Event()
        self.is_free.set()

    async def record(self, seen: Sequence[Sighting]) -> None:
        self.calls += 1
        await self.is_free.wait()
        if self.calls <= self.failures:
            raise OSError("PostgreSQL is away")
        self.seen.extend(seen)

    async def holds(self, count: int) -> list[tuple[int, str, str]]:
        """What stands in it once there is so much."""
        async with asyncio.timeout(LONGEST_SECONDS):
            while len(self.seen) < count:  # noqa: ASYNC110 - whoever writes is not told
                await asyncio.sleep(0.01)
        return [
            (seen.key_id, str(addresses.from_hex(seen.address)), seen.client) for seen in self.seen
        ]


@pytest.fixture
def book(service: QuotaService) -> Book:
    kept = Book()
    service.record_sightings = kept.record
    service.trust(client_ip=True)
    return kept


def from_here(service: QuotaService, address: str = HERE, *, client: str = "bot/1") -> Any:
    """What a gateway sends for its customer."""
    return {
        "Authorization": f"Bearer {service.world.key}",
        "X-Quota-Service-Token": service.token,
        "X-Quota-Client-IP": address,
        "User-Agent": client,
    }


def test_a_gateway_s_customer_is_noticed_with_address_and_client(
    service: QuotaService, book: Book
) -> None:
    async def story(client: httpx.AsyncClient) -> list[tuple[int, str, str]]:
        for address in (HERE, THERE):
            headers = from_here(service, address)
            assert (await client.get("/quota/v1/authorize", headers=headers)).status_code == 200
        return await book.holds(2)

    assert service.tell(story) == [(7, HERE, "bot/1"), (7, THERE, "bot/1")]


def test_an_api_server_says_where_its_customer_is_and_its_own_client_is_not_theirs(
    service: QuotaService, book: Book
) -> None:
    one = {"key": service.world.key, "ip": HERE}
    other = {"key": service.world.key, "ip": THERE}

    async def story(client: httpx.AsyncClient) -> list[tuple[int, str, str]]:
        await client.post("/quota/v1/check", **service.words(one))
        await client.post("/quota/v1/check/batch", **service.words({"checks": [other]}))
        return await book.holds(2)

    assert service.tell(story) == [(7, HERE, ""), (7, THERE, "")]


def test_a_key_that_is_asked_for_again_and_again_leaves_one_line_a_network(
    service: QuotaService, book: Book
) -> None:
    async def story(client: httpx.AsyncClient) -> list[tuple[int, str, str]]:
        for number in range(5):
            headers = from_here(service, f"192.0.2.{number}")
            await client.get("/quota/v1/authorize", headers=headers)
        await client.get("/quota/v1/authorize", headers=from_here(service, "198.51.100.1"))
        return await book.holds(2)

    assert service.tell(story) == [(7, "192.0.2.0", "bot/1"), (7, "198.51.100.1", "bot/1")]


def test_a_key_that_is_refused_for_what_is_used_up_was_used(
    service: QuotaService, book: Book
) -> None:
    service.use_up()

    async def story(client: httpx.AsyncClient) -> list[tuple[int, str, str]]:
        answer = await client.get("/quota/v1/authorize", headers=from_here(service))
        assert answer.status_code == 429
        return await book.holds(1)

    assert service.tell(story) == [(7, HERE, "bot/1")]


def test_nobody_s_key_and_a_key_without_an_address_leave_nothing(
    service: QuotaService, book: Book
) -> None:
    nobodys = from_here(service)
    nobodys["Authorization"] = f"Bearer {key_text.new_api_key(service.world.handle)}"
    placeless = from_here(service)
    del placeless["X-Quota-Client-IP"]

    async def story(client: httpx.AsyncClient) -> list[tuple[int, str, str]]:
        for headers in (nobodys, placeless, from_here(service, THERE)):
            await client.get("/quota/v1/authorize", headers=headers)
        return await book.holds(1)

    assert service.tell(story) == [(7, THERE, "bot/1")]


def test_a_key_that_is_bound_elsewhere_leaves_nothing(service: QuotaService, book: Book) -> None:
    bound = (addresses.network_to_hex("2001:db8::/32"),)
    service.world.grant(keys=(service.world.key_state(version=2, addresses=bound),))

    async def story(client: httpx.AsyncClient) -> list[tuple[int, str, str]]:
        for address in (HERE, THERE):
            await client.get("/quota/v1/authorize", headers=from_here(service, address))
        return await book.holds(1)

    assert service.tell(story) == [(7, THERE, "bot/1")]


def test_no_request_waits_while_it_cannot_be_written_down(
    service: QuotaService, book: Book
) -> None:
    async def story(client: httpx.AsyncClient) -> list[tuple[int, str, str]]:
        book.is_free.clear()
        await client.get("/quota/v1/authorize", headers=from_here(service))
        async with asyncio.timeout(LONGEST_SECONDS):
            while not book.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        answer = await client.get("/quota/v1/authorize", headers=from_here(service, THERE))
        assert answer.status_code == 200
        assert (book.calls, book.seen) == (1, [])
        book.is_free.set()
        return await book.holds(2)

    assert len(service.tell(story)) == 2


def decision(key_id: int) -> Decision:
    return Decision(allowed=True, reason=Reason.OK, answer=Answer("ok", key_id=key_id, at_ms=1))


def test_what_could_not_be_written_down_is_tried_again() -> None:
    async def story() -> None:
        book = Book(failures=2)
        noticing = Sightings(record=book.record, written_every_seconds=0.01)
        noticing.notice(decision(1), addresses.to_hex(HERE), [])
        await book.holds(1)
        assert book.calls == 3

    asyncio.run(story())


def test_after_a_while_the_same_place_is_written_down_again() -> None:
    async def story() -> None:
        book = Book()
        noticing = Sightings(
            record=book.record, written_every_seconds=0.01, again_after_seconds=0.05
        )
        async with asyncio.timeout(LONGEST_SECONDS):
            while len(book.seen) < 3:
                noticing.notice(decision(1), addresses.to_hex(HERE), [])
                await asyncio.sleep(0.01)

    asyncio.run(story())


def test_a_flood_of_keys_and_networks_is_noticed_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sightings, "AT_MOST", 10)

    async def story() -> None:
        book = Book()
        noticing = Sightings(record=book.record, written_every_seconds=0.01)
        for key_id in range(1, 100):
            noticing.notice(decision(key_id), addresses.to_hex(HERE), [])
        assert len(await book.holds(10)) == 10

    asyncio.run(story())


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2::7", "2001:db8:1::/48"),
    ],
)
def test_the_digits_of_a_network_are_those_of_its_addresses(address: str, network: str) -> None:
    digits = addresses.to_hex(address)
    around = addresses.network_around(addresses.from_hex(digits))
    assert str(around) == network
    first, last = (addresses.to_hex(str(around[place])) for place in (0, -1))
    assert addresses.network_digits(first) == addresses.network_digits(last)
    before = addresses.to_hex(str(around[0] - 1))
    assert addresses.network_digits(before) != addresses.network_digits(digits)


# --- keys of an older pepper ------------------------------------------------------------------


def of_older_pepper(key_id: int = 7) -> Decision:
    renewal = Renewal(key_id, digest_now="older", digest="newer", pepper_id="2")
    answer = Answer(status="ok", key_id=key_id, matched=1)
    return Decision(allowed=True, reason=Reason.OK, answer=answer, renewal=renewal)


async def test_a_key_is_said_to_move_once_a_minute_from_wherever_it_asks() -> None:
    moved: list[Renewal] = []

    async def renew(renewals: Sequence[Renewal]) -> None:
        moved.extend(renewals)

    kept = Sightings(renew=renew, written_every_seconds=0.01)
    for address in ("", addresses.to_hex(HERE), addresses.to_hex(THERE)):
        kept.notice(of_older_pepper(), address, [])
    kept.notice(of_older_pepper(8), "", [])
    async with asyncio.timeout(LONGEST_SECONDS):
        while len(moved) < 2:  # noqa: ASYNC110 - whoever writes is not told
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert [one.key_id for one in moved] == [7, 8]


async def test_a_move_that_could_not_be_written_is_tried_again() -> None:
    calls: list[int] = []

    async def renew(renewals: Sequence[Renewal]) -> None:
        calls.append(len(renewals))
        if len(calls) == 1:
            raise OSError("PostgreSQL is away")

    kept = Sightings(renew=renew, written_every_seconds=0.01)
    kept.notice(of_older_pepper(), "", [])
    async with asyncio.timeout(LONGEST_SECONDS):
        while len(calls) < 2:  # noqa: ASYNC110 - whoever writes is not told
            await asyncio.sleep(0.01)
    assert calls == [1, 1]
