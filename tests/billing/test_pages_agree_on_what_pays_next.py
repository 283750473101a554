"""What pays for the next chat is decided in one place, and every page that says it asks there."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts.models import Account, User
from billing.models import Product, Purchase
from quotas import catalogue, grants
from quotas.models.plans import Plan
from tests import entitled
from tests.quotas.live_gate import LiveGate

CAP = 5
# The badge that the page shows, by the source that pays.
BADGES = {"allowance": "Allowance", "boost": "Weekly Boost", "credits": "Credits", "": None}
# What the usage page says beside the numbers, and what the page of a paid purchase says.
USAGE = {
    "allowance": None,
    "boost": "Your Weekly Boost is paying now.",
    "credits": "Your credits are paying now.",
    "used up": "Everything is used up",
    "suspended": "This account is suspended",
    "unknown": "The live count cannot be read right now",
}
PURCHASE = {
    "accepted": "The very next chat you send is accepted",
    "used up": "It does not pay for a chat right now",
    "suspended": "The account is suspended",
    "unknown": "What is left cannot be read at the moment",
}


@dataclass
class State:
    """An account on a plan of CAP chats, and how it comes to stand somewhere."""

    account: Account
    key: str
    gate: LiveGate
    refuse: Callable[[bool], None]

    def use_up(self) -> None:
        self.gate.use(self.key, CAP)

    def give_boost(self) -> None:
        now = timezone.now()
        grants.grant_boost(
            account=self.account,
            chats=10,
            at=now,
            expires_at=now + timedelta(days=7),
            source_ref="test:boost",
        )

    def give_credits(self, credits: int) -> None:
        grants.grant_credits(
            account=self.account,
            credits=credits,
            kind=grants.CreditKind.GRANT,
            at=timezone.now(),
            source_ref=f"test:{credits}",
        )

    def suspend(self) -> None:
        entitled.set_suspended(self.account, suspended=True)

    def lose_the_gate(self) -> None:
        # The gate itself goes on: it is the pages that cannot reach it.
        self.refuse(True)


@dataclass(frozen=True)
class Case:
    """How an account gets there, what pays then, and how pages call where it stands."""

    acts: tuple[Callable[[State], None], ...]
    pays: str
    stands: str


USED_UP: tuple[Callable[[State], None], ...] = (State.use_up,)
CASES = {
    "allowance": Case((), "allowance", "allowance"),
    "allowance before all others": Case(
        (State.give_boost, lambda state: state.give_credits(50)), "allowance", "allowance"
    ),
    "unlimited allowance": Case((lambda state: move(state, "pro"),), "allowance", "allowance"),
    "boost": Case((*USED_UP, State.give_boost), "boost", "boost"),
    "boost before credits": Case(
        (*USED_UP, State.give_boost, lambda state: state.give_credits(50)), "boost", "boost"
    ),
    "boost beside a debt": Case(
        (*USED_UP, State.give_boost, lambda state: state.give_credits(-50)), "boost", "boost"
    ),
    "credits": Case((*USED_UP, lambda state: state.give_credits(2)), "credits", "credits"),
    "used up": Case(USED_UP, "", "used up"),
    "too few credits": Case((*USED_UP, lambda state: state.give_credits(1)), "", "used up"),
    "a debt": Case((*USED_UP, lambda state: state.give_credits(-50)), "", "used up"),
    "suspended": Case((State.suspend,), "", "suspended"),
    "suspended and used up": Case((*USED_UP, State.suspend), "", "suspended"),
    "unknown": Case((State.lose_the_gate,), "", "unknown"),
}


def move(state: State, slug: str) -> None:
    entitled.move_to_plan(state.account, slug)


@pytest.fixture
def state(
    account: Account,
    key: str,
    gate: LiveGate,
    products: None,
    valkey_refuses: Callable[[bool], None],
) -> State:
    Plan.objects.filter(slug="plus").update(weekly_cap=CAP)
    catalogue.changed()
    found = State(account, key, gate, valkey_refuses)
    move(found, "plus")
    return found


@pytest.fixture
def paid(account: Account, owner: User, products: None) -> Purchase:
    """A purchase that was paid; what it gave is not what this is about."""
    product = Product.objects.get(slug="weekly-boost")
    return Purchase.objects.create(
        account=account,
        user=owner,
        product=product,
        product_name=product.name,
        kind=product.kind,
        amount_cents=product.price_cents,
        chats=product.chats,
        valid_days=product.valid_days,
        submission=uuid4(),
        status=Purchase.Status.PAID,
        paid_at=timezone.now(),
    )


def words(client: Client, path: str) -> str:
    """What stands on a page."""
    page = client.get(path)
    assert page.status_code == 200
    return " ".join(unescape(page.content.decode()).split())


def badges(page: str) -> list[str]:
    """The sources that a page says pay next."""
    return re.findall(r'<h3> (\S[^<]*?) <span class="badge ok">Pays next</span>', page)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_page_says_the_same_of_the_next_chat_and_the_gate_does_it(
    state: State, paid: Purchase, owner_client: Client, case: Case
) -> None:
    for act in case.acts:
        act(state)

    usage, now, billing, purchase = (
        words(owner_client, path)
        for path in (
            "/account/usage",
            "/account/usage/now",
            "/account/billing",
            f"/account/billing/purchases/{paid.pk}",
        )
    )

    badge = BADGES[case.pays]
    for page in (usage, now, billing, purchase):
        assert badges(page) == ([badge] if badge else [])
    for page in (usage, now):
        said = {stands for stands, text in USAGE.items() if text and text in page}
        assert said == {case.stands} - {"allowance"}
    promised = {outlook for outlook, text in PURCHASE.items() if text in purchase}
    assert promised == {"accepted" if case.pays else case.stands}
    if case.stands != "unknown":
        decision = state.gate.check(state.key)
        assert decision.allowed is bool(case.pays)
        assert decision.answer is not None
        took = {
            "allowance": decision.answer.allowance_taken,
            "boost": decision.answer.boost_taken,
            "credits": decision.answer.credits_taken,
        }
        assert {source for source, taken in took.items() if taken} == {case.pays} - {""}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["allowance", "used up", "suspended", "unknown"])
def test_a_pack_that_is_switched_on_counts_for_the_next_chat_where_that_is_accepted(
    state: State, owner_client: Client, name: str
) -> None:
    case = CASES[name]
    for act in case.acts:
        act(state)
    answer = owner_client.post("/account/billing/packs/copilot-pro", {"on": "true"}, follow=True)
    page = " ".join(answer.content.decode().split())
    assert "Copilot Pro Pack is on." in page
    # It lifts the cap: in all other cases there is a next chat from then on.
    assert ("It counts for the very next chat" in page) is (
        case.stands not in {"suspended", "unknown"}
    )


def test_no_template_decides_by_itself() -> None:
    """Numbers are there to be shown: what follows from them is asked of the standing."""
    deciding = re.compile(
        r"{% (?:el)?if [^%]*standing\.(?:left|boost_left|credits_left|chats_from_credits|suspended)"
    )
    templates = Path(settings.BASE_DIR, "templates")
    found = [p.name for p in templates.rglob("*.html") if deciding.search(p.read_text())]
    assert found == []
