"""Books that do not say the same are found, told with what to do, and resolve themselves."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import Account
from billing import comparing, reconciling, tasks
from billing.models import BookCheck, Difference, Purchase
from gate.store import connection, hot_state, layout
from quotas import comparing as of_the_gate
from quotas import grants, projection
from quotas.usage import drain
from tests.billing.buyer import Buyer
from tests.billing.test_claw_back import balance
from tests.billing.test_returned_money import DISPUTED, intent_of, paid, refund
from tests.patience import until
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first look and the second."""
    monkeypatch.setattr(of_the_gate, "_BETWEEN_LOOKS_SECONDS", 0.0)


def compared() -> list[tuple[str, str, str, str]]:
    """What differs an hour from now: kind, subject, and what two books say."""
    check = comparing.compare(at=timezone.now() + HOUR)
    assert check.error == ""
    rows = Difference.objects.open().order_by("kind", "subject")
    return [(row.kind, row.subject, row.expected, row.found) for row in rows]


def sql(statement: str, *values: int) -> None:
    """Change a book behind everybody's back."""
    with database.cursor() as cursor:
        cursor.execute(statement, list(values))


def change_at_the_gate(account: Account, field: str, by: int) -> None:
    client = connection.sync_client(settings.REDIS_URL)
    client.hincrby(hot_state.keys_of(account.handle).account, field, by)


def words(client: Client, url: str) -> str:
    return " ".join(strip_tags(client.get(url).content.decode()).split())


# --- the gate and the ledger ----------------------------------------------------------------------


