"""A Stripe that accepts connections and never answers stops nothing but purchases."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.db.models import TextField, Value
from django.db.models.functions import Cast, Concat
from django.test import Client
from django.utils import timezone

from billing import tasks as billing_tasks
from billing.models import Product, Purchase, StripeEvent
from billing.seed import seed_products
from billing.subscriptions import prices
from billing.subscriptions.models import Customer as AtStripe
from billing.subscriptions.models import PlanOrder, Subscription
from billing.top_ups.models import AutoTopUp
from config.celery import app
from dev.conditions import REPOSITORY
from dev.processes import Child
from gate.terms import key_text
from keys.models import ApiKey, ServiceToken
from quotas import tasks as quota_tasks
from quotas.models.entitlements import Entitlement
from quotas.models.plans import Plan
from quotas.models.used import UsageRollup
from tests.billing.buyer import event_of
from tests.billing.orders import plan_order_of, subscription_of_plus
from tests.faults.conftest import Service, database_url, peppers
from tests.faults.customers import Customer, customer
from tests.faults.servers import Gate, Pages, Valkey
from tests.odd_servers import Hanging, hanging
from tests.running_site import environment
from tests.site.collected import collected_static_files

__all__ = ["collected_static_files"]

pytestmark = pytest.mark.slow

COPIES = 9
EVENTS = 12
WISHES = 3
PATIENCE = 90.0


@pytest.fixture(scope="module")
def stripe() -> Iterator[Hanging]:
    """Somebody else's server."""
    with hanging() as server:
        yield server


@pytest.fixture(scope="module")
def shared(valkey: Valkey, django_db_setup: None, stripe: Hanging) -> dict[str, str]:
    """What our processes are told: the tests' servers, and a Stripe that hangs."""
    return {
        "DATABASE_URL": database_url(),
        "REDIS_URL": valkey.url,
        "KEY_PEPPERS": peppers(),
        "SECRET_KEY": django_settings.SECRET_KEY,
        "STRIPE_API_BASE": stripe.origin,
    }


@pytest.fixture(scope="module")
def gate(shared: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """The quota check."""
    process = Gate(tmp_path_factory.mktemp("hanging"), "gate", **shared)
    process.child.start()
    try:
        process.until_ready()
        yield process
    finally:
        process.child.stop()


@pytest.fixture(scope="module")
def site(
    shared: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    collected_static_files: None,
) -> Iterator[Pages]:
    """The pages."""
    static_root = str(django_settings.STATIC_ROOT)
    process = Pages(tmp_path_factory.mktemp("hanging"), "site", **shared, STATIC_ROOT=static_root)
    process.child.start()
    try:
        process.until_ready()
        yield process
    finally:
        process.child.stop()


@pytest.fixture
def service(gate: Gate, plans: None, token_text: str) -> Service:
    """The quota check, which accepts the token."""
    ServiceToken.objects.create(
        name="faults",
        digest=key_text.digest(token_text, django_settings.KEY_PEPPERS[0]),
        last_four=token_text[-4:],
    )
    service = Service([gate], token_text)
    asyncio.run(service.until_it_decides("sk_nobody", patience=PATIENCE))
    return service


class Browser:
    """Somebody who is signed in, in as many tabs as they like."""

    def __init__(self, site: Pages, buyer: Customer) -> None:
        user = buyer.account.members.get()
        signed_in = Client()
        signed_in.force_login(user)
        cookies: SimpleCookie = signed_in.cookies
        self._site = site
        self._session = cookies[django_settings.SESSION_COOKIE_NAME].value

    def get(self, path: str) -> tuple[int, float]:
        """The status of a page, and how long it took."""
        with self._tab() as tab:
            began = time.monotonic()
            return tab.get(path).status_code, time.monotonic() - began

    def post(self, path: str, **fields: str) -> tuple[int, float]:
        """The status of a form's answer, and how long it took, the page with the form included."""
        with self._tab() as tab:
            began = time.monotonic()
            page = tab.get("/account/keys")
            assert page.status_code == 200
            sent = {**fields, "csrfmiddlewaretoken": tab.cookies["csrftoken"]}
            answer = tab.post(path, data=sent, headers={"Referer": str(tab.base_url)})
            return answer.status_code, time.monotonic() - began

    def text(self, path: str) -> str:
        """What a page says."""
        with self._tab() as tab:
            return tab.get(path).text

    def _tab(self) -> httpx.Client:
        cookies = {django_settings.SESSION_COOKIE_NAME: self._session}
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self._site.port}", cookies=cookies, timeout=PATIENCE
        )


