"""How many keys hang on which pepper, and which may be dropped; never a secret."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Account
from gate.terms.key_text import Pepper
from tests.keys.test_key_list import make_key

SECRETS = {name: f"secret-of-{name}-".ljust(40, "x") for name in ("1", "2", "3")}


def with_peppers(settings: Settings, *names: str) -> None:
    settings.KEY_PEPPERS = [Pepper(pepper_id=n, secret=SECRETS[n].encode()) for n in names]


def said() -> dict[str, list[str]]:
    """What the command says, by pepper."""
    out = StringIO()
    call_command("key_peppers", stdout=out)
    assert not any(secret in out.getvalue() for secret in SECRETS.values())
    lines = out.getvalue().splitlines()[1:]
    return {line.split()[0]: line.split(maxsplit=4)[1:] for line in lines}


@pytest.fixture
def keys(account: Account) -> None:
    now = timezone.now()
    make_key(account, "new", pepper_id="2", last_used_at=now)
    make_key(account, "idle", pepper_id="1", last_used_at=now - timedelta(days=31))
    make_key(account, "busy", pepper_id="1", last_used_at=now - timedelta(days=29))
    make_key(account, "gone", pepper_id="1", revoked_at=now, last_used_at=now)
    make_key(account, "long gone", pepper_id="0", revoked_at=now)


def test_the_command_counts_keys_by_their_pepper(keys: None, settings: Settings) -> None:
    with_peppers(settings, "2", "1", "3")
    assert said() == {
        "2": ["1", "0", "1", "makes new keys: keep it"],
        "1": ["2", "1", "1", "keep it: live keys hang on it"],
        "3": ["0", "0", "0", "may be dropped, as far as keys go: no live key hangs on it"],
        "0": ["0", "1", "0", "is gone"],
    }


def test_live_keys_of_a_pepper_that_is_gone_are_named(keys: None, settings: Settings) -> None:
    with_peppers(settings, "2")
    assert said()["1"] == ["2", "1", "1", "is not in KEY_PEPPERS: its live keys are refused"]


def line_of(client: Client) -> str:
    page = client.get(reverse("admin:keys_apikey_changelist"))
    assert page.status_code == 200
    return str(page.context["note"])


def test_the_admin_says_it_only_where_somebody_has_to_know(
    keys: None, admin_client: Client, settings: Settings
) -> None:
    with_peppers(settings, "2", "1")
    said = "live keys on pepper 1, which is to go: 2"
    assert line_of(admin_client) == said
    page = admin_client.get(reverse("admin:keys_apikey_changelist")).content.decode()
    assert f"L{said[1:]}" in page
    with_peppers(settings, "2")
    assert line_of(admin_client) == "live keys on a pepper that is gone, refused: 2"


def test_the_admin_says_nothing_of_one_pepper(
    account: Account, admin_client: Client, settings: Settings
) -> None:
    make_key(account, "new", pepper_id="2")
    make_key(account, "long gone", pepper_id="0", revoked_at=timezone.now())
    with_peppers(settings, "2")
    assert line_of(admin_client) == ""
