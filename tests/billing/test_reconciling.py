"""Every event may be lost: what Stripe has is found there, has its effect once, and is an alarm."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import Account
from billing import fulfilment, reconciling, tasks, watching
from billing.models import BookCheck, Purchase, StripeEvent
from billing.stripe_client import asking, listing
from billing.stripe_client.listing import Between
from billing.stripe_client.sessions import CheckoutSession
from quotas.models.ledger import Boost, CreditEntry
from tests.billing.buyer import Buyer, deliver, delivered, event_of
from tests.billing.test_returned_money import DISPUTED, paid, refund
from tests.patience import until
from tests.stripe_sandbox.running_sandbox import Running, receiving, running

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def shop_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Stripe whose clock nobody has put ahead."""
    path = tmp_path_factory.mktemp("reconciled") / "stripe.sqlite3"
    with receiving() as receiver, running(path, receiver) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def no_alarm_is_known() -> Iterator[None]:
    """Neither of earlier tests, nor for later ones."""
    names = [f"money-alarm:{word}" for word in watching.WORDS]
    cache.delete_many(names)
    yield
    cache.delete_many(names)


def reconciled(*, after: timedelta = timedelta(0)) -> BookCheck:
    """What a reconciliation finds that looks at the last hours only, so long from now."""
    return reconciling.reconcile(at=timezone.now() + after, since=timezone.now() - HOUR)


def fresh(purchase: Purchase) -> Purchase:
    purchase.refresh_from_db()
    return purchase


def words(client: Client, url: str = "/admin/") -> str:
    return " ".join(strip_tags(client.get(url).content.decode()).split())


def has_reconciled(*, ago: timedelta) -> None:
    """A good one, so long ago."""
    at = timezone.now() - ago
    BookCheck.objects.create(
        kind="reconciliation", started_at=at, finished_at=at, since=at - DAY, until=at
    )


# --- every event lost ---------------------------------------------------------------------------


def test_every_event_lost_each_paid_session_is_granted_once(buyer: Buyer, account: Account) -> None:
    boosts = [buyer.bought() for _ in range(3)]
    credits = buyer.bought("credits-5")
    unpaid = buyer.order()
    check = reconciled()
    assert check.error == ""
    assert check.counts["granted"] == 4
    for purchase in (*boosts, credits):
        assert fresh(purchase).status == "paid"
    assert fresh(unpaid).status == "pending"
    assert Boost.objects.count() == 3
    again = reconciled()
    assert "granted" not in again.counts
    assert again.counts["paid"] >= 4
    # The events come after all.
    for purchase in (*boosts, credits):
        event = delivered(purchase)
        tasks.handle_event(event.pk)
    assert Boost.objects.count() == 3
    assert CreditEntry.objects.get().credits == 500


def test_page_event_and_reconciliation_at_once_grant_once(buyer: Buyer) -> None:
    purchase = buyer.bought()
    event = delivered(purchase)

    def done(act: Callable[[], object]) -> None:
        try:
            act()
        finally:
            connections.close_all()

    acts: list[Callable[[], object]] = [
        lambda: tasks.handle_event(event.pk),
        lambda: fulfilment.look(Purchase.objects.get(pk=purchase.pk), at=timezone.now()),
        reconciled,
    ]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(done, acts))
    assert fresh(purchase).status == "paid"
    assert Boost.objects.count() == 1


def test_a_session_whose_id_never_reached_us_is_granted(buyer: Buyer) -> None:
    purchase = buyer.bought()
    Purchase.objects.filter(pk=purchase.pk).update(stripe_session_id=None, checkout_url="")
    reconciled()
    assert fresh(purchase).status == "paid"


def test_what_was_given_up_and_is_paid_is_granted(buyer: Buyer) -> None:
    purchase = buyer.bought()
    Purchase.objects.update(status="abandoned")
    assert reconciled().counts["granted"] == 1
    assert fresh(purchase).status == "paid"


def test_a_payment_that_does_not_match_is_an_alarm_and_nothing_is_granted(buyer: Buyer) -> None:
    purchase = buyer.bought()
    Purchase.objects.update(amount_cents=700)
    assert reconciled().counts["alarms"] == 1
    assert fresh(purchase).is_alarm
    assert not Boost.objects.exists()