def test_books_that_agree_differ_in_nothing_whatever_is_under_way(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    credits, boost = paid(buyer, "credits-5"), paid(buyer)
    gate.use(key, 50 + 500 + 20)
    # Nothing of it is drained; some is on hold, some was given back.
    held = gate.check(key, hold_seconds=60)
    assert held.allowed
    refund(buyer, credits, amount=100)
    reconciling.reconcile(at=timezone.now() + HOUR, since=timezone.now() - HOUR)
    assert compared() == []
    drain.move_all()
    gate.use(key, 5)
    assert compared() == []
    refund(buyer, boost)
    reconciling.reconcile(at=timezone.now() + HOUR, since=timezone.now() - HOUR)
    assert compared() == []
    drain.move_all()
    grants.book_what_was_used_meanwhile(at=timezone.now())
    assert compared() == []


def test_charges_that_wait_and_holds_are_no_difference(
    buyer: Buyer, account: Account, key: str, gate: LiveGate
) -> None:
    paid(buyer)
    gate.use(key, 50 + 7)
    assert gate.check(key, hold_seconds=60).allowed
    assert of_the_gate.unequal(at=timezone.now(), seconds_between=0) == []


@pytest.fixture
def warm(buyer: Buyer, account: Account, key: str, gate: LiveGate) -> Account:
    """Somebody with a boost and credits, who used some of both."""
    paid(buyer, "credits-5")
    paid(buyer)
    gate.use(key, 50 + 500 + 10)
    drain.move_all()
    gate.use(key, 1)
    assert compared() == []
    return account


def test_a_ledger_that_was_changed_behind_the_gates_back(warm: Account) -> None:
    sql(
        "INSERT INTO quotas_creditentry (account_id, credits, kind, source_ref, note, created_at)"
        " VALUES (%s, 100, 'grant', 'by hand', '', now())",
        warm.pk,
    )
    assert compared() == [("credits_granted", f"account:{warm.pk}", "600", "500")]


def test_a_spend_that_was_booked_twice(warm: Account) -> None:
    sql(
        "INSERT INTO quotas_creditentry (account_id, credits, kind, source_ref, note, created_at)"
        " VALUES (%s, -20, 'spend', 'twice', '', now())",
        warm.pk,
    )
    assert compared() == [("credits_spent", f"account:{warm.pk}", "42", "22")]


def test_a_gate_that_lost_what_was_spent(warm: Account) -> None:
    change_at_the_gate(warm, layout.ACCOUNT.spell("credits_spent"), -2)
    assert compared() == [("credits_spent", f"account:{warm.pk}", "22", "20")]


def test_a_boost_that_was_changed_by_hand(warm: Account) -> None:
    sql("UPDATE quotas_boost SET chats = chats + 100, spent = spent - 1")
    kinds = [(kind, expected, found) for kind, _subject, expected, found in compared()]
    assert kinds == [("boost_granted", "600", "500"), ("boost_spent", "499", "500")]


def test_a_difference_is_told_once_and_resolves_itself(
    warm: Account, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    change_at_the_gate(warm, layout.ACCOUNT.spell("credits"), 5)
    for _ in range(2):
        assert compared() == [("credits_granted", f"account:{warm.pk}", "500", "505")]
    row = Difference.objects.get()
    assert row.last_seen_at > row.first_seen_at
    assert caplog.text.count("the books differ") == 1
    page = words(admin_client, "/admin/")
    assert "One difference between the books needs a person." in page
    assert "Books Look at it" in page
    shown = words(admin_client, "/admin/billing/difference/?state=open")
    assert "Credits at the gate" in shown
    assert "Run manage.py rebuild_gate" in shown
    # As the row says.
    change_at_the_gate(warm, layout.ACCOUNT.spell("credits"), -5)
    assert compared() == []
    row.refresh_from_db()
    assert row.resolved_at is not None
    assert "the books agree again" in caplog.text
    assert "0 differences" in words(admin_client, "/admin/billing/difference/?state=open")
    assert "Credits at the gate" in words(admin_client, "/admin/billing/difference/?state=resolved")
    assert "Books Well" in words(admin_client, "/admin/")


@pytest.mark.parametrize("corrections", [[5], [0, 5]])
def test_what_does_not_differ_at_the_last_look_was_under_way(
    warm: Account, monkeypatch: pytest.MonkeyPatch, corrections: list[int]
) -> None:
    change_at_the_gate(warm, layout.ACCOUNT.spell("credits"), 5)
    looks = iter(corrections)
    compare: Any = of_the_gate._compare

    def compares(*given: object, **named: object) -> Iterator[object]:
        yield from compare(*given, **named)
        change_at_the_gate(warm, layout.ACCOUNT.spell("credits"), -next(looks, 0))

    monkeypatch.setattr(of_the_gate, "_compare", compares)
    assert compared() == []


def test_what_the_gate_does_not_know_yet_is_no_difference(
    warm: Account, valkey_refuses: Callable[[bool], None]
) -> None:
    valkey_refuses(True)
    grants.grant_credits(
        account=warm,
        credits=5,
        kind=grants.CreditKind.GRANT,
        at=timezone.now(),
        source_ref="a gift",
    )
    valkey_refuses(False)
    assert compared() == []
    projection.push_pending_accounts()
    assert compared() == []


def test_while_valkey_is_away_nothing_is_said_to_agree(
    warm: Account, valkey_refuses: Callable[[bool], None]
) -> None:
    change_at_the_gate(warm, layout.ACCOUNT.spell("credits"), 5)
    assert len(compared()) == 1
    valkey_refuses(True)
    check = comparing.compare(at=timezone.now() + HOUR)
    assert "Valkey gave no answer" in check.error
    assert Difference.objects.open().count() == 1
    assert BookCheck.objects.last_good("comparison") != check


# --- Stripe ---------------------------------------------------------------------------------------


def of(purchase: Purchase) -> str:
    return f"purchase:{purchase.pk}"


def test_a_purchase_that_was_made_paid_by_hand(buyer: Buyer) -> None:
    purchase = buyer.order()
    Purchase.objects.update(status="paid", paid_at=timezone.now())
    assert compared() == [
        ("not_granted", of(purchase), "Weekly Boost", "–"),
        ("not_paid", of(purchase), "unpaid", "paid"),
    ]


def test_a_session_that_stripe_does_not_know(buyer: Buyer) -> None:
    purchase = paid(buyer)
    Purchase.objects.update(stripe_session_id="cs_test_of_another_stripe")
    assert compared() == [("not_paid", of(purchase), "–", "paid")]


def test_another_amount(buyer: Buyer) -> None:
    purchase = paid(buyer)
    Purchase.objects.update(amount_cents=900)
    assert compared() == [("amount", of(purchase), "$5", "$9")]


def test_a_payment_that_is_not_known_here(buyer: Buyer) -> None:
    purchase = buyer.bought()
    assert compared() == [("not_known", of(purchase), "$5", "Waiting for payment")]
    reconciling.reconcile(at=timezone.now() + HOUR, since=timezone.now() - HOUR)
    assert compared() == []
    assert Difference.objects.get().resolved_at is not None


def test_money_that_went_back_is_told_and_brought_up_to_date(
    buyer: Buyer, account: Account
) -> None:
    purchase = paid(buyer, "credits-5")
    refund(buyer, purchase, amount=200)
    assert compared() == [("returned", of(purchase), "$2", "$0")]
    assert balance(account) == 300
    assert compared() == []


def test_a_dispute_that_was_won_later_is_found_and_one_that_stands_is_no_difference(
    buyer: Buyer, account: Account
) -> None:
    purchase = paid(buyer, "credits-5", number=DISPUTED)
    disputes = buyer.sandbox.api.v1.disputes
    intent = {"payment_intent": intent_of(buyer, purchase)}
    until(lambda: disputes.list(params=intent).data)  # type: ignore[arg-type]
    reconciling.reconcile(at=timezone.now() + HOUR, since=timezone.now() - HOUR)
    assert compared() == []
    (dispute,) = disputes.list(params=intent).data  # type: ignore[arg-type]
    disputes.update(dispute.id, params={"evidence": {"uncategorized_text": "winning_evidence"}})
    assert compared() == [("returned", of(purchase), "$0", "$5")]
    assert balance(account) == 500


def test_what_a_person_accepted_as_it_was_is_no_difference(
    buyer: Buyer, admin_client: Client
) -> None:
    purchase = buyer.bought()
    Purchase.objects.update(amount_cents=900)
    buyer.land(purchase)
    sent = {"act": "grant", "reason": "as agreed", "submission": uuid4()}
    admin_client.post(f"/admin/billing/purchase/{purchase.pk}/resolve/", sent)
    purchase.refresh_from_db()
    assert purchase.status == "paid"
    assert compared() == []


def test_what_is_older_than_was_asked_for_is_left_alone(buyer: Buyer) -> None:
    paid(buyer)
    Purchase.objects.update(amount_cents=900, paid_at=timezone.now() - 36 * DAY)
    assert compared() == []


def test_while_stripe_is_away_nothing_is_said_to_agree(
    buyer: Buyer, stripe_away: Callable[[bool], None]
) -> None:
    paid(buyer)
    Purchase.objects.update(amount_cents=900)
    assert len(compared()) == 1
    stripe_away(True)
    check = comparing.compare(at=timezone.now() + HOUR)
    assert "Stripe gave no answer" in check.error
    assert Difference.objects.open().count() == 1


def test_two_do_not_compare_at_once(buyer: Buyer) -> None:
    now = timezone.now()
    begun = BookCheck.objects.create(kind="comparison", since=now, until=now)
    begun.claim(at=now, until=now + HOUR)
    with pytest.raises(reconciling.UnderWay):
        comparing.compare(at=now)
    tasks.compare_books()
    assert BookCheck.objects.count() == 1
    comparing.compare(at=now + 2 * HOUR)
    assert BookCheck.objects.filter(finished_at=None).count() == 0


def test_the_command_says_what_differs_and_what_to_do(buyer: Buyer) -> None:
    purchase = paid(buyer)
    Purchase.objects.update(paid_at=timezone.now() - HOUR)
    out = StringIO()
    call_command("compare_books", stdout=out)
    assert "The books agree." in out.getvalue()
    Purchase.objects.update(amount_cents=900)
    call_command("compare_books", "--days=2", stdout=out)
    assert f"{of(purchase)}: Amount at Stripe: $9 instead of $5" in out.getvalue()
    assert "return what was too much" in out.getvalue()
    with pytest.raises(CommandError, match="from 1 to"):
        call_command("compare_books", "--days=0", stdout=out)
