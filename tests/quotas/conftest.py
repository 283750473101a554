"""The gate beside the database, and what both say of an account."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis import Redis

from accounts.models import Account, User
from gate.store.connection import sync_client
from keys.issue import issue_api_key
from quotas.standing import Standing, standing_of
from tests.quotas.live_gate import LiveGate, live_gate
from tests.site.collected import collected_static_files

__all__ = ["collected_static_files"]

# A Wednesday noon, far in the future so that the week of the charges is never this one.
WEDNESDAY = datetime(2031, 3, 5, 12, tzinfo=UTC)


@pytest.fixture
def gate() -> Iterator[LiveGate]:
    """The gate, loading cold accounts from PostgreSQL."""
    with live_gate() as gate:
        yield gate


@pytest.fixture
def valkey() -> Redis:
    """The hot state itself."""
    client = sync_client(django_settings.REDIS_URL)
    assert isinstance(client, Redis)
    return client


@pytest.fixture
def standing(account: Account) -> Callable[[], Standing]:
    """Where the owner's account stands now."""

    def now() -> Standing:
        found = standing_of(account, at=timezone.now())
        assert found is not None
        return found

    return now


@pytest.fixture
def other_account(outsider: User) -> Account:
    """An account that has nothing to do with the owner's."""
    return outsider.personal_account


@pytest.fixture
def other_key(other_account: Account, outsider: User) -> str:
    """The text of a key of the other account."""
    return issue_api_key(account=other_account, name="server", submission=uuid4(), by=outsider)[1]


@pytest.fixture
def valkey_away(settings: Settings) -> Callable[[bool], None]:
    """Makes Valkey unreachable for pages and tasks, or reachable again."""
    real = django_settings.REDIS_URL
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody_listens = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"

    def away(is_away: bool) -> None:
        settings.REDIS_URL = nobody_listens if is_away else real

    return away
