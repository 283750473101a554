"""What was bought goes with its money: unused it is taken back, used it is owed, once, exactly."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from django.utils import timezone

from accounts.models import Account
from billing import fulfilment, returning
from billing.models import Purchase
from billing.returning import Returned
from billing.stripe_client.sessions import CheckoutSession
from quotas import grants
from quotas.models.ledger import Boost, CreditEntry
from quotas.standing import standing_of
from quotas.usage import drain
from tests.billing.buyer import Buyer
from tests.billing.test_returned_money import DISPUTED, hear, paid, refund
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)


def balance(account: Account) -> int:
    drain.move_all()
    return sum(CreditEntry.objects.filter(account=account).values_list("credits", flat=True))


def lines(account: Account) -> list[int]:
    """What was taken back and given again, the oldest first."""
    found = CreditEntry.objects.filter(account=account, kind="return").order_by("pk")
    return list(found.values_list("credits", flat=True))


def left(account: Account) -> tuple[int, int]:
    """Chats of boosts and credits that the gate says are left."""
    standing = standing_of(account)
    assert standing is not None
    return standing.boost_left, standing.credits_left


def settled(account: Account) -> None:
    """What was used is drained, and owed where it was taken back."""
    drain.move_all()
    grants.book_what_was_used_meanwhile(at=timezone.now())


def test_of_credits_so_much_is_taken_back_as_money_went_back(
    buyer: Buyer, account: Account
) -> None:
    purchase = paid(buyer, "credits-5")
    for part, whole in ((150, 150), (1, 151), (349, 500)):
        refund(buyer, purchase, amount=part)
        hear(buyer, purchase)
        purchase.refresh_from_db()
        # Heard of again, by whatever way, it is taken back once.
        fulfilment.take_back_returned(purchase, at=timezone.now())
        assert balance(account) == 500 - whole
        assert left(account) == (0, 500 - whole)
    assert lines(account) == [-150, -1, -349]


def test_credits_that_were_used_are_owed_and_the_next_top_up_pays_them_first(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    purchase = paid(buyer, "credits-5")
    gate.use(key, 50 + 100)
    refund(buyer, purchase)
    hear(buyer, purchase)
    assert balance(account) == -200
    assert not gate.check(key).allowed
    assert "owed" in buyer.land(purchase).content.decode()
    paid(buyer, "credits-5")
    assert left(account) == (0, 300)
    gate.use(key, 150)
    assert not gate.check(key).allowed


def test_of_a_boost_the_unused_chats_go_first(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    purchase = paid(buyer)
    gate.use(key, 50 + 200)
    refund(buyer, purchase, amount=250)
    hear(buyer, purchase)
    assert left(account) == (50, 0)
    gate.use(key, 50)
    assert not gate.check(key).allowed
    settled(account)
    assert balance(account) == 0


def test_chats_of_a_boost_that_were_used_are_owed_at_its_price(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    purchase = paid(buyer)
    gate.use(key, 50 + 200)
    # The gate has charged what PostgreSQL does not know yet.
    refund(buyer, purchase)
    hear(buyer, purchase)
    assert left(account)[0] == 0
    assert not gate.check(key).allowed
    settled(account)
    settled(account)
    assert lines(account) == [-200]
    assert left(account) == (0, -200)
    boost = Boost.objects.get()
    assert (boost.chats, boost.taken_back, boost.granted, boost.spent) == (500, 500, 0, 200)


def test_a_chat_that_is_given_back_later_is_not_owed(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    purchase = paid(buyer)
    *_others, last = gate.use(key, 50 + 3)
    refund(buyer, purchase)
    hear(buyer, purchase)
    settled(account)
    assert balance(account) == -3
    gate.refund(last)
    settled(account)
    assert balance(account) == -2


def test_a_dispute_that_is_won_gives_it_again_with_its_days(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    purchase = paid(buyer, number=DISPUTED)
    gate.use(key, 50 + 10)
    hear(buyer, purchase, "charge.dispute.funds_withdrawn")
    settled(account)
    assert left(account) == (0, -10)
    boost = Boost.objects.get()
    days = timedelta(days=30)
    Boost.objects.update(
        starts_at=boost.starts_at - days,
        taken_back_at=timezone.now() - days,
        expires_at=boost.expires_at - days,
    )
    disputes = buyer.sandbox.api.v1.disputes
    (dispute,) = (d for d in disputes.list().data if d.payment_intent == intent(buyer, purchase))
    disputes.update(dispute.id, params={"evidence": {"uncategorized_text": "winning_evidence"}})
    hear(buyer, purchase, "charge.dispute.funds_reinstated")
    assert left(account) == (490, 0)
    assert lines(account) == [-10, 10]
    again = Boost.objects.get()
    assert abs(again.expires_at - boost.expires_at) < timedelta(minutes=1)


def intent(buyer: Buyer, purchase: Purchase) -> str:
    session = buyer.sandbox.api.v1.checkout.sessions.retrieve(purchase.stripe_session_id or "")
    assert isinstance(session.payment_intent, str)
    return session.payment_intent


def test_what_was_paid_wrongly_and_given_all_the_same_goes_in_proportion(
    buyer: Buyer, account: Account
) -> None:
    purchase = paid(buyer, "credits-5")
    Purchase.objects.filter(pk=purchase.pk).update(received_cents=400)
    refund(buyer, purchase, amount=100)
    hear(buyer, purchase)
    assert lines(account) == [-125]


def test_money_of_an_order_that_was_never_given_takes_nothing(
    buyer: Buyer, account: Account
) -> None:
    purchase = paid(buyer, "credits-5")
    other = buyer.order("credits-5")
    Purchase.objects.filter(pk=other.pk).update(stripe_session_id="cs_test_other", status="review")
    returning.keep(Returned("cs_test_other", 500, timezone.now()))
    assert balance(account) == 500
    assert purchase.status == "paid"


Step = Callable[[Purchase, datetime], None]


def told(status: str) -> Step:
    def step(purchase: Purchase, at: datetime) -> None:
        session = CheckoutSession(
            session_id=purchase.stripe_session_id or "",
            url=None,
            client_reference_id=str(purchase.pk),
            account=purchase.account.handle,
            status="complete",
            payment_status=status,
            payment_failed=False,
            amount_cents=purchase.amount_cents,
            currency="usd",
            is_live=False,
        )
        fulfilment.settle(session, at=at)

    return step


def back(cents: int, seconds: int) -> Step:
    """What Stripe said some seconds into the story, whenever it is written down."""

    def step(purchase: Purchase, at: datetime) -> None:
        asked_at = purchase.created_at + timedelta(seconds=seconds)
        returning.keep(Returned(purchase.stripe_session_id or "", cents, asked_at))

    return step


STORY: tuple[Step, ...] = (
    told("unpaid"),
    told("paid"),
    back(200, seconds=1),
    back(500, seconds=2),
    back(200, seconds=3),
)


@pytest.mark.parametrize("product", ["credits-5", "weekly-boost"])
def test_all_orders_of_payment_refund_and_dispute_come_to_the_same(
    buyer: Buyer, account: Account, product: str
) -> None:
    first = buyer.order(product)
    for number, steps in enumerate(permutations(STORY)):
        purchase = another_order(first, number)
        for step in steps:
            step(purchase, timezone.now())
        purchase.refresh_from_db()
        assert (purchase.status, purchase.returned_cents) == ("paid", 200)
    drain.move_all()
    stories = 120
    if product == "credits-5":
        assert balance(account) == stories * 300
    else:
        assert set(Boost.objects.values_list("chats", "taken_back")) == {(500, 200)}
        assert left(account) == (stories * 300, 0)


def another_order(first: Purchase, number: int) -> Purchase:
    """Another order like the first one, with a session of its own."""
    fields = {
        field.attname: getattr(first, field.attname)
        for field in Purchase._meta.concrete_fields
        if field.name not in {"id", "submission", "stripe_session_id", "checkout_url"}
    }
    return Purchase.objects.create(
        **fields,
        submission=f"00000000-0000-4000-8000-{number:012}",
        stripe_session_id=f"cs_test_story{number}",
    )
