"""The billing page: what one has, what one can buy, and the pack that lifts the cap."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, User
from billing.models import Product
from quotas import grants
from quotas.entitlements import packs_on
from quotas.models.ledger import CreditEntry
from quotas.usage import drain
from tests import entitled
from tests.billing.buyer import Buyer
from tests.quotas.live_gate import LiveGate
from tests.site.answer import Answer

pytestmark = pytest.mark.django_db(transaction=True)

SWITCH = "/account/billing/packs/copilot-pro"


def _submissions(page: Answer) -> list[str]:
    return re.findall(r'name="submission" value="([^"]+)"', page.content.decode())


def test_it_offers_what_is_on_sale_with_a_form_of_its_own_each(
    products: None, owner_client: Client
) -> None:
    Product.objects.filter(slug="credits-50").update(is_active=False)
    page = owner_client.get("/account/billing")
    assert [
        (o.product.slug, o.product.price_cents, o.coming.chats) for o in page.context["offers"]
    ] == [
        ("weekly-boost", 500, 500),
        ("credits-5", 500, 250),
        ("credits-20", 2000, 1000),
    ]
    submissions = _submissions(page)
    # With that of the amount that is chosen.
    assert len(set(submissions)) == 4
    assert not set(submissions) & set(_submissions(owner_client.get("/account/billing")))


def test_it_lists_ones_own_purchases_and_ledger(
    buyer: Buyer, outsider: User, outsider_client: Client
) -> None:
    buyer.land(buyer.bought("credits-5"))
    mine = buyer.client.get("/account/billing").context
    assert [(p.product_name, p.status) for p in mine["purchases"]] == [("500 credits", "paid")]
    assert [(e.credits, e.kind_label) for e in mine["credit_entries"]] == [(500, "Bought")]
    theirs = outsider_client.get("/account/billing").context
    assert (theirs["purchases"], theirs["credit_entries"]) == ([], [])


def test_it_stays_open_while_valkey_and_stripe_are_away(
    buyer: Buyer,
    stripe_away: Callable[[bool], None],
    valkey_refuses: Callable[[bool], None],
) -> None:
    stripe_away(True)
    valkey_refuses(True)
    page = buyer.client.get("/account/billing")
    assert page.status_code == 200
    assert page.context["standing"] is None


@pytest.fixture
def on_plus(account: Account) -> Account:
    """The owner's account, moved to Plus."""
    entitled.move_to_plan(account, "plus")
    return account


def test_the_pack_is_switched_on_and_off_and_counts_at_once(
    on_plus: Account, owner_client: Client, key: str, gate: LiveGate
) -> None:
    assert gate.check(key, 1500).allowed
    assert not gate.check(key).allowed
    for _ in range(2):
        assert owner_client.post(SWITCH, {"on": "true"}).status_code == 302
        assert gate.check(key).allowed
    (pack,) = owner_client.get("/account/billing").context["packs"]
    assert pack.is_on
    for _ in range(2):
        owner_client.post(SWITCH, {"on": "false"})
        assert not gate.check(key).allowed


def test_a_pack_of_another_plan_is_refused_in_words(account: Account, owner_client: Client) -> None:
    page = owner_client.post(SWITCH, {"on": "true"}, follow=True)
    assert "Your plan does not include the Copilot Pro Pack." in page.content.decode()
    assert page.context["packs"] == []
    assert not packs_on(account).exists()


@pytest.mark.parametrize("on", ["", "yes", "1", "True"])
def test_a_switch_without_a_clear_wish_changes_nothing(
    on_plus: Account, owner_client: Client, on: str
) -> None:
    assert owner_client.post(SWITCH, {"on": on}).status_code == 302
    assert not packs_on(on_plus).exists()


def test_a_pack_is_switched_by_posts_of_its_owner_only(
    on_plus: Account, owner_client: Client, outsider_client: Client
) -> None:
    assert owner_client.get(SWITCH).status_code == 405
    assert owner_client.post("/account/billing/packs/none", {"on": "true"}).status_code == 404
    assert Client().post(SWITCH, {"on": "true"}).status_code == 302
    outsider_client.post(SWITCH, {"on": "true", "account": on_plus.pk})
    assert not packs_on(on_plus).exists()


def test_used_credits_are_a_line_of_the_ledger(
    account: Account, owner_client: Client, key: str, gate: LiveGate
) -> None:
    grants.grant_credits(
        account=account,
        credits=10,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref="test:1",
    )
    gate.use(key, 52)
    drain.move_all()
    lines = owner_client.get("/account/billing").context["credit_entries"]
    assert [(line.kind_label, line.credits) for line in lines] == [
        ("Used for chats", -4),
        ("Granted", 10),
    ]
