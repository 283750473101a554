"""The admin's first page: are we healthy, what was sold, who is blocked and why."""

import socket
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags
from pytest_django import Settings

from accounts.models import Account, OutgoingMail, User
from alerts import raising
from alerts.models import Delivery
from billing.models import Product, Purchase, StripeEvent
from billing.seed import seed_products
from billing.subscriptions.models import Subscription
from config import signs_of_life
from quotas import grants, projection
from quotas.models.used import RefusalRollup
from tests.alerts.webhooks import endpoint_of
from tests.billing.orders import subscriber_of_plus


def told(client: Client) -> str:
    """The page in words."""
    page = client.get("/admin/")
    assert page.status_code == 200
    return " ".join(strip_tags(page.content.decode()).split())


# --- are we healthy ---------------------------------------------------------------------------


@pytest.fixture
def all_alive() -> None:
    """Whoever gives signs of life gave one."""
    for name in signs_of_life.expected():
        signs_of_life.give(name)


def test_all_is_well_when_every_part_is(admin_client: Client, all_alive: None, plans: None) -> None:
    page = told(admin_client)
    assert "Yes. Every part does what it should." in page
    assert "Look at it" not in page


def test_a_process_that_is_silent_is_named(admin_client: Client, plans: None) -> None:
    for name in signs_of_life.expected():
        if name != signs_of_life.GATE:
            signs_of_life.give(name)
    page = told(admin_client)
    assert "Not entirely." in page
    assert "Processes Look at it No sign of gate for 30 s." in page
    assert "Beat Well" in page


def test_beat_is_a_part_of_its_own(admin_client: Client, plans: None) -> None:
    signs_of_life.give(signs_of_life.GATE)
    assert "Beat Look at it No sign of beat for 30 s." in told(admin_client)


@pytest.mark.django_db(transaction=True)
def test_a_change_that_the_gate_does_not_know_is_told(
    admin_client: Client, account: Account, settings: Settings
) -> None:
    assert projection.push(account)
    here, settings.REDIS_URL = settings.REDIS_URL, nobody_listens()
    grants.suspend(account=account, at=timezone.now())
    settings.REDIS_URL = here
    page = told(admin_client)
    assert "Projection Look at it Not at the gate yet: 1 account. It is tried every second." in page


@pytest.mark.parametrize(("minutes", "word"), [(1, "Well"), (6, "Look at it")])
def test_an_event_of_stripe_may_wait_for_minutes(
    admin_client: Client, plans: None, minutes: int, word: str
) -> None:
    at = timezone.now() - timedelta(minutes=minutes)
    StripeEvent.objects.create(event_id="evt_1", type="x", payload={}, received_at=at)
    assert f"webhooks {word} Not handled: 1 event, the oldest since" in told(admin_client)


def test_mail_that_is_not_sent_for_minutes_is_told(admin_client: Client, plans: None) -> None:
    mail = OutgoingMail.objects.create(sealed="x")
    assert "Mail Well Not sent: 1 mail, the oldest since" in told(admin_client)
    mail.written_at -= timedelta(minutes=6)
    mail.save()
    assert "Mail Look at it Not sent: 1 mail, the oldest since" in told(admin_client)


@pytest.mark.parametrize(
    ("minutes", "says"),
    [(-60, "Well Every alert is sent when it is due."), (6, "Look at it Overdue: 1 alert,")],
)
def test_an_alert_that_nobody_sends_is_told_and_one_that_waits_is_not(
    admin_client: Client, account: Account, owner: User, minutes: int, says: str
) -> None:
    raising.raise_test(endpoint_of(account, owner, "https://example.com/"), at=timezone.now())
    due_at = timezone.now() - timedelta(minutes=minutes)
    Delivery.objects.update(state="waiting", next_try_at=due_at)
    assert f"Customers’ alerts {says}" in told(admin_client)


def nobody_listens() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://127.0.0.1:{probe.getsockname()[1]}/0"


def test_the_page_says_so_while_valkey_is_away(
    admin_client: Client, account: Account, settings: Settings
) -> None:
    refuse(account, 3)
    settings.REDIS_URL = settings.CACHE_URL = nobody_listens()
    page = told(admin_client)
    assert "Valkey Look at it Valkey gives no answer" in page
    assert "Drain Not known" in page
    assert "Beat Not known" in page
    assert "PostgreSQL Well" in page
    assert "Olga Owner Not known 3" in page


