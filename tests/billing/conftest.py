"""The shop with its products, beside a Stripe sandbox on a real socket."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.seed import seed_products
from billing.stripe_client import asking
from config.celery import app
from tests.billing.buyer import SETTLE_AFTER_SECONDS, Buyer
from tests.billing.subscriber import Subscriber
from tests.billing.wisher import Wisher
from tests.quotas.live_gate import LiveGate, live_gate
from tests.site.collected import collected_static_files
from tests.stripe_sandbox.running_sandbox import (
    KEY,
    MOUNT,
    WEBHOOK_SECRET,
    Running,
    receiving,
    running,
)

__all__ = ["collected_static_files"]


@pytest.fixture
def gate() -> Iterator[LiveGate]:
    """The gate, loading cold accounts from PostgreSQL."""
    with live_gate() as gate:
        yield gate


@pytest.fixture(scope="session")
def shop_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Stripe for all tests; its own webhooks go to a receiver that keeps them to itself."""
    path = tmp_path_factory.mktemp("shop") / "stripe.sqlite3"
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        yield stack.enter_context(
            running(path, receiver, settle_after_seconds=SETTLE_AFTER_SECONDS)
        )


@pytest.fixture
def stripe_at(settings: Settings) -> Iterator[Callable[[str], None]]:
    """Points the shop at the Stripe that is reached at an origin."""
    settings.STRIPE_SECRET_KEY = KEY
    settings.STRIPE_WEBHOOK_SECRETS = (WEBHOOK_SECRET,)

    def point(origin: str) -> None:
        settings.STRIPE_API_BASE = origin + MOUNT
        settings.STRIPE_CHECKOUT_ORIGIN = origin
        asking.client.cache_clear()

    yield point
    asking.client.cache_clear()


@pytest.fixture
def stripe_away(stripe_at: Callable[[str], None], shop_sandbox: Running) -> Callable[[bool], None]:
    """Makes Stripe unreachable, or reachable again."""

    def away(is_away: bool) -> None:
        stripe_at(nobody_listens() if is_away else shop_sandbox.origin)

    return away


@pytest.fixture
def products(plans: None) -> None:
    """What a first start sells."""
    seed_products()


@pytest.fixture
def buyer(
    products: None,
    owner: User,
    owner_client: Client,
    shop_sandbox: Running,
    stripe_at: Callable[[str], None],
) -> Buyer:
    """The owner, shopping."""
    stripe_at(shop_sandbox.origin)
    return Buyer(owner_client, shop_sandbox)


@pytest.fixture
def own_sandbox(tmp_path: Path) -> Iterator[Running]:
    """A Stripe whose clock nobody else looks at."""
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        yield stack.enter_context(running(tmp_path / "stripe.sqlite3", receiver))


@pytest.fixture
def subscriber(
    products: None,
    owner: User,
    owner_client: Client,
    own_sandbox: Running,
    stripe_at: Callable[[str], None],
) -> Subscriber:
    """The owner, choosing plans at a Stripe of their own."""
    stripe_at(own_sandbox.origin)
    return Subscriber(owner_client, own_sandbox, owner)


@pytest.fixture
def wisher(
    products: None,
    owner: User,
    owner_client: Client,
    own_sandbox: Running,
    stripe_at: Callable[[str], None],
) -> Wisher:
    """The owner, having credits bought by themselves at a Stripe of their own."""
    stripe_at(own_sandbox.origin)
    return Wisher(owner_client, own_sandbox, owner)


@pytest.fixture
def webhook_secret(settings: Settings) -> str:
    """The secret that events are signed with."""
    settings.STRIPE_WEBHOOK_SECRETS = (WEBHOOK_SECRET,)
    return WEBHOOK_SECRET


@pytest.fixture
def broker_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Points Celery at a broker of one's choice."""

    def forget_connections() -> None:
        vars(app.amqp)["_producer_pool"] = None

    def point(url: str) -> None:
        monkeypatch.setenv("CELERY_BROKER_URL", url)
        forget_connections()

    yield point
    forget_connections()


@pytest.fixture
def valkey_refuses(settings: Settings) -> Callable[[bool], None]:
    """Makes the hot state unreachable, or reachable again."""
    real = django_settings.REDIS_URL

    def refuse(refuses: bool) -> None:
        settings.REDIS_URL = nobody_listens("redis") if refuses else real

    return refuse


def nobody_listens(scheme: str = "http") -> str:
    """An address that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"{scheme}://127.0.0.1:{probe.getsockname()[1]}"
