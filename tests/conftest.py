"""A fixed cast: an owner, a team mate of the owner, and an outsider."""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from accounts.models import Account, Membership, User
from config import reading
from gate.store.connection import sync_client
from gate.terms import week
from keys.issue import issue_api_key
from keys.models import ApiKey
from quotas import catalogue, grants
from quotas.models.ledger import Boost
from quotas.seed import seed_catalogue
from tests.api.javascript import packages
from tests.emptying import let_histories_be_emptied, let_tables_be_emptied_quickly
from tests.signed_in import sign_in_at_once

TESTS = Path(__file__).parent
# Folders whose files take longest: they begin first, so that no process waits for them in the end.
LONGEST = ("journeys", "operations", "upgrades", "billing")
# Folders whose tests say how soon something happens, or load the machine.
ALONE = ("gate/cluster", "faults")
PASSWORD = "correct horse battery staple"
LONGEST_TEST_SECONDS = 30


# Around the hooks of others: xdist reads the groups in its own, and pytest-django sorts in its own.
@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Say what belongs together in one process, what must run alone, and what begins first."""

    def folder(item: pytest.Item, folders: Sequence[str]) -> str | None:
        path = item.path.relative_to(TESTS).as_posix()
        return next((name for name in folders if path.startswith(f"{name}/")), None)

    for item in items:
        if folder(item, ALONE):
            item.add_marker(pytest.mark.alone)
        # One process runs all tests of a file, for what they share.
        item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(TESTS))))
    yield
    order = {name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(folder(item, LONGEST) or "", len(order)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop a process that would not keep groups together: their set-up would be paid for twice."""
    is_grouped = session.config.getoption("loadgroup", default=False)
    if is_grouped and not all("@" in item.nodeid for item in session.items):
        message = "This pytest and pytest-xdist do not keep the tests of a group together."
        raise pytest.UsageError(message)


@pytest.fixture(scope="session")
def openai_modules() -> Path:
    """Where Node finds OpenAI's client."""
    try:
        return packages.modules()
    except packages.CannotInstall as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The tests' own database may be emptied between tests, also of what is only ever added to."""
    with django_db_blocker.unblock():
        let_histories_be_emptied()
        let_tables_be_emptied_quickly()
    yield
    # The test database cannot be deleted while what decides is connected to it.
    reading.close_pool()


@pytest.fixture(autouse=True)
def _empty_valkey() -> None:
    """Every test begins with an empty hot state, cache and broker."""
    sync_client(django_settings.REDIS_URL).flushall()


@pytest.fixture(autouse=True)
def _log_level_stays() -> Iterator[None]:
    """A worker that a test starts raises the level for everybody."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def _files_are_looked_for_when_asked_for(settings: Settings) -> None:
    """Not all of them at the start of every client that a test makes."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """A slow hash is right for people's passwords and says nothing about our code."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _within_one_week() -> None:
    """No test runs across the end of a week, where counts rightly begin anew."""
    now_ms = week.to_ms(timezone.now())
    left_ms = week.starts_ms(week.week_of(now_ms) + 1) - now_ms
    if left_ms < LONGEST_TEST_SECONDS * 1000:
        time.sleep(left_ms / 1000 + 0.1)


@pytest.fixture
def plans(db: None) -> None:
    """The seed's plans, packs and meters, known to the gate."""
    # A test that truncated the tables took the migration's rows with it; this brings them back.
    seed_catalogue(with_demo_prices=True)
    catalogue.push()


@pytest.fixture
def owner(plans: None) -> User:
    """Owns an account with a key."""
    return User.objects.create_user("owner@example.com", PASSWORD, name="Olga Owner")


@pytest.fixture
def account(owner: User) -> Account:
    """The owner's account, on Free."""
    return owner.personal_account


@pytest.fixture
def team_mate(account: Account) -> User:
    """A member of the owner's account, with a personal account besides."""
    user = User.objects.create_user("mate@example.com", PASSWORD, name="Tim Mate")
    Membership.objects.create(account=account, user=user, role=Membership.Role.DEVELOPER)
    return user


@pytest.fixture
def outsider(plans: None) -> User:
    """Has nothing to do with the owner's account."""
    return User.objects.create_user("outsider@example.com", PASSWORD, name="Otto Outsider")


@pytest.fixture
def admin_user(plans: None) -> User:
    """May do everything in the admin."""
    return User.objects.create_superuser("admin@example.com", PASSWORD)


@pytest.fixture
def issued(account: Account, owner: User) -> tuple[ApiKey, str]:
    """A key of the owner's account, and its text. The mail about it was read."""
    made = issue_api_key(account=account, name="laptop", submission=uuid4(), by=owner)
    mail.outbox.clear()
    return made


@pytest.fixture
def key(issued: tuple[ApiKey, str]) -> str:
    """The text of a key of the owner's account."""
    return issued[1]


@pytest.fixture
def boost(account: Account) -> Boost:
    """500 chats for the owner, for a week."""
    now = timezone.now()
    return grants.grant_boost(
        account=account,
        chats=500,
        at=now,
        expires_at=now + timedelta(days=7),
        source_ref="test:boost",
    )


@pytest.fixture
def owner_client(owner: User) -> Client:
    """A browser in which the owner is signed in."""
    client = Client()
    sign_in_at_once(client, owner)
    return client


@pytest.fixture
def outsider_client(outsider: User) -> Client:
    """A browser in which the outsider is signed in."""
    client = Client()
    sign_in_at_once(client, outsider)
    return client


@pytest.fixture
def admin_client(admin_user: User) -> Client:
    """A browser in which an administrator is signed in."""
    client = Client()
    sign_in_at_once(client, admin_user)
    return client