def orders_of(buyer: Customer, count: int) -> list[Purchase]:
    """Orders that wait for their payment."""
    seed_products()
    product = Product.objects.get(slug="weekly-boost")
    return [
        Purchase.objects.create(
            account=buyer.account,
            product=product,
            product_name=product.name,
            kind=product.kind,
            amount_cents=product.price_cents,
            chats=product.chats,
            valid_days=product.valid_days,
            submission=uuid4(),
            stripe_session_id=f"cs_test_{uuid4().hex}",
        )
        for _ in range(count)
    ]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Wait:
    """Pages and forms that wait for Stripe, all at once."""

    def __init__(self, browser: Browser, buyer: Customer) -> None:
        self._pool = ThreadPoolExecutor(4 * COPIES)
        orders = orders_of(buyer, COPIES)
        paths = [f"/account/billing/purchases/{order.pk}" for order in orders]
        self.pages = [
            self._pool.submit(browser.get, path) for path in (*paths, *([paths[0]] * COPIES))
        ]
        terms = Product.objects.get(slug="weekly-boost").terms
        self.forms: list[Future[tuple[int, float]]] = [
            self._pool.submit(
                browser.post,
                "/account/billing/checkout",
                product="weekly-boost",
                terms=terms,
                submission=str(uuid4()),
            )
            for _ in range(COPIES)
        ]

    @property
    def under_way(self) -> int:
        return sum(not one.done() for one in (*self.pages, *self.forms))

    def end(self) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        answers = [one.result(PATIENCE) for one in self.pages]
        forms = [one.result(PATIENCE) for one in self.forms]
        self._pool.shutdown()
        return answers, forms


def test_pages_checks_and_revocations_go_on_while_purchases_wait_for_stripe(
    site: Pages, service: Service, stripe: Hanging, figures: Callable[[str], None]
) -> None:
    buyer, cold, revoked = customer(), customer(), customer()
    browser, other = Browser(site, buyer), Browser(site, revoked)
    # Everything that is made at the first request is made.
    assert other.get("/account/usage")[0] == 200
    assert browser.get("/account/billing")[0] == 200
    asyncio.run(_check(service, revoked.key))
    calls_before = stripe.calls
    wait = Wait(browser, buyer)
    # As many as the process has connections for pages.
    until(lambda: stripe.calls - calls_before >= 8)

    cold_check = asyncio.run(_check(service, cold.key))
    key = ApiKey.objects.get(account=revoked.account)
    revocation = other.post(f"/account/keys/{key.pk}/revoke")
    after = asyncio.run(_check(service, revoked.key))
    ready, page = other.get("/readyz"), other.get("/account/usage")
    under_way = wait.under_way
    pages, forms = wait.end()

    assert under_way > 0, "Stripe was waited for no longer"
    assert cold_check[0] == "allowed"
    assert cold_check[1] < 0.5
    assert revocation[0] == 302
    assert after[0] == "invalid_key"
    assert (ready[0], page[0]) == (200, 200)
    # Whoever had to wait for a connection that waits for Stripe would have waited for longer.
    assert max(revocation[1], ready[1], page[1]) < 2
    assert {status for status, _ in pages} == {200}
    assert {status for status, _ in forms} == {302}
    slowest = max(seconds for _, seconds in (*pages, *forms))
    figures(
        f"{len(pages)} purchase pages and {len(forms)} forms waited at most {slowest:.1f} s for a "
        f"Stripe that hangs; beside them a cold check took {cold_check[1] * 1000:.0f} ms, a "
        f"revocation {revocation[1]:.2f} s, /readyz {ready[1]:.2f} s, a page {page[1]:.2f} s"
    )
    assert slowest < 15


async def _check(service: Service, key: str) -> tuple[str, float]:
    async with service.callers(1) as (caller,):
        reply = await caller.check(key)
    assert reply.status == 200, reply
    return ("allowed" if reply.is_granted else str(reply.body["reason"])), reply.seconds


