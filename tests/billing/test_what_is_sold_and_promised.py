"""Nothing is sold that cannot be used, and no page promises what the standing does not hold."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from billing import tasks
from billing.models import Purchase
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.standing import Outlook, Standing, outlook_of
from tests import entitled
from tests.billing.buyer import Buyer, delivered
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

NEXT_CHAT = "very next chat"


@pytest.fixture
def suspend(account: Account) -> Callable[[bool], None]:
    """Suspends the owner's account, or lets it work again."""

    def suspended(is_so: bool) -> None:
        entitled.set_suspended(account, is_so)

    return suspended


def words(page: Any) -> str:
    return " ".join(page.content.decode().split())


# --- a suspended account ------------------------------------------------------------------------


def test_a_suspended_account_is_not_offered_anything_and_reads_why(
    buyer: Buyer, suspend: Callable[[bool], None]
) -> None:
    assert "Buy for" in words(buyer.client.get("/account/billing"))
    suspend(True)
    page = words(buyer.client.get("/account/billing"))
    assert "Buy for" not in page
    assert "This account is suspended" in page
    assert "Pays next" not in page
    suspend(False)
    assert "Buy for" in words(buyer.client.get("/account/billing"))


def test_a_suspended_account_is_not_sold_to(buyer: Buyer, suspend: Callable[[bool], None]) -> None:
    suspend(True)
    answer = buyer.submit()
    assert (answer.status_code, answer["Location"]) == (302, "/account/billing")
    assert "This account is suspended" in words(buyer.client.get(answer["Location"]))
    assert not Purchase.objects.exists()


def test_an_order_from_before_the_suspension_leads_to_no_payment_page(
    buyer: Buyer, suspend: Callable[[bool], None]
) -> None:
    order = buyer.order()
    suspend(True)
    assert buyer.submit(submission=order.submission)["Location"] == "/account/billing"


def test_what_was_paid_before_the_suspension_is_granted_and_nothing_is_promised(
    buyer: Buyer, suspend: Callable[[bool], None]
) -> None:
    purchase = buyer.bought()
    suspend(True)
    page = words(buyer.land(purchase))
    assert Boost.objects.count() == 1
    assert "Payment received" in page
    assert NEXT_CHAT not in page
    assert "The account is suspended" in page
    assert "Pays next" not in page


def test_the_usage_page_of_a_suspended_account_promises_nothing(
    owner_client: Client, suspend: Callable[[bool], None]
) -> None:
    suspend(True)
    page = words(owner_client.get("/account/usage"))
    assert "This account is suspended" in page
    for promise in ("Pays next", "Nothing stops", "Add a Weekly Boost"):
        assert promise not in page


def test_a_pack_that_is_switched_on_while_suspended_promises_no_chat(
    account: Account, owner_client: Client, suspend: Callable[[bool], None]
) -> None:
    entitled.move_to_plan(account, "plus")
    suspend(True)
    page = words(
        owner_client.post("/account/billing/packs/copilot-pro", {"on": "true"}, follow=True)
    )
    assert "Copilot Pro Pack is on." in page
    assert NEXT_CHAT not in page


# --- owed credits, no answer of the gate --------------------------------------------------------


def owe(account: Account, credits: int) -> None:
    grants.grant_credits(
        account=account,
        credits=-credits,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref="test:owed",
    )


def test_credits_that_only_pay_a_debt_promise_no_chat(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    gate.use(key, 50)
    owe(account, 900)
    page = words(buyer.land(buyer.bought("credits-5")))
    assert "Payment received" in page
    assert NEXT_CHAT not in page
    assert "does not pay for a chat right now" in page
    assert not gate.check(key).allowed
    assert "credits pay first what is owed" in words(buyer.client.get("/account/usage"))


def test_a_boost_beside_owed_credits_promises_the_next_chat_and_it_is_accepted(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    gate.use(key, 50)
    owe(account, 900)
    assert NEXT_CHAT in words(buyer.land(buyer.bought()))
    assert gate.check(key).allowed


def test_while_the_gate_gives_no_answer_no_chat_is_promised(
    buyer: Buyer, valkey_refuses: Callable[[bool], None]
) -> None:
    purchase = buyer.bought()
    valkey_refuses(True)
    page = words(buyer.land(purchase))
    assert "Payment received" in page
    assert NEXT_CHAT not in page


def test_what_a_worker_has_granted_this_moment_is_at_the_gate_before_the_page_speaks_of_it(
    buyer: Buyer, key: str, gate: LiveGate, valkey_refuses: Callable[[bool], None]
) -> None:
    gate.use(key, 50)
    purchase = buyer.bought()
    # As between the commit of a worker and its word to the gate.
    valkey_refuses(True)
    tasks.handle_event(delivered(purchase).pk)
    valkey_refuses(False)
    assert not gate.check(key).allowed
    assert NEXT_CHAT in words(buyer.land(purchase))
    assert gate.check(key).allowed


def standing(**changes: Any) -> Standing:
    fields = {
        "plan_name": "Free",
        "cap": 50,
        "used": 0,
        "left": 0,
        "resets_at": timezone.now(),
        "boosts": (),
        "boost_left": 0,
        "credits_left": 0,
        "credits_per_chat": 2,
        "suspended": False,
    }
    return Standing(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "pays_next", "outlook"),
    [
        ({"left": 1}, "allowance", Outlook.ACCEPTED),
        ({"left": None, "cap": None}, "allowance", Outlook.ACCEPTED),
        ({"left": 1, "boost_left": 1, "credits_left": 2}, "allowance", Outlook.ACCEPTED),
        ({"boost_left": 1, "credits_left": 2}, "boost", Outlook.ACCEPTED),
        ({"credits_left": 2}, "credits", Outlook.ACCEPTED),
        ({"credits_left": 1}, "", Outlook.USED_UP),
        ({"credits_left": -5}, "", Outlook.USED_UP),
        ({}, "", Outlook.USED_UP),
        ({"left": None, "cap": None, "suspended": True}, "", Outlook.SUSPENDED),
    ],
)
def test_what_may_be_promised(changes: dict[str, Any], pays_next: str, outlook: Outlook) -> None:
    now = standing(**changes)
    assert (now.pays_next, now.can_chat, outlook_of(now)) == (pays_next, bool(pays_next), outlook)


def test_of_an_unknown_standing_nothing_may_be_promised() -> None:
    assert outlook_of(None) is Outlook.UNKNOWN


# --- where the Buy button leads -----------------------------------------------------------------


def test_the_policy_names_the_origin_of_payment_pages(buyer: Buyer, settings: Any) -> None:
    answer = buyer.submit()
    assert answer["Location"].startswith(settings.STRIPE_CHECKOUT_ORIGIN + "/")


def test_a_payment_page_at_an_origin_that_the_policy_does_not_name_is_reached_by_a_link(
    buyer: Buyer, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STRIPE_CHECKOUT_ORIGIN = "https://pay.example.com"
    answer = buyer.submit()
    assert answer.status_code == 200
    assert f'href="{Purchase.objects.get().checkout_url}"' in words(answer)
    assert "STRIPE_CHECKOUT_ORIGIN" in caplog.text
