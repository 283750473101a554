"""What an earlier release left is brought up to date: keys and balances are as they were."""

import hashlib
from datetime import datetime
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from redis import Redis

from accounts.models import Account
from gate.decision.check import Decision
from gate.terms import addresses, key_text
from gate.terms.reasons import Reason
from keys.projection import valid_service_tokens
from quotas.models.entitlements import PlanGrant, Suspension
from quotas.models.offer import AIModel
from quotas.models.used import WeekClose
from quotas.offer import offered
from quotas.standing import standing_of
from quotas.usage import drain, refusals
from tests.quotas.live_gate import LiveGate
from tests.upgrades.kept import Kept, releases
from tests.upgrades.story import AccountFacts, Facts, chats_in_rollups, sum_of_ledger

REPOSITORY = Path(__file__).resolve().parents[2]


def stands(account: AccountFacts, *, at: datetime) -> dict[str, object]:
    """Where an account stands now, told as its facts are."""
    standing = standing_of(Account.objects.get(handle=account.handle), at=at)
    assert standing is not None
    return {
        "plan_name": standing.plan_name,
        "cap": standing.cap,
        "used": standing.used,
        "boost_left": standing.boost_left,
        "credits_left": standing.credits_left,
        "suspended": standing.suspended,
    }


def told(account: AccountFacts) -> dict[str, object]:
    """The same as it was."""
    names = ("plan_name", "cap", "used", "boost_left", "credits_left", "suspended")
    return {name: getattr(account, name) for name in names}


def charge(charge_id: str) -> Decision:
    """What was decided, as far as a refund or settlement needs it."""
    return Decision(allowed=True, reason=Reason.OK, charge_id=charge_id)


def ask_with_every_key(gate: LiveGate, facts: Facts, *, at: datetime) -> None:
    """Every key is answered as it was; no question is charged."""
    for key in facts.keys:
        units = 0 if key.reason == "ok" else 1
        address = addresses.known_to_hex(key.address)
        decision = gate.check(key.text, units, at=at, meter=key.meter, address=address)
        assert decision.reason == key.reason, key


@pytest.fixture(params=["kept", "lost"])
def gate_and_state(
    request: pytest.FixtureRequest, gate: LiveGate, facts: Facts, valkey: Redis, at: datetime
) -> LiveGate:
    """The gate, on what Valkey held; or on an empty Valkey after all of that was drained."""
    if request.param == "lost":
        held = gate.settle(charge(facts.hold), 5, at=at)
        assert held.status == "ok"
        drain.move_all()
        valkey.flushall()
    return gate


def test_keys_open_what_they_opened(gate_and_state: LiveGate, facts: Facts, at: datetime) -> None:
    ask_with_every_key(gate_and_state, facts, at=at)


def test_accounts_stand_where_they_stood(
    gate_and_state: LiveGate, facts: Facts, at: datetime
) -> None:
    for account in facts.accounts:
        assert stands(account, at=at) == told(account)


def test_what_waited_in_valkey_is_counted(gate: LiveGate, facts: Facts, at: datetime) -> None:
    assert drain.move_all() == facts.undrained
    refusals.move_all()
    for fact in facts.accounts:
        account = Account.objects.get(handle=fact.handle)
        assert chats_in_rollups(account) == fact.chats_ever
        assert sum_of_ledger(account) == fact.ledger
    assert WeekClose.objects.count() == facts.closed_weeks


def test_what_may_be_given_back_settled_or_repeated_still_may(
    gate: LiveGate, facts: Facts, at: datetime
) -> None:
    plain = facts.keys[0].text
    repeated = gate.check(plain, at=at, request_id=facts.request_id)
    assert repeated.charge_id == facts.first_answer
    assert gate.refund(charge(facts.refunded), at=at).status == "already"
    assert gate.refund(charge(facts.refundable), at=at).status == "ok"
    assert gate.settle(charge(facts.hold), 2, at=at).status == "ok"
    before = facts.accounts[0]
    assert stands(before, at=at) == {**told(before), "boost_left": before.boost_left + 1 + 3}


def test_its_service_token_is_accepted(brought_up: None, facts: Facts) -> None:
    shown = key_text.digests(facts.service_token, django_settings.KEY_PEPPERS)
    assert set(shown) & set(valid_service_tokens())


