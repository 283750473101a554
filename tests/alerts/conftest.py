"""An account that is used through the gate, its people's mail, and a server that is told."""

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, User
from alerts import delivering, watching, weekly
from alerts.models import WebhookEndpoint
from quotas.usage import drain
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.webhooks import endpoint_of
from tests.quotas.live_gate import LiveGate, live_gate
from tests.site.collected import collected_static_files

__all__ = ["collected_static_files"]

LOCMEM = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture(autouse=True)
def _trying_out(settings: Settings) -> None:
    """Mail goes into a list, and webhooks may stay on this machine."""
    settings.OUTBOX_SENDS_BY = LOCMEM
    settings.WEBHOOKS_MAY_STAY_HERE = True


@pytest.fixture
def gate() -> Iterator[LiveGate]:
    """The gate, loading cold accounts from PostgreSQL."""
    with live_gate() as gate:
        yield gate


@pytest.fixture
def use(gate: LiveGate, key: str) -> Callable[[int], None]:
    """Use so many chats with the owner's key; they are drained."""

    def use(chats: int) -> None:
        decision = gate.check(key, chats)
        assert decision.allowed, decision
        drain.move_all()

    return use


@pytest.fixture
def turn() -> Callable[..., None]:
    """What the workers do, once."""

    def turn(at: datetime | None = None) -> None:
        at = at or timezone.now()
        watching.look_at_changed(at=at)
        weekly.summarise(at=at)
        delivering.send_mails(at=at)
        delivering.post_webhooks(at=at)

    return turn


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A customer's own server."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def endpoint(account: Account, owner: User, receiver: Receiver) -> WebhookEndpoint:
    """The webhook of the owner's account, which leads to the receiver."""
    return endpoint_of(account, owner, f"{receiver.origin}/hook?a=b")
