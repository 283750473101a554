"""What a purchase brings is drawn as cells, all that stand together at one scale."""

import re
from dataclasses import dataclass

import pytest
from django.test import Client

from billing.coming import coming_of
from billing.models import Purchase
from tests.billing.buyer import Buyer
from tests.quotas.live_gate import LiveGate


@dataclass
class Brings:
    """A product, as far as it is drawn."""

    kind: str = "boost"
    chats: int = 0
    credits: int = 0


def test_credits_are_drawn_as_the_chats_that_they_pay() -> None:
    ((_, coming),) = coming_of([Brings("credits", credits=41)], credits_per_chat=2)
    assert (coming.kind, coming.chats) == ("credits", 20)


@pytest.mark.parametrize(
    ("chats", "a_cell", "rows"),
    [
        ([1], 1, [[1]]),
        ([60], 1, [[30, 30]]),
        # The last cell may not be full; it is drawn.
        ([61], 10, [[7]]),
        ([500, 2500], 50, [[10], [30, 20]]),
        ([0], 1, [[]]),
    ],
)
def test_all_have_one_scale_and_no_more_than_two_rows(
    chats: list[int], a_cell: int, rows: list[list[int]]
) -> None:
    drawn = [c for _, c in coming_of([Brings(chats=n) for n in chats], credits_per_chat=2)]
    assert {c.chats_a_cell for c in drawn} == {a_cell}
    assert [[run.length for run in c.runs] for c in drawn] == rows


def test_nothing_is_drawn_of_nothing() -> None:
    assert coming_of([], credits_per_chat=2) == []


@pytest.mark.django_db(transaction=True)
def test_cells_of_an_order_are_hollow_until_it_is_paid(buyer: Buyer) -> None:
    def drawn(purchase: Purchase) -> list[str]:
        page = buyer.land(purchase).content.decode()
        found = re.search(r'<svg class="coming".*?</svg>', page, re.DOTALL)
        assert found
        return re.findall(r'fill="url\(#cell-([a-z-]+)\)"', found[0])

    order = buyer.order()
    assert set(drawn(order)) == {"boost-coming"}
    buyer.pay(order)
    buyer.wait(order)
    assert set(drawn(order)) == {"boost-coming", "boost"}


@pytest.mark.django_db(transaction=True)
def test_what_can_be_bought_comes_first_for_whoever_has_nothing_left(
    buyer: Buyer, key: str, gate: LiveGate, owner_client: Client
) -> None:
    def sections() -> list[str]:
        page = owner_client.get("/account/billing").content.decode()
        return re.findall(r'<section class="row" aria-labelledby="(\w+)"', page)

    assert sections()[:2] == ["left", "buy"]
    gate.use(key, 50)
    assert sections()[:2] == ["buy", "left"]
    buyer.land(buyer.bought())
    assert sections()[:2] == ["left", "buy"]
