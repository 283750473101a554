"""A key moves to the current pepper as it is used: nothing is refused, and it stays one key."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account, AuditEvent, User
from config.reading import in_thread
from gate.decision.check import Decision, Renewal
from gate.service.sightings import Sightings
from gate.store import hot_state
from gate.store.connection import sync_client
from gate.terms.key_text import Pepper
from keys.issue import issue_api_key
from keys.leaks import Find, take_back
from keys.limits import KeyLimits
from keys.models import ApiKey
from keys.peppers import peppers_in_use
from keys.renew import renew_digests
from keys.revoke import revoke_api_key
from keys.rotate import rotate_api_key
from keys.scopes import MANAGE_KEYS
from keys.tasks import push_pending
from tests.keys.acts import UNREACHABLE, ask_gate
from tests.patience import LONGEST_SECONDS
from tests.patient_gate import patient_gate
from tests.quotas.test_keys_for_programs import Program

pytestmark = pytest.mark.django_db(transaction=True)

PEPPERS = {
    name: Pepper(pepper_id=name, secret=f"secret-of-{name}-".ljust(40, "x").encode())
    for name in ("1", "2", "3")
}
Issued = tuple[ApiKey, str]
With = Callable[..., None]


@pytest.fixture
def peppers(settings: Settings) -> With:
    """Have these peppers, the current one first."""

    def having(*names: str) -> None:
        settings.KEY_PEPPERS = [PEPPERS[name] for name in names]

    return having


@pytest.fixture
def issued(account: Account, owner: User, peppers: With) -> Issued:
    """A key that pepper 1 made, and a newer pepper since."""
    peppers("1")
    key, text = issue_api_key(account=account, name="website", submission=uuid4(), by=owner)
    peppers("2", "1")
    return key, text


def use(text: str) -> Decision:
    """Ask once; what the gate's process notices is written down before this ends."""

    async def asking() -> Decision:
        done: list[Renewal] = []

        async def renew(renewals: Sequence[Renewal]) -> None:
            await in_thread(renew_digests)(renewals)
            done.extend(renewals)

        sightings = Sightings(renew=renew, written_every_seconds=0.01)
        async with patient_gate() as gate:
            decision = await gate.check(key=text)
            sightings.notice(decision, "", [])
            until = time.monotonic() + LONGEST_SECONDS
            while decision.renewal and not done and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return decision

    return asyncio.run(asking())


def counted(account: Account) -> list[bytes]:
    """What the hot state counts of keys: fields that begin with u:."""
    valkey: Any = sync_client(configured.REDIS_URL)
    fields = valkey.hgetall(hot_state.keys_of(account.handle).account)
    return [value for name, value in fields.items() if name.startswith(b"u:")]


def test_a_key_that_is_used_once_hangs_on_the_current_pepper(issued: Issued) -> None:
    key, text = issued
    assert use(text).allowed
    key.refresh_from_db()
    assert key.pepper_id == "2"
    live = {use.pepper_id: use.live for use in peppers_in_use(at=timezone.now())}
    assert live == {"2": 1, "1": 0}
    # The next use finds nothing to do.
    decision = use(text)
    assert (decision.allowed, decision.renewal) == (True, None)
    call_command("key_peppers")


def test_it_works_with_either_pepper_alone(issued: Issued, peppers: With) -> None:
    _, text = issued
    use(text)
    for names in (("2",), ("1",), ("1", "2"), ("2", "1")):
        peppers(*names)
        assert use(text).allowed, names
    assert ApiKey.objects.get().pepper_id == "2"


def test_without_the_move_it_is_refused_when_its_pepper_goes(issued: Issued, peppers: With) -> None:
    _, text = issued
    peppers("2")
    assert ask_gate(text).reason == "invalid_key"


def test_what_it_used_stays_together(issued: Issued, account: Account, peppers: With) -> None:
    _, text = issued
    ask_gate(text, units=3)
    use(text)
    ask_gate(text, units=2)
    peppers("2")
    ask_gate(text)
    (together,) = counted(account)
    assert together.endswith(b":7")


def test_a_weekly_cap_counts_what_was_used_before(
    account: Account, owner: User, peppers: With
) -> None:
    peppers("1")
    limits = KeyLimits(weekly_cap=5)
    _, text = issue_api_key(account=account, name="a", submission=uuid4(), by=owner, limits=limits)
    ask_gate(text, units=3)
    peppers("2", "1")
    assert use(text).allowed
    peppers("2")
    assert ask_gate(text).allowed
    assert ask_gate(text).reason == "key_cap_reached"


def test_every_pepper_after_that_is_a_move_of_its_own(issued: Issued, peppers: With) -> None:
    key, text = issued
    use(text)
    peppers("3", "2", "1")
    assert use(text).allowed
    key.refresh_from_db()
    assert (key.pepper_id, key.former_pepper_id) == ("3", "2")
    for names in (("3",), ("2",), ("3", "2", "1")):
        peppers(*names)
        assert ask_gate(text).allowed, names
    # Of a digest that two peppers came after nothing is kept.
    peppers("1")
    assert ask_gate(text).reason == "invalid_key"