def test_its_ledger_cannot_be_emptied_any_more(brought_up: None, facts: Facts) -> None:
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("TRUNCATE accounts_account CASCADE")


PAGES = ("/account/keys", "/account/usage", "/account/billing")
ADMIN_PAGES = (
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/account/",
    "/admin/keys/apikey/",
    "/admin/keys/servicetoken/",
    "/admin/quotas/plan/",
    "/admin/quotas/creditentry/",
    "/admin/quotas/boost/",
    "/admin/billing/purchase/",
    "/admin/billing/stripeevent/",
)


def signed_in(facts: Facts, who: str) -> Client:
    client = Client()
    answer = client.post(
        "/auth/login/", {"login": facts.people[who], "password": facts.password}, follow=True
    )
    assert answer.status_code == 200
    assert "_auth_user_id" in client.session, who
    return client


@pytest.mark.parametrize(
    ("who", "pages"),
    [("owner", PAGES), ("team_mate", PAGES), ("outsider", PAGES), ("admin", ADMIN_PAGES)],
)
def test_people_sign_in_and_see_their_pages(
    brought_up: None, facts: Facts, who: str, pages: tuple[str, ...]
) -> None:
    client = signed_in(facts, who)
    for page in pages:
        assert client.get(page).status_code == 200, page


def test_bringing_it_up_twice_changes_nothing(gate: LiveGate, facts: Facts, at: datetime) -> None:
    call_command("prepare", verbosity=0)
    ask_with_every_key(gate, facts, at=at)
    for account in facts.accounts:
        assert stands(account, at=at) == told(account)


def test_it_offers_the_first_models_once(brought_up: None) -> None:
    assert [each.name for each in offered()] == ["sansxel-chat", "sansxel-image", "sansxel-voice"]
    AIModel.objects.filter(endpoint="voice").delete()
    call_command("prepare", verbosity=0)
    assert [each.name for each in offered()] == ["sansxel-chat", "sansxel-image"]


def test_the_rows_that_were_kept_are_all_still_there(as_it_was: None, own_pepper: None) -> None:
    before = counted()
    call_command("prepare", verbosity=0)
    after = counted()
    added = {"django_migrations", "django_content_type", "auth_permission", "site_installation"}
    assert {name: after[name] for name in before.keys() - added} == {
        name: before[name] for name in before.keys() - added
    }


def counted() -> dict[str, int]:
    """How many rows each table has, and what now stands for one that was there."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor, include_views=True)
        found = {}
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            found[table] = cursor.fetchone()[0]
    return found


@pytest.mark.parametrize("kept", releases(), ids=lambda kept: kept.release)
def test_a_released_migration_stays_as_it_is(kept: Kept) -> None:
    lines = (kept.folder / "migrations.sha256").read_text(encoding="utf-8").splitlines()
    changed = [
        path
        for released, _, path in (line.partition("  ") for line in lines)
        if hashlib.sha256((REPOSITORY / path).read_bytes()).hexdigest() != released
    ]
    assert lines
    assert changed == [], "Released migrations never change: add another one instead."


def held(facts: Facts) -> dict[str, tuple[object, ...]]:
    """Plan, packs and suspension of every account, as 0.1.0 reads them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account.handle, plan.slug, suspended_at, ARRAY("
            "  SELECT pack_id FROM quotas_entitlement_packs_on WHERE entitlement_id = held.id)"
            " FROM quotas_entitlement AS held"
            " JOIN quotas_plan AS plan ON plan.id = held.plan_id"
            " JOIN accounts_account AS account ON account.id = held.account_id"
        )
        return {handle: tuple(rest) for handle, *rest in cursor.fetchall()}


def test_plans_packs_and_suspensions_are_dated_and_can_be_told_as_before(
    brought_up: None, facts: Facts
) -> None:
    before = held(facts)
    assert {slug for slug, _, _ in before.values()} >= {"free", "plus"}
    admins = PlanGrant.objects.filter(source="admin")
    assert {grant.note for grant in admins} == {"Had it before plans were dated."}
    assert {grant.account.handle for grant in admins} == {
        handle for handle, (slug, _, _) in before.items() if slug != "free"
    }
    assert Suspension.objects.count() == sum(since is not None for _, since, _ in before.values())
    call_command("migrate", "quotas", "0006", verbosity=0)
    assert held(facts) == before
    call_command("migrate", "quotas", verbosity=0)
    assert held(facts) == before