def test_another_payment_of_a_paid_purchase_is_an_alarm_once(
    buyer: Buyer, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    purchase = paid(buyer)
    other = buyer.sandbox.session(
        client_reference_id=str(purchase.pk), metadata={"account": account.handle}
    )
    buyer.sandbox.pay(other)
    reconciled()
    assert fresh(purchase).is_alarm
    caplog.clear()
    reconciled()
    assert "another session" not in caplog.text


def test_sessions_of_something_else_are_left_alone(
    buyer: Buyer, caplog: pytest.LogCaptureFixture
) -> None:
    buyer.sandbox.pay(buyer.sandbox.session())
    reconciled()
    assert "without a purchase of ours" not in caplog.text


def test_refunds_and_disputes_of_which_no_event_told_take_their_credits(
    buyer: Buyer, account: Account
) -> None:
    refunded = paid(buyer, "credits-5")
    disputed = paid(buyer, "credits-5", number=DISPUTED)
    refund(buyer, refunded, amount=200)
    until(lambda: buyer.sandbox.api.v1.disputes.list().data)
    check = reconciled()
    assert check.counts["returned"] == 2
    assert fresh(refunded).returned_cents == 200
    assert fresh(disputed).returned_cents == 500
    balance = sum(CreditEntry.objects.filter(account=account).values_list("credits", flat=True))
    assert balance == 300
    assert "returned" not in reconciled().counts


# --- how it goes on -----------------------------------------------------------------------------


def test_it_begins_where_the_last_good_one_ended_and_a_day_before(buyer: Buyer) -> None:
    now = timezone.now()
    first = reconciling.reconcile_if_due(at=now)
    assert first is not None
    assert first.since == now - 30 * DAY
    assert reconciling.reconcile_if_due(at=now + 59 * MINUTE) is None
    second = reconciling.reconcile_if_due(at=now + 60 * MINUTE)
    assert second is not None
    assert second.since == now - 26 * HOUR
    BookCheck.objects.update(until=now - 90 * DAY)
    third = reconciling.reconcile_if_due(at=now + 120 * MINUTE)
    assert third is not None
    assert third.since == now + 120 * MINUTE - 30 * DAY


def pages_of(monkeypatch: pytest.MonkeyPatch, size: int) -> list[str]:
    """Let pages be so short; where each of sessions begins."""
    asked: list[str] = []
    page: Any = listing._page

    def short(
        ask_for: object, params: dict[str, object], *given: object, **named: object
    ) -> object:
        if "status" in params:
            asked.append(str(named["after"]))
        return page(ask_for, {**params, "limit": size}, *given, **named)

    monkeypatch.setattr(listing, "_page", short)
    return asked


def test_all_pages_are_read(buyer: Buyer, monkeypatch: pytest.MonkeyPatch) -> None:
    purchases = [buyer.bought() for _ in range(5)]
    asked = pages_of(monkeypatch, 2)
    assert reconciled().counts["granted"] == 5
    assert len(asked) >= 3
    assert {fresh(purchase).status for purchase in purchases} == {"paid"}


def test_what_was_interrupted_is_gone_on_with_where_it_stopped(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch, stripe_away: Callable[[bool], None]
) -> None:
    purchases = [buyer.bought() for _ in range(4)]
    asked = pages_of(monkeypatch, 2)
    settle = fulfilment.settle

    def settles(*given: object, **named: object) -> str:
        # Stripe goes away while the first page is settled.
        stripe_away(True)
        return settle(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(fulfilment, "settle", settles)
    now = timezone.now()
    check = reconciling.reconcile_if_due(at=now)
    assert check is not None
    assert check.finished_at is None
    assert "Stripe gave no answer" in check.error
    assert check.counts["granted"] == 2
    stripe_away(False)
    monkeypatch.setattr(fulfilment, "settle", settle)
    before = len(asked)
    gone_on = reconciling.reconcile_if_due(at=now + 5 * MINUTE)
    assert gone_on is not None
    assert (gone_on.pk, gone_on.error, gone_on.counts["granted"]) == (check.pk, "", 4)
    assert gone_on.finished_at is not None
    assert asked[before] != ""
    assert {fresh(purchase).status for purchase in purchases} == {"paid"}


def test_two_workers_do_not_do_it_at_once(buyer: Buyer) -> None:
    now = timezone.now()
    begun = BookCheck.objects.create(kind="reconciliation", since=now - DAY, until=now)
    assert begun.claim(at=now, until=now + 30 * MINUTE)
    assert reconciling.reconcile_if_due(at=now) is None
    with pytest.raises(reconciling.UnderWay):
        reconciling.reconcile(at=now)
    # Who died is followed by another.
    later = reconciling.reconcile_if_due(at=now + 31 * MINUTE)
    assert later is not None
    assert later.pk == begun.pk


def test_what_our_own_fault_fails_does_not_hold_up_the_rest_and_is_no_good_end(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = buyer.bought(), buyer.bought()
    settle = fulfilment.settle

    def fails_on_the_first(session: CheckoutSession, *, at: datetime) -> str:
        if session.session_id == first.stripe_session_id:
            raise ZeroDivisionError
        return settle(session, at=at)

    monkeypatch.setattr(fulfilment, "settle", fails_on_the_first)
    check = reconciled()
    assert check.error == "1 could not be settled; see the log"
    assert fresh(second).status == "paid"
    assert BookCheck.objects.last_good("reconciliation") is None


def test_a_source_that_somebody_adds_is_looked_through_as_well(
    buyer: Buyer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[datetime, str]] = []

    def things(between: Between, after: str, check: BookCheck) -> str:
        seen.append((between.since, after))
        check.count("things")
        return "" if after else "thing_1"

    more = (*reconciling.SOURCES, reconciling.Source("things", things))
    monkeypatch.setattr(reconciling, "SOURCES", more)
    check = reconciled()
    assert seen == [(check.since, ""), (check.since, "thing_1")]
    assert check.counts["things"] == 2
    assert check.positions["things"] is None


def test_the_command_says_what_it_found(buyer: Buyer, stripe_away: Callable[[bool], None]) -> None:
    buyer.bought()
    out = StringIO()
    call_command("reconcile_billing", f"--since={timezone.now():%Y-%m-%d}", stdout=out)
    assert "1  of them were not known, and are granted now" in out.getvalue()
    stripe_away(True)
    with pytest.raises(CommandError, match="Stripe gave no answer"):
        call_command("reconcile_billing", stdout=out)
    with pytest.raises(CommandError, match="2026-11-01"):
        call_command("reconcile_billing", "--since=yesterday", stdout=out)


# --- alarms ---------------------------------------------------------------------------------------


def test_no_good_one_for_three_hours_is_an_alarm_once_and_its_end_too(
    buyer: Buyer, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    has_reconciled(ago=2 * HOUR)
    assert "Books Well" in words(admin_client)
    BookCheck.objects.update(until=timezone.now() - 3 * HOUR)
    assert "Stripe was not looked through for payments" in words(admin_client)
    for _ in range(2):
        watching.look(at=timezone.now())
    assert caplog.text.count("alarm: reconciliation: Stripe was not looked through") == 1
    tasks.reconcile()
    assert "alarm over: reconciliation" in caplog.text
    assert "Books Well" in words(admin_client)


def test_a_site_that_has_sold_nothing_yet_misses_nothing(
    buyer: Buyer, admin_client: Client
) -> None:
    assert "Books Well" in words(admin_client)
    buyer.order()
    assert "Books Well" in words(admin_client)
    Purchase.objects.update(created_at=timezone.now() - 4 * HOUR)
    assert "(last: never)" in words(admin_client)


def test_payments_that_no_event_told_of_within_an_hour_are_an_alarm_until_one_does(
    buyer: Buyer, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    purchase = buyer.bought()
    # Within the hour an event may still come.
    assert "untold" not in reconciled(after=50 * MINUTE).counts
    assert "Stripe’s webhooks Well" in words(admin_client)
    check = reconciled(after=61 * MINUTE)
    assert (check.counts["paid"], check.counts["untold"]) == (1, 1)
    assert "Stripe’s webhooks Look at it Events of Stripe do not arrive" in words(admin_client)
    watching.look(at=timezone.now())
    assert "alarm: stripe_events: Events of Stripe do not arrive" in caplog.text
    # Of something else: that is no sign of it.
    deliver(event_of("x", "product.created"))
    assert "Events of Stripe do not arrive" in words(admin_client)
    tasks.handle_event(delivered(purchase).pk)
    assert "Events of Stripe do not arrive" not in words(admin_client)
    watching.look(at=timezone.now())
    assert "alarm over: stripe_events" in caplog.text
    assert "untold" not in reconciled(after=62 * MINUTE).counts


@pytest.mark.parametrize(
    ("version", "differs"),
    [
        (asking.API_VERSION, False),
        ("2099-01-01." + asking.API_VERSION.partition(".")[2], False),
        ("2025-03-31.basil", True),
        ("2024-06-20", True),
        (None, False),
    ],
)
def test_an_event_of_another_release_is_kept_and_handled_and_told(
    buyer: Buyer, admin_client: Client, version: str | None, differs: bool
) -> None:
    purchase = buyer.bought()
    event = {**event_of(purchase.stripe_session_id), "api_version": version}
    assert deliver(event).status_code == 200
    tasks.handle_event(StripeEvent.objects.get().pk)
    assert fresh(purchase).status == "paid"
    assert ("speaks version" in words(admin_client)) is differs
    assert bool(watching.look(at=timezone.now())) is differs


def test_the_client_speaks_the_version_that_the_code_was_written_for(buyer: Buyer) -> None:
    answer = asking.client().v1.checkout.sessions.list(params={"limit": 1})
    assert answer.last_response is not None
    assert answer.last_response.headers["stripe-version"] == asking.API_VERSION