@pytest.fixture
def workers(shared: dict[str, str], tmp_path: Path) -> Iterator[list[Child]]:
    """A worker for each queue, as the supervisor starts them."""
    celery = (sys.executable, "-m", "celery", "-A", "config.celery", "worker")
    more = ("--pool", "threads", "--without-gossip", "--without-mingle")
    children = [
        Child(
            f"worker-{queue}",
            [*celery, *more, "--concurrency", size, "--queues", queue, "--hostname", f"{queue}@%h"],
            data_dir=tmp_path,
            environment={**environment(tmp_path / queue, 9, **shared), "LOG_LEVEL": "WARNING"},
            directory=REPOSITORY,
        )
        for queue, size in (("celery", "4"), ("waiting", "8"))
    ]
    try:
        for child in children:
            child.start()
        yield children
    finally:
        for child in children:
            child.ask_to_stop()
        for child in children:
            child.stop(patience=20.0)


def subscribed(to: Customer) -> Subscription:
    """A customer whose account pays for Plus, and would have credits bought by themselves."""
    AtStripe.objects.create(
        account=to.account, stripe_customer_id=f"cus_{uuid4().hex}", email="ada@example.com"
    )
    seed_products()
    product = Product.objects.get(slug="credits-5")
    AutoTopUp.objects.create(
        account=to.account,
        is_on=True,
        product=product,
        terms=product.terms,
        below_credits=200,
        month_cents=2000,
        stripe_payment_method_id="pm_1",
        card="Visa ···· 4242",
    )
    return subscription_of_plus(to.account)


def plan_forms(plan: str) -> dict[str, dict[str, str]]:
    """What is asked about plans, by where it is sent."""
    cost = prices.cost_of(Plan.objects.get(slug=plan), "month")
    assert cost
    return {
        f"/account/billing/plans/{plan}": {"interval": "month", "terms": cost.terms},
        "/account/billing/plans/end": {},
        "/account/billing/portal": {},
        "/account/billing/top-up/card": {},
    }


def test_plan_pages_answer_in_time_and_say_what_is_known(
    site: Pages, service: Service, stripe: Hanging, figures: Callable[[str], None]
) -> None:
    changing, ordering, calling = customer(), customer(), customer()
    row = subscribed(changing)
    has, other = Browser(site, changing), Browser(site, calling)
    for browser in (has, other):
        assert browser.get("/account/billing")[0] == 200
    # Each in a session of its own, where the answer is said.
    asked = [
        (Browser(site, buyer), path, fields)
        for buyer, plan in ((changing, "pro"), (ordering, "plus"))
        for path, fields in plan_forms(plan).items()
        # Who has no plan has nothing to end.
        if buyer is changing or "/end" not in path
    ]
    asyncio.run(_check(service, calling.key))
    calls_before = stripe.calls
    choice = "/account/billing/plans/pro"
    with ThreadPoolExecutor(16) as pool:
        pages = [pool.submit(has.get, choice) for _ in range(2)]
        forms = [
            pool.submit(browser.post, path, **fields, submission=str(uuid4()))
            for browser, path, fields in asked
        ]
        until(lambda: stripe.calls - calls_before >= 6)
        ready, page = other.get("/readyz"), other.get("/account/usage")
        check = asyncio.run(_check(service, calling.key))
        under_way = sum(not one.done() for one in (*pages, *forms))
        shown = [one.result(PATIENCE) for one in pages]
        answers = [one.result(PATIENCE) for one in forms]

    assert under_way > 0, "Stripe was waited for no longer"
    assert (ready[0], page[0], check[0]) == (200, 200, "allowed")
    assert max(ready[1], page[1], check[1]) < 2
    assert {status for status, _ in shown} == {200}
    assert {status for status, _ in answers} == {302}
    slowest = max(seconds for _, seconds in (*shown, *answers))
    figures(f"{len(answers)} forms and {len(shown)} pages of plans waited at most {slowest:.1f} s")
    # A page waits once, although a plan has a price by the month and one by the year.
    assert slowest < 9
    # Each was told, and nothing was changed or granted.
    for browser, path, _fields in asked:
        # What Stripe was told to do it may have done.
        said = "nobody knows yet" if "/end" in path else "Nothing was charged"
        assert said in browser.text("/account/billing"), path
    before = row.asked_at
    row.refresh_from_db()
    assert (row.asked_at, row.is_ending, row.plan and row.plan.slug) == (before, False, "plus")
    assert not Subscription.objects.filter(account=ordering.account).exists()


