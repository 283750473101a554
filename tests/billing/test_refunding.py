"""Staff give money back through Stripe: once, never more than was paid, whatever is lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import stripe
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import Account, User
from billing import refunding, returning
from billing.models import Purchase, Refund
from billing.stripe_client import payments, refunds
from quotas.models.ledger import CreditEntry
from tests.billing.buyer import Buyer
from tests.billing.test_returned_money import DISPUTED, handle, hear, intent_of, paid, refund
from tests.stripe_sandbox.running_sandbox import Running

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
CREDITS = "credits-5"


class Killed(BaseException):
    """The process ends here."""


def page_of(purchase: Purchase) -> str:
    return f"/admin/billing/purchase/{purchase.pk}/refund/"


def give_back(
    client: Client, purchase: Purchase, amount: str = "5", *, submission: UUID | None = None
) -> str:
    """Send the form; the page that follows, in words."""
    sent = {"amount": amount, "reason": "they asked", "submission": submission or uuid4()}
    answer = client.post(page_of(purchase), sent, follow=True)
    assert answer.status_code == 200
    return in_words(answer)


def in_words(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode()).split())


def at_stripe(buyer: Buyer, purchase: Purchase) -> list[stripe.Refund]:
    """Every refund that Stripe made of the payment, the oldest first."""
    wanted: Any = {"payment_intent": intent_of(buyer, purchase), "limit": 100}
    return buyer.sandbox.api.v1.refunds.list(params=wanted).data[::-1]


def amounts(buyer: Buyer, purchase: Purchase) -> list[int]:
    return [made.amount for made in at_stripe(buyer, purchase)]


def balance(account: Account) -> int:
    return sum(CreditEntry.objects.filter(account=account).values_list("credits", flat=True))


def begun(purchase: Purchase, cents: int = 500) -> Refund:
    """A refund that is written down."""
    return refunding.begin(
        purchase=purchase,
        amount_cents=cents,
        reason="they asked",
        by=None,
        submission=uuid4(),
        at=timezone.now(),
    )


def ask(refund: Refund) -> None:
    refunding.ask(refund, at=timezone.now(), within_seconds=20)


def swept(refund: Refund, *, after: timedelta = MINUTE) -> Refund:
    """The refund after the sweep, so long after it was written down."""
    refunding.ask_about_due(at=timezone.now() + after)
    refund.refresh_from_db()
    return refund


# --- in parts and as a whole ------------------------------------------------------------------


def test_a_part_goes_back_and_then_the_rest_and_credits_with_it(
    buyer: Buyer, account: Account, admin_client: Client, admin_user: User
) -> None:
    purchase = paid(buyer, CREDITS)
    assert "$5 is left to return" in in_words(admin_client.get(page_of(purchase)))
    assert "$1.50 went back." in give_back(admin_client, purchase, "1.50")
    assert balance(account) == 350
    assert "$3.50 is left to return" in in_words(admin_client.get(page_of(purchase)))
    shown = give_back(admin_client, purchase, "3.50")
    assert amounts(buyer, purchase) == [150, 350]
    assert balance(account) == 0
    purchase.refresh_from_db()
    assert (purchase.returned_cents, purchase.status) == (500, "paid")
    # Who and why, of each.
    assert shown.count("they asked") == 2
    assert shown.count(f"Returned {admin_user.email}") == 2
    assert "Return money" not in shown
    history = LogEntry.objects.filter(object_id=str(purchase.pk)).order_by("pk")
    assert [entry.change_message for entry in history] == [
        "refund: $1.50: they asked",
        "refund: $3.50: they asked",
    ]


def test_stripe_keeps_which_purchase_and_which_refund_it_was(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = paid(buyer)
    give_back(admin_client, purchase)
    (made,) = at_stripe(buyer, purchase)
    row = Refund.objects.get()
    assert row.stripe_refund_id == made.id
    assert made.metadata is not None
    assert made.metadata.to_dict() == {"purchase": str(purchase.pk), "refund": str(row.pk)}


def test_the_customer_reads_what_was_returned_and_when(buyer: Buyer, admin_client: Client) -> None:
    purchase = paid(buyer)
    give_back(admin_client, purchase, "2")
    today = "2 was returned on"
    assert today in in_words(buyer.land(purchase))
    for page in ("/account/billing", "/account/billing/purchases"):
        assert today in in_words(buyer.client.get(page))


def test_what_went_back_in_stripes_dashboard_is_told_to_the_customer_as_well(buyer: Buyer) -> None:
    purchase = paid(buyer)
    refund(buyer, purchase, amount=200)
    hear(buyer, purchase)
    assert "$2 was returned on" in in_words(buyer.land(purchase))


# --- never more than was paid -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("5.01", "Not more than $5 is left to return."),
        ("0", "It must be at least $0.01."),
        ("", "Fill this in."),
        ("-1", "Write an amount in USD"),
    ],
)
def test_more_than_was_paid_is_not_even_written_down(
    buyer: Buyer, admin_client: Client, typed: str, says: str
) -> None:
    purchase = paid(buyer)
    assert says in give_back(admin_client, purchase, typed)
    assert not Refund.objects.exists()
    assert amounts(buyer, purchase) == []


def test_a_reason_is_required(buyer: Buyer, admin_client: Client) -> None:
    purchase = paid(buyer)
    answer = admin_client.post(page_of(purchase), {"amount": "5", "submission": uuid4()})
    assert "Say why" in answer.content.decode()
    assert not Refund.objects.exists()


def test_a_double_click_is_one_refund(buyer: Buyer, admin_client: Client) -> None:
    purchase = paid(buyer)
    submission = uuid4()
    for _ in range(2):
        assert "$3 " in give_back(admin_client, purchase, "3", submission=submission)
    assert amounts(buyer, purchase) == [300]
    assert LogEntry.objects.count() == 1


def test_two_at_once_return_no_more_than_was_paid(buyer: Buyer, admin_user: User) -> None:
    purchase = paid(buyer)

    def one(_: int) -> str:
        try:
            ask(begun(purchase, 300))
        except refunding.CannotRefund as error:
            return str(error)
        finally:
            connections.close_all()
        return ""

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(one, range(4)))
    assert min(said) == ""
    assert said.count("Not more than $2 is left to return.") == 3
    assert amounts(buyer, purchase) == [300]


def test_what_stripes_dashboard_returned_is_not_left(buyer: Buyer, admin_client: Client) -> None:
    purchase = paid(buyer)
    refund(buyer, purchase, amount=400)
    # No event told of it.
    assert "$1 is left to return" in in_words(admin_client.get(page_of(purchase)))
    assert "Not more than $1" in give_back(admin_client, purchase, "2")
    assert amounts(buyer, purchase) == [400]


def test_what_stripe_refuses_is_told_in_words_and_what_is_left_then(
    buyer: Buyer, account: Account, admin_client: Client
) -> None:
    purchase = paid(buyer, CREDITS)
    # Nobody has opened the page since, and no event came.
    refund(buyer, purchase, amount=400)
    shown = give_back(admin_client, purchase, "2")
    assert "Nothing was returned: less than that is left to return." in shown
    refund(buyer, purchase, amount=50)
    row = Refund.objects.get()
    assert (row.status, row.error_in_words) == ("refused", "less than that is left to return")
    assert balance(account) == 100
    purchase.refresh_from_db()
    money = refunding.money_of(purchase)
    assert money is not None
    assert money.left_cents == 100
    refund(buyer, purchase)
    ask(again := begun(purchase, 100))
    again.refresh_from_db()
    assert again.error == "all of it was returned already"


def test_a_payment_that_a_bank_has_taken_back_is_not_returned_as_well(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = paid(buyer, number=DISPUTED)
    hear(buyer, purchase, "charge.dispute.funds_withdrawn")
    page = admin_client.get(page_of(purchase))
    assert "$0 is left to return" in in_words(page)
    Purchase.objects.update(returned_cents=0)
    ask(row := begun(purchase))
    row.refresh_from_db()
    assert row.status == "refused"
    assert "a bank has taken the payment back" in row.error


def test_what_is_not_paid_cannot_be_returned(buyer: Buyer, admin_client: Client) -> None:
    purchase = buyer.order()
    assert "No payment of this purchase is known" in give_back(admin_client, purchase)
    assert "Return money" not in in_words(
        admin_client.get(f"/admin/billing/purchase/{purchase.pk}/change/")
    )


def test_only_whoever_may_add_refunds_returns_money(
    buyer: Buyer, outsider: User, outsider_client: Client
) -> None:
    purchase = paid(buyer)
    sent = {"amount": "5", "reason": "x", "submission": uuid4()}
    assert outsider_client.post(page_of(purchase), sent).status_code == 302
    outsider.is_staff = True
    outsider.save()
    outsider.user_permissions.add(
        *Permission.objects.filter(codename__in=["view_purchase", "change_purchase"])
    )
    assert outsider_client.post(page_of(purchase), sent).status_code == 403
    assert not Refund.objects.exists()
    outsider.user_permissions.add(Permission.objects.get(codename="add_refund"))
    assert outsider_client.post(page_of(purchase), sent).status_code == 302
    assert amounts(buyer, purchase) == [500]


# --- killed between any two steps, and answers that are lost ------------------------------------


def killed_before(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, times: int = 1
) -> None:
    """The process ends before this step, so often."""
    real = getattr(where, name)
    left = [times]

    def act(*given: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise Killed
        return real(*given, **named)

    monkeypatch.setattr(where, name, act)


def killed_after(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
    """The process ends after this step, once."""
    real = getattr(where, name)
    left = [1]

    def act(*given: Any, **named: Any) -> Any:
        answer = real(*given, **named)
        if left[0]:
            left[0] -= 1
            raise Killed
        return answer

    monkeypatch.setattr(where, name, act)


STEPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "before anything is asked": lambda patch: killed_before(patch, payments, "payment_by"),
    "before Stripe is asked": lambda patch: killed_before(patch, refunds, "create"),
    "with the answer on its way": lambda patch: killed_after(patch, refunds, "create"),
    "before it is written down": lambda patch: killed_before(patch, refunding, "_keep"),
    "before what went back is read": lambda patch: killed_before(patch, returning, "look"),
    "before that is kept": lambda patch: killed_before(patch, returning, "keep"),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_between_any_two_steps_it_is_returned_once(
    buyer: Buyer, account: Account, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    purchase = paid(buyer, CREDITS)
    row = begun(purchase, 200)
    STEPS[step](monkeypatch)
    with pytest.raises(Killed):
        ask(row)
    # Whatever was lost, so much may be under way.
    with pytest.raises(refunding.CannotRefund):
        begun(purchase, 301)
    assert swept(row).status == "succeeded"
    # Stripe's own word comes as well, or the next look.
    hear(buyer, purchase)
    swept(row)
    assert amounts(buyer, purchase) == [200]
    assert balance(account) == 300
    purchase.refresh_from_db()
    money = refunding.money_of(purchase)
    assert money is not None
    assert money.left_cents == 300


@pytest.mark.parametrize("after", [MINUTE, 2 * DAY])
def test_a_lost_answer_is_asked_for_again_and_nothing_is_returned_twice(
    buyer: Buyer, admin_client: Client, after: timedelta
) -> None:
    purchase = paid(buyer)
    lose_answers(buyer, times=2)
    assert "Stripe gave no answer." in give_back(admin_client, purchase)
    row = Refund.objects.get()
    assert (row.status, row.stripe_refund_id) == ("pending", None)
    assert swept(row, after=after).status == "succeeded"
    assert amounts(buyer, purchase) == [500]


def test_where_a_list_lags_behind_the_key_alone_keeps_it_from_being_made_twice(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    purchase = paid(buyer)
    row = begun(purchase, 200)
    killed_after(monkeypatch, refunds, "create")
    with pytest.raises(Killed):
        ask(row)
    with monkeypatch.context() as lagging:
        lagging.setattr(refunds, "of_payment", lambda *_, **__: [])
        assert swept(row).status == "succeeded"
    assert amounts(buyer, purchase) == [200]


def test_what_stripe_heard_is_known_by_its_event_before_the_sweep(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = paid(buyer)
    lose_answers(buyer, times=2)
    give_back(admin_client, purchase)
    hear(buyer, purchase)
    row = Refund.objects.get()
    assert row.status == "succeeded"
    assert row.stripe_refund_id == at_stripe(buyer, purchase)[0].id


def test_what_stripe_did_not_hear_is_returned_by_the_sweep(
    buyer: Buyer, admin_client: Client, stripe_away: Callable[[bool], None]
) -> None:
    purchase = paid(buyer)
    stripe_away(True)
    assert "Stripe gave no answer." in give_back(admin_client, purchase)
    assert swept(Refund.objects.get()).status == "pending"
    stripe_away(False)
    assert swept(Refund.objects.get(), after=10 * MINUTE).status == "succeeded"
    assert amounts(buyer, purchase) == [500]


def lose_answers(buyer: Buyer, *, times: int) -> None:
    """Stripe makes refunds, and its answers are lost on the way."""
    switch = {"times": times, "status": 500, "after_acting": True, "only": ["POST /v1/refunds"]}
    answer = buyer.sandbox.raw("POST", "/developer/switches", json={"refuse": switch})
    assert answer.status_code == 200


@pytest.fixture(autouse=True)
def answers_arrive_again(shop_sandbox: Running) -> Iterator[None]:
    """No test leaves its switch to the next one."""
    yield
    shop_sandbox.raw("POST", "/developer/switches", json={"refuse": None})


def test_a_refund_that_comes_back_gives_credits_again_and_can_be_made_anew(
    buyer: Buyer, account: Account, admin_client: Client
) -> None:
    purchase = paid(buyer, CREDITS)
    give_back(admin_client, purchase)
    row = Refund.objects.get()
    assert balance(account) == 0
    # As Stripe says of a card that was closed.
    with pytest.MonkeyPatch.context() as patch:
        failed = refunds.MadeRefund(row.stripe_refund_id or "", "failed", 500, str(row.pk))
        patch.setattr(refunds, "of_payment", lambda *_, **__: [failed])
        returning.look(purchase.stripe_session_id or "", within_seconds=20)
    row.refresh_from_db()
    assert (row.status, row.error_in_words) == ("failed", "Stripe says that it failed")


# --- what resolves a purchase that needs a person ------------------------------------------------


@pytest.fixture
def mismatched(buyer: Buyer) -> Purchase:
    """$5 arrived for an order of $9."""
    purchase = buyer.bought()
    Purchase.objects.filter(pk=purchase.pk).update(amount_cents=900)
    buyer.land(purchase)
    purchase.refresh_from_db()
    assert purchase.is_alarm
    return purchase


def resolve(client: Client, purchase: Purchase) -> str:
    sent = {"act": "refund", "reason": "wrong amount", "submission": uuid4()}
    answer = client.post(f"/admin/billing/purchase/{purchase.pk}/resolve/", sent, follow=True)
    return in_words(answer)


def test_a_payment_that_does_not_match_is_refunded_and_the_problem_ends(
    buyer: Buyer, mismatched: Purchase, admin_client: Client, admin_user: User
) -> None:
    assert "$5 went back." in resolve(admin_client, mismatched)
    mismatched.refresh_from_db()
    assert (mismatched.status, mismatched.is_alarm) == ("closed", False)
    assert (mismatched.resolution, mismatched.resolved_by) == ("wrong amount", admin_user)
    assert (amounts(buyer, mismatched), mismatched.returned_cents) == ([500], 500)
    page = in_words(buyer.land(mismatched))
    assert "This purchase was closed" in page
    assert "$5 was returned on" in page


def test_a_problem_waits_for_the_answer_of_stripe(
    buyer: Buyer, mismatched: Purchase, admin_client: Client
) -> None:
    lose_answers(buyer, times=2)
    assert "Stripe gave no answer." in resolve(admin_client, mismatched)
    mismatched.refresh_from_db()
    assert mismatched.is_alarm
    # Whoever hears of it first.
    hear(buyer, mismatched)
    assert (mismatched.status, mismatched.is_alarm) == ("closed", False)
    assert amounts(buyer, mismatched) == [500]


def test_a_second_payment_of_a_paid_purchase_goes_back_and_the_first_one_stays(
    buyer: Buyer, account: Account, admin_client: Client
) -> None:
    purchase = paid(buyer, CREDITS)
    other = buyer.sandbox.session(
        client_reference_id=str(purchase.pk), metadata={"account": account.handle}
    )
    buyer.sandbox.pay(other)
    event = {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "data": {"object": {"id": other.id, "object": "checkout.session"}},
    }
    handle(event)
    purchase.refresh_from_db()
    assert purchase.is_alarm
    assert "$5 went back." in resolve(admin_client, purchase)
    purchase.refresh_from_db()
    assert (purchase.status, purchase.is_alarm, purchase.returned_cents) == ("paid", False, 0)
    assert (amounts(buyer, purchase), balance(account)) == ([], 500)
    intent = buyer.sandbox.fresh(other).payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    wanted: Any = {"payment_intent": intent.id}
    assert len(buyer.sandbox.api.v1.refunds.list(params=wanted).data) == 1


def test_a_purchase_whose_payment_is_not_known_says_so(
    buyer: Buyer, mismatched: Purchase, admin_client: Client
) -> None:
    Purchase.objects.update(received_cents=None)
    assert "No payment of this purchase is known" in resolve(admin_client, mismatched)
    mismatched.refresh_from_db()
    assert mismatched.is_alarm