def test_revoked_in_between_it_stays_revoked(issued: Issued, peppers: With) -> None:
    key, text = issued

    async def asking() -> Decision:
        async with patient_gate() as gate:
            return await gate.check(key=text)

    renewal = asyncio.run(asking()).renewal
    assert renewal
    revoke_api_key(key=key, by=None, at=timezone.now())
    renew_digests([renewal])
    push_pending()
    key.refresh_from_db()
    assert key.pepper_id == "1"
    for names in (("2", "1"), ("2",), ("1",)):
        peppers(*names)
        assert ask_gate(text).reason == "invalid_key"


def test_revoked_afterwards_every_digest_is_refused(issued: Issued, peppers: With) -> None:
    key, text = issued
    use(text)
    key.refresh_from_db()
    revoke_api_key(key=key, by=None, at=timezone.now())
    for names in (("2", "1"), ("2",), ("1",)):
        peppers(*names)
        assert ask_gate(text).reason == "invalid_key"


@pytest.mark.parametrize("stays", [timedelta(0), timedelta(hours=1)])
def test_a_rotation_afterwards_ends_the_secret_under_every_pepper(
    issued: Issued, peppers: With, stays: timedelta
) -> None:
    key, text = issued
    use(text)
    key.refresh_from_db()
    _, new, _ = rotate_api_key(key=key, submission=uuid4(), stays=stays, by=None, at=timezone.now())
    may = "ok" if stays else "invalid_key"
    peppers("2", "1")
    assert [ask_gate(one).reason for one in (text, new)] == [may, "ok"]
    peppers("1")
    assert ask_gate(text).reason == "invalid_key"
    key.refresh_from_db()
    assert (key.former_works_until is not None) is bool(stays)
    # Nobody ended anything: it was the same secret.
    assert "former ended" not in AuditEvent.objects.values_list("act", flat=True)


def test_an_old_secret_that_still_works_is_no_new_one(issued: Issued, peppers: With) -> None:
    key, old = issued
    _, new, _ = rotate_api_key(
        key=key, submission=uuid4(), stays=timedelta(days=1), by=None, at=timezone.now()
    )
    use(old)
    key.refresh_from_db()
    assert key.former_works_until is not None
    assert [ask_gate(one).reason for one in (old, new)] == ["ok", "ok"]
    assert key.masked.endswith(new[-4:])


def test_it_is_found_as_leaked_before_and_after(
    issued: Issued, account: Account, owner: User, peppers: With
) -> None:
    key, text = issued
    use(text)
    for names in (("2", "1"), ("1",)):
        peppers(*names)
        assert take_back([Find(text)], at=timezone.now()) == 1
        key.refresh_from_db()
        assert key.revoked_at is not None
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=None)


def test_no_page_and_no_program_hears_of_an_old_secret(
    issued: Issued, owner_client: Client, account: Account, owner: User
) -> None:
    key, text = issued
    use(text)
    key.refresh_from_db()
    assert key.former_works_until is None
    for page in (reverse("keys"), reverse("key_edit", args=[key.pk])):
        assert "Old secret" not in owner_client.get(page).content.decode()
    limits = KeyLimits(scopes=(MANAGE_KEYS,))
    _, manager = issue_api_key(
        account=account, name="m", submission=uuid4(), by=owner, limits=limits
    )
    assert Program(manager)("GET", f"/{key.pk}").json()["old_secret"] is None


def test_a_key_that_asks_only_the_site_moves_too(
    account: Account, owner: User, peppers: With
) -> None:
    peppers("1")
    limits = KeyLimits(scopes=(MANAGE_KEYS,))
    key, text = issue_api_key(
        account=account, name="m", submission=uuid4(), by=owner, limits=limits
    )
    peppers("2", "1")
    assert Program(text)("GET").status_code == 200
    key.refresh_from_db()
    assert key.pepper_id == "2"
    peppers("2")
    assert Program(text)("GET").status_code == 200


def test_while_the_gate_is_away_nothing_is_refused_and_it_is_repeated(
    issued: Issued, settings: Settings, peppers: With
) -> None:
    key, text = issued

    async def asking() -> Decision:
        async with patient_gate() as gate:
            return await gate.check(key=text)

    renewal = asyncio.run(asking()).renewal
    assert renewal
    reachable, settings.REDIS_URL = settings.REDIS_URL, UNREACHABLE
    renew_digests([renewal])
    settings.REDIS_URL = reachable
    key.refresh_from_db()
    assert (key.pepper_id, key.pushed_version < key.version) == ("2", True)
    assert ask_gate(text).allowed
    push_pending()
    peppers("2")
    assert ask_gate(text).allowed


def test_a_cold_account_knows_both(issued: Issued, account: Account, peppers: With) -> None:
    _, text = issued
    use(text)
    for names in (("2",), ("1",)):
        sync_client(configured.REDIS_URL).delete(hot_state.keys_of(account.handle).account)
        peppers(*names)
        assert ask_gate(text).allowed


def test_a_key_of_the_only_pepper_costs_nothing(
    account: Account, owner: User, peppers: With
) -> None:
    peppers("1")
    _, text = issue_api_key(account=account, name="a", submission=uuid4(), by=owner)
    decision = ask_gate(text)
    assert decision.answer
    assert (decision.renewal, decision.answer.matched) == (None, 0)