def test_the_drain_goes_on_while_plans_and_top_ups_wait_for_stripe(
    service: Service,
    stripe: Hanging,
    workers: list[Child],
    broker_of_the_workers: None,
    figures: Callable[[str], None],
) -> None:
    user, waiting = customer(), [customer() for _ in range(WISHES)]
    for one in waiting:
        subscribed(one)
        plan_order_of(one.account, one.account.members.get())
    Subscription.objects.update(ask_at=timezone.now())
    PlanOrder.objects.update(stripe_session_id=Concat(Value("cs_test_"), Cast("pk", TextField())))
    # Both workers are at work.
    quota_tasks.drain_all.delay()
    calls_before = stripe.calls
    billing_tasks.look_after_plans.delay()
    billing_tasks.top_up.delay()
    until(lambda: stripe.calls - calls_before >= 2)
    asyncio.run(_check(service, user.key))
    began = time.monotonic()
    quota_tasks.drain_all.delay()
    until(lambda: UsageRollup.objects.filter(account=user.account).exists())
    seconds = time.monotonic() - began
    check = asyncio.run(_check(service, user.key))
    # Whoever waits for Stripe holds no row and no transaction.
    with transaction.atomic():
        for rows in (AutoTopUp, Subscription, PlanOrder, Purchase, Entitlement):
            list(rows._default_manager.select_for_update(nowait=True))
    idle = idle_in_transaction()
    begun = Purchase.objects.filter(is_top_up=True)
    figures(
        f"{begun.count()} top-ups and plans waited for a Stripe that hangs; the drain took "
        f"{seconds:.2f} s, a check {check[1] * 1000:.0f} ms"
    )
    assert begun.exists()
    assert idle == 0
    assert seconds < 3
    assert (check[0], check[1] < 0.5) == ("allowed", True)
    # All are tried in the end; each waits, and what was wanted is wanted still.
    until(lambda: begun.count() == WISHES)
    assert not begun.exclude(status=Purchase.Status.PENDING).exists()
    assert AutoTopUp.objects.filter(is_on=True).count() == WISHES
    assert PlanOrder.objects.filter(status=PlanOrder.Status.OPEN).count() == WISHES


def idle_in_transaction() -> int:
    """How many connections hold a transaction open and do nothing with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'"
        )
        (count,) = cursor.fetchone()
    return int(count)


def test_the_drain_goes_on_while_events_wait_for_stripe(
    service: Service,
    stripe: Hanging,
    workers: list[Child],
    broker_of_the_workers: None,
    figures: Callable[[str], None],
) -> None:
    user = customer()
    stored = [
        StripeEvent.objects.create(
            event_id=event["id"], type=event["type"], payload=event, received_at=timezone.now()
        )
        for event in (event_of(f"cs_test_{number}") for number in range(EVENTS))
    ]
    # Both workers are at work.
    quota_tasks.drain_all.delay()
    calls_before = stripe.calls
    for event in stored:
        billing_tasks.handle_event.delay(event.pk)
    until(lambda: stripe.calls - calls_before >= 4)
    asyncio.run(_check(service, user.key))
    began = time.monotonic()
    quota_tasks.drain_all.delay()
    until(lambda: UsageRollup.objects.filter(account=user.account).exists())
    seconds = time.monotonic() - began
    waiting = StripeEvent.objects.filter(handled_at=None, attempts=0).count()
    figures(
        f"{waiting} events of {EVENTS} waited for a Stripe that hangs; "
        f"the drain took {seconds:.2f} s"
    )
    assert waiting > 0, "no event waited any more"
    assert seconds < 3
    # In the end each says what was wrong and comes again, except for those that were not tried:
    # so many calls at once are enough, and they are left to the sweep.
    until(lambda: not StripeEvent.objects.exclude(claimed_until=None).exists())
    assert StripeEvent.objects.filter(error__startswith="Stripe gave no answer").count() >= 6
    assert not StripeEvent.objects.filter(attempts=0).exclude(error="").exists()


@pytest.fixture
def broker_of_the_workers(monkeypatch: pytest.MonkeyPatch, valkey: Valkey) -> Iterator[None]:
    """Tasks of this process go to the workers above."""
    broker = valkey.url.replace("unix://", "redis+socket://") + "?virtual_host=1"
    monkeypatch.setenv("CELERY_BROKER_URL", broker)
    vars(app.amqp)["_producer_pool"] = None
    yield
    vars(app.amqp)["_producer_pool"] = None