# --- what was sold ----------------------------------------------------------------------------


def sell(account: Account, slug: str, paid_at: datetime | None) -> None:
    product = Product.objects.get(slug=slug)
    Purchase.objects.create(
        account=account,
        product=product,
        product_name=product.name,
        kind=product.kind,
        amount_cents=product.price_cents,
        submission=uuid4(),
        status="paid" if paid_at else "pending",
        paid_at=paid_at,
    )


def test_sales_of_today_a_week_and_four_weeks_by_product(
    admin_client: Client, account: Account
) -> None:
    seed_products()
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for paid_at in (
        midnight,
        midnight - timedelta(seconds=1),
        midnight - timedelta(days=6),
        midnight - timedelta(days=6, seconds=1),
        midnight - timedelta(days=29),
        midnight - timedelta(days=29, seconds=1),
        None,
    ):
        sell(account, "weekly-boost", paid_at)
    sell(account, "credits-50", midnight - timedelta(days=10))
    page = told(admin_client)
    assert "5,000 credits $0 $0 $50 1 Weekly Boost $5 $15 $25 5 Together $5 $15 $75 6" in page


def test_a_page_without_sales_says_so(admin_client: Client, plans: None) -> None:
    assert "What was sold? Nothing in the last 30 days." in told(admin_client)


def test_a_purchase_that_waits_for_a_person_comes_first(
    admin_client: Client, account: Account
) -> None:
    seed_products()
    sell(account, "weekly-boost", None)
    Purchase.objects.update(problem="paid twice")
    page = admin_client.get("/admin/").content.decode()
    assert "One purchase needs a person." in page
    assert page.index("?alarm=open") < page.index("Are we healthy?")


# --- who is blocked ---------------------------------------------------------------------------


def refuse(
    account: Account, refusals: int, reason: str = "quota_exhausted", *, hours_ago: int = 0
) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)
    RefusalRollup.objects.create(
        account=account, key_id=1, hour=hour, reason=reason, refusals=refusals
    )


def test_the_most_refused_come_first_with_why_and_what_is_so_now(
    admin_client: Client, account: Account, outsider: User
) -> None:
    grants.suspend(account=account, at=timezone.now(), note="Sends spam")
    for one in (account, outsider.personal_account):
        assert projection.push(one)
    refuse(outsider.personal_account, 7)
    refuse(account, 5, "suspended")
    refuse(account, 4, "key_cap_reached", hours_ago=6)
    refuse(account, 1_000, "quota_exhausted", hours_ago=7)
    page = told(admin_client)
    assert "Olga Owner Refused 9 Suspended (5), Key’s week used up (4)" in page
    assert "Otto Outsider Passes 7 Used up (7)" in page
    assert page.index("Olga Owner Refused") < page.index("Otto Outsider Passes")
    assert "Olga Owner since" in page
    assert "Sends spam" in page
    link = f'href="/admin/accounts/account/{account.pk}/change/"'
    assert link in admin_client.get("/admin/").content.decode()


def test_nobody_blocked_is_said(admin_client: Client, plans: None) -> None:
    page = told(admin_client)
    assert "Nobody was refused in this hour and the 6 before it." in page
    assert "No account is suspended." in page


# --- for whom ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "question"),
    [
        ("view_partition", "Are we healthy?"),
        ("view_purchase", "What was sold?"),
        ("view_account", "Who is blocked, and why?"),
    ],
)
def test_staff_read_the_answers_that_they_have_a_right_to(
    client: Client, plans: None, right: str, question: str
) -> None:
    staff = User.objects.create_user("staff@example.com", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename=right))
    client.force_login(staff)
    page = told(client)
    questions = ["Are we healthy?", "What was sold?", "Who is blocked, and why?"]
    assert [asked for asked in questions if asked in page] == [question]


def test_what_subscriptions_come_to_is_told_by_the_month(admin_client: Client, plans: None) -> None:
    assert "Besides, " not in told(admin_client)
    user = subscriber_of_plus()
    assert "Besides, 1 subscription is paid for: $19 a month." in told(admin_client)
    Subscription.objects.filter(account=user.personal_account).update(
        interval="year", amount_cents=19000
    )
    assert "Besides, 1 subscription is paid for: $15.83 a month." in told(admin_client)
    Subscription.objects.update(status="past_due")
    assert "Besides, " not in told(admin_client)
