"""What an account could not use is not sold to it, and what becomes of a purchase is said."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from billing.models import Purchase
from quotas import grants
from quotas.models.entitlements import PlanGrant
from quotas.models.ledger import CreditEntry
from quotas.models.plans import Pack, Plan
from tests import entitled
from tests.billing.buyer import Buyer
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

NOT_SOLD = "a boost would not be used before its days are over"
WAIT = "credits wait until you are on a plan with one"
ONLY_AFTER = "it could pay for chats only after that"
LEFT_UNUSED = "what is left of the boost by then is not used"


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


def billing(client: Client) -> str:
    return words(client.get("/account/billing"))


def owe(account: Account, credits: int) -> None:
    grants.grant_credits(
        account=account,
        credits=-credits,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref="test:owed",
    )


def plan_from(account: Account, slug: str, *, after: timedelta) -> None:
    """A plan that begins later."""
    grants.grant_plan(
        account=account,
        plan=Plan.objects.get(slug=slug),
        source=PlanGrant.Source.ADMIN,
        at=timezone.now() + after,
        source_ref="test:later",
    )


@pytest.fixture
def lifted(account: Account) -> Callable[[bool], None]:
    """Puts the owner on Plus with its pack, or switches the pack off again."""
    entitled.move_to_plan(account, "plus")

    def switch(on: bool) -> None:
        entitled.switch_pack(account, Pack.objects.get(), on=on)

    return switch


# --- no weekly cap ------------------------------------------------------------------------------


def test_a_plan_without_a_cap_is_sold_credits_and_no_boost_and_reads_why(
    buyer: Buyer, account: Account
) -> None:
    before = billing(buyer.client)
    assert NOT_SOLD not in before
    assert WAIT not in before
    entitled.move_to_plan(account, "pro")
    page = billing(buyer.client)
    assert page.count(NOT_SOLD) == 1
    assert page.count(WAIT) == 3
    assert 'value="weekly-boost"' not in page
    # Three packs, and an amount of one's own.
    assert page.count('name="submission"') == 4


def test_a_boost_that_could_not_be_used_is_refused_when_it_is_ordered_too(
    buyer: Buyer, account: Account
) -> None:
    order = buyer.order()
    entitled.move_to_plan(account, "pro")
    for submission in (uuid4(), order.submission):
        answer = buyer.submit(submission=submission)
        assert answer["Location"] == "/account/billing"
        assert NOT_SOLD in words(buyer.client.get("/account/billing"))
    assert Purchase.objects.get() == order
    assert buyer.order("credits-5").status == "pending"


def test_a_pack_that_lifts_the_cap_counts_as_none_while_it_is_on(
    buyer: Buyer, lifted: Callable[[bool], None]
) -> None:
    assert NOT_SOLD not in billing(buyer.client)
    lifted(True)
    assert NOT_SOLD in billing(buyer.client)
    assert buyer.submit()["Location"] == "/account/billing"
    assert NOT_SOLD in billing(buyer.client)
    lifted(False)
    assert NOT_SOLD not in billing(buyer.client)
    buyer.order()


@pytest.mark.parametrize(("days", "is_sold"), [(6, True), (8, False)])
def test_a_boost_is_sold_while_its_days_reach_into_a_plan_with_a_cap_and_that_is_said(
    buyer: Buyer, account: Account, days: int, is_sold: bool
) -> None:
    ends_at = timezone.now() + timedelta(days=days)
    entitled.move_to_plan(account, "pro", ends_at=ends_at)
    page = billing(buyer.client)
    assert (ONLY_AFTER in page, NOT_SOLD in page) == (is_sold, not is_sold)
    assert (buyer.submit().status_code == 303) is is_sold


@pytest.mark.parametrize(("days", "is_said"), [(6, True), (8, False)])
def test_a_cap_that_ends_within_the_days_of_a_boost_is_said(
    buyer: Buyer, account: Account, days: int, is_said: bool
) -> None:
    plan_from(account, "pro", after=timedelta(days=days))
    assert (LEFT_UNUSED in billing(buyer.client)) is is_said
    buyer.order()


def test_a_plan_with_a_cap_that_follows_another_is_nothing_to_warn_of(
    buyer: Buyer, account: Account
) -> None:
    entitled.move_to_plan(account, "core", ends_at=timezone.now() + timedelta(days=2))
    page = billing(buyer.client)
    for said in (NOT_SOLD, ONLY_AFTER, LEFT_UNUSED, WAIT):
        assert said not in page


# --- credits that are owed ----------------------------------------------------------------------


def test_what_of_a_purchase_pays_a_debt_is_said_before_and_after_it_is_bought(
    buyer: Buyer, account: Account, gate: LiveGate
) -> None:
    assert "what you owe" not in billing(buyer.client)
    owe(account, 900)
    page = billing(buyer.client)
    assert "500 credits of it pay first what you owe: 0 chats remain of it." in page
    assert "900 credits of it pay first what you owe: 550 chats remain of it." in page
    offers = buyer.client.get("/account/billing").context["offers"]
    assert [offer.coming.chats for offer in offers] == [500, 0, 550, 2050]

    first = buyer.bought("credits-5")
    page = words(buyer.land(first))
    assert "500 credits of it were owed and are paid with it: it brings 0 chats." in page
    assert "400 credits of it pay first what you owe: 800 chats remain" in billing(buyer.client)
    second = buyer.bought("credits-20")
    assert "400 credits of it were owed and are paid with it: it brings 800 chats." in words(
        buyer.land(second)
    )
    # Whatever comes later, the first one paid what it paid.
    assert "500 credits of it were owed" in words(buyer.land(first))
    assert "what you owe" not in billing(buyer.client)


def test_where_nothing_was_owed_the_page_after_paying_says_nothing_of_it(
    buyer: Buyer, account: Account
) -> None:
    assert "owed" not in words(buyer.land(buyer.bought("credits-5")))
    owe(account, 100)
    assert "owed and" not in words(buyer.land(buyer.bought()))
