"""The seam: what is granted counts for the very next check, once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Account
from quotas import entitlements, grants
from quotas.models.entitlements import Entitlement
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Pack, Plan
from quotas.standing import Standing
from tests import entitled
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

Now = Callable[[], Standing]


def grant_boost(account: Account, chats: int = 500, *, ref: str = "test:1", days: int = 7) -> Boost:
    now = timezone.now()
    return grants.grant_boost(
        account=account,
        chats=chats,
        at=now,
        expires_at=now + timedelta(days=days),
        source_ref=ref,
    )


def grant_credits(account: Account, credits: int = 100, *, ref: str = "test:1") -> CreditEntry:
    return grants.grant_credits(
        account=account,
        credits=credits,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref=ref,
    )


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def copilot() -> Pack:
    return Pack.objects.get(slug="copilot-pro")


# --- once -----------------------------------------------------------------------------------


def test_a_boost_is_given_once_per_source(account: Account, standing: Now) -> None:
    first, second = grant_boost(account), grant_boost(account)
    assert first == second
    assert standing().boost_left == 500


def test_credits_are_given_once_per_source(account: Account, standing: Now) -> None:
    first, second = grant_credits(account), grant_credits(account)
    assert first == second
    assert standing().credits_left == 100


def test_a_second_grant_of_the_same_source_does_not_touch_the_version(account: Account) -> None:
    grant_boost(account)
    version = Entitlement.objects.get(account=account).version
    grant_boost(account)
    assert Entitlement.objects.get(account=account).version == version


@pytest.mark.parametrize("grant", [grant_boost, grant_credits])
def test_twenty_workers_that_grant_the_same_at_once_give_it_once(
    account: Account, standing: Now, grant: Callable[[Account], Boost | CreditEntry]
) -> None:
    def work(_: int) -> int:
        try:
            return grant(account).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        given = set(pool.map(work, range(20)))
    assert len(given) == 1
    assert Boost.objects.count() + CreditEntry.objects.count() == 1
    assert (standing().boost_left, standing().credits_left) in {(500, 0), (0, 100)}


def test_twenty_different_grants_at_once_are_all_given(account: Account, standing: Now) -> None:
    def work(number: int) -> None:
        try:
            grant_boost(account, 10, ref=f"test:{number}")
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    assert standing().boost_left == 200
    entitlement = Entitlement.objects.get(account=account)
    assert entitlement.pushed_version == entitlement.version == 21


# --- the very next check ----------------------------------------------------------------------


def test_a_bought_boost_pays_for_the_next_chat(account: Account, key: str, gate: LiveGate) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    boost = grant_boost(account)
    decision = gate.check(key)
    assert decision.answer is not None
    assert decision.answer.boosts_taken == f"{boost.pk}:1"
    gate.use(key, 499)
    assert not gate.check(key).allowed


def test_credits_pay_two_each_for_the_next_chats(
    account: Account, key: str, gate: LiveGate, standing: Now
) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    grant_credits(account, 5)
    gate.use(key, 2)
    assert not gate.check(key).allowed
    assert standing().credits_left == 1


def test_credits_that_an_admin_takes_back_are_gone_at_once(
    account: Account, key: str, gate: LiveGate, standing: Now
) -> None:
    gate.use(key, 50)
    grant_credits(account, 10)
    grant_credits(account, -9, ref="test:2")
    assert not gate.check(key).allowed
    assert standing().credits_left == 1


def test_a_larger_plan_counts_for_the_next_chat(account: Account, key: str, gate: LiveGate) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    entitled.move_to_plan(account, "core")
    gate.use(key, 450)
    assert not gate.check(key).allowed


def test_a_smaller_plan_counts_for_the_next_chat(
    account: Account, key: str, gate: LiveGate, standing: Now
) -> None:
    entitled.move_to_plan(account, "pro")
    gate.use(key, 60)
    entitled.move_to_plan(account, "free")
    assert not gate.check(key).allowed
    assert (standing().used, standing().left) == (60, 0)


def test_the_pack_lifts_the_cap_of_plus_while_it_is_on(
    account: Account, key: str, gate: LiveGate
) -> None:
    entitled.move_to_plan(account, "plus")
    assert gate.check(key, 1500).allowed
    assert not gate.check(key).allowed
    entitled.switch_pack(account, copilot(), on=True)
    assert gate.check(key).allowed
    entitled.switch_pack(account, copilot(), on=False)
    assert not gate.check(key).allowed


def test_a_suspended_account_is_refused_until_it_is_not(
    account: Account, key: str, gate: LiveGate
) -> None:
    gate.check(key)
    entitled.set_suspended(account, True)
    assert gate.check(key).reason == "suspended"
    entitled.set_suspended(account, False)
    assert gate.check(key).allowed


def test_suspending_again_keeps_the_first_moment(account: Account) -> None:
    first = timezone.now()
    for hours, reason in ((0, "Spam"), (1, "Again")):
        grants.suspend(account=account, at=first + timedelta(hours=hours), note=reason)
    suspension = entitlements.suspension_of(account)
    assert suspension is not None
    assert (suspension.created_at, suspension.note) == (first, "Spam")


# --- packs and plans --------------------------------------------------------------------------


def test_a_pack_that_the_plan_does_not_include_is_refused(account: Account) -> None:
    with pytest.raises(grants.CannotSwitchPack, match="Free does not include"):
        entitled.switch_pack(account, copilot(), on=True)
    assert not entitlements.packs_on(account).exists()


def test_leaving_a_plan_switches_its_packs_off_for_good(
    account: Account, key: str, gate: LiveGate
) -> None:
    entitled.move_to_plan(account, "plus")
    entitled.switch_pack(account, copilot(), on=True)
    entitled.move_to_plan(account, "core")
    entitled.move_to_plan(account, "plus")
    assert not entitlements.packs_on(account).exists()
    assert gate.check(key, 1500).allowed
    assert not gate.check(key).allowed


def test_a_pack_that_both_plans_include_stays_on(account: Account) -> None:
    plan("pro").packs.add(copilot())
    entitled.move_to_plan(account, "plus")
    entitled.switch_pack(account, copilot(), on=True)
    entitled.move_to_plan(account, "pro")
    assert list(entitlements.packs_on(account)) == [copilot()]


# --- only what is committed -------------------------------------------------------------------


def test_a_transaction_that_is_rolled_back_tells_the_gate_nothing(
    account: Account, key: str, gate: LiveGate, standing: Now
) -> None:
    gate.check(key)
    with transaction.atomic():
        grant_boost(account)
        grant_credits(account)
        entitled.move_to_plan(account, "pro")
        transaction.set_rollback(True)
    assert (standing().plan_name, standing().boost_left, standing().credits_left) == ("Free", 0, 0)
    assert not Boost.objects.exists()


def test_the_gate_knows_nothing_before_the_commit(account: Account, standing: Now) -> None:
    assert standing().boost_left == 0
    with transaction.atomic():
        grant_boost(account)
        assert standing().boost_left == 0
    assert standing().boost_left == 500
