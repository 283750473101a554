"""What plan an account has is a list of dated grants; which one counts, the clock says."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Account, User
from quotas import entitlements, grants, projection
from quotas.entitlements import Span
from quotas.models.entitlements import Entitlement, PackSwitch, PlanGrant, Suspension
from quotas.models.plans import Pack, Plan
from tests import entitled
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
Source = PlanGrant.Source


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def grant(
    account: Account,
    slug: str,
    *,
    ref: str = "test:1",
    source: Source = Source.SUBSCRIPTION,
    at: datetime | None = None,
    ends_at: datetime | None = None,
) -> PlanGrant:
    return grants.grant_plan(
        account=account,
        plan=plan(slug),
        source=source,
        at=at or timezone.now(),
        ends_at=ends_at,
        source_ref=ref,
    )


def in_turn(account: Account) -> list[tuple[str, datetime | None]]:
    """The plans from now on, with the end of each."""
    spans = entitlements.spans_of([account], since=timezone.now())[account.pk]
    return [(span.plan.slug, span.ends_at) for span in spans]


def plan_at_gate(gate: LiveGate, key: str, *, at: datetime | None = None) -> str:
    """The plan that one more chat is decided by."""
    answer = gate.check(key, at=at).answer
    assert answer is not None
    return answer.plan


# --- which one counts -------------------------------------------------------------------------


def test_an_account_begins_with_the_default_plan(account: Account) -> None:
    projection.entitlement_of(account)
    begun = PlanGrant.objects.get(account=account)
    assert (begun.source, begun.plan, begun.ends_at) == (Source.DEFAULT, plan("free"), None)
    assert in_turn(account) == [("free", None)]


def test_an_account_that_was_never_looked_at_has_the_default_plan_too(account: Account) -> None:
    assert entitlements.spans_of([account], since=timezone.now())[account.pk] == [
        Span(plan("free"), None)
    ]


def test_the_best_that_is_live_counts_and_then_the_next(account: Account) -> None:
    now = timezone.now()
    grant(account, "core", ref="a", ends_at=now + 3 * DAY)
    grant(account, "plus", ref="b", at=now + DAY, ends_at=now + 2 * DAY)
    assert in_turn(account) == [
        ("core", now + DAY),
        ("plus", now + 2 * DAY),
        ("core", now + 3 * DAY),
        ("free", None),
    ]


def test_a_plan_that_is_renewed_in_time_is_one_stretch(account: Account) -> None:
    now = timezone.now()
    grant(account, "core", ref="november", ends_at=now + 2 * DAY)
    grant(account, "core", ref="december", at=now + DAY, ends_at=now + 30 * DAY)
    assert in_turn(account) == [("core", now + 30 * DAY), ("free", None)]


def test_the_default_counts_only_when_nothing_else_does(account: Account) -> None:
    default = plan("plus")
    default.is_default = True
    default.save()
    projection.entitlement_of(account)
    grant(account, "free", ends_at=timezone.now() + DAY, source=Source.ADMIN)
    assert [slug for slug, _ in in_turn(account)] == ["free", "plus"]


def test_many_accounts_are_asked_for_in_one_query(
    account: Account, other_account: Account, django_assert_num_queries: Callable[[int], object]
) -> None:
    grant(account, "core", ref="a")
    grant(other_account, "plus", ref="b")
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        found = entitlements.spans_of([account, other_account], since=timezone.now())
    assert [found[pk][0].plan.slug for pk in (account.pk, other_account.pk)] == ["core", "plus"]


def test_lists_of_accounts_say_the_same(account: Account, other_account: Account) -> None:
    now = timezone.now()
    grant(account, "core", ref="a", ends_at=now + DAY)
    for at, slug in ((now, "core"), (now + DAY, "free")):
        listed = Account.objects.annotate(counts=entitlements.plan_counting(at))
        assert Plan.objects.get(pk=listed.get(pk=account.pk).counts).slug == slug
    assert Plan.objects.get(pk=listed.get(pk=other_account.pk).counts).slug == "free"


# --- the gate ---------------------------------------------------------------------------------


def test_a_plan_that_ends_ends_at_the_gate_without_a_job(
    account: Account, key: str, gate: LiveGate
) -> None:
    ends_at = timezone.now() + timedelta(hours=1)
    grant(account, "pro", ends_at=ends_at)
    assert gate.check(key, 51, at=ends_at - timedelta(milliseconds=1)).allowed
    after = ends_at + timedelta(milliseconds=1)
    assert gate.check(key, at=after).reason == "quota_exhausted"
    assert plan_at_gate(gate, key, at=after) == "free"


def test_a_plan_that_begins_later_begins_at_the_gate_without_a_job(
    account: Account, key: str, gate: LiveGate
) -> None:
    starts_at = timezone.now() + timedelta(hours=1)
    grant(account, "pro", at=starts_at)
    assert gate.check(key, 51).reason == "above_plan_cap"
    assert gate.check(key, 51, at=starts_at + timedelta(milliseconds=1)).allowed


def test_a_rebuilt_gate_knows_what_comes_next(
    account: Account, key: str, gate: LiveGate, valkey: object
) -> None:
    ends_at = timezone.now() + timedelta(hours=1)
    grant(account, "pro", ends_at=ends_at)
    valkey.flushall()  # type: ignore[attr-defined]
    assert plan_at_gate(gate, key, at=ends_at - timedelta(milliseconds=1)) == "pro"
    assert plan_at_gate(gate, key, at=ends_at + timedelta(milliseconds=1)) == "free"


def test_what_is_given_at_once_waits_for_no_clock(
    account: Account, key: str, gate: LiveGate
) -> None:
    """A server's clock may run behind ours by less than a day."""
    grant(account, "core")
    assert plan_at_gate(gate, key, at=timezone.now() - timedelta(hours=1)) == "core"


def test_what_ended_an_hour_ago_by_our_clock_may_not_have_by_valkeys(
    account: Account, key: str, gate: LiveGate
) -> None:
    now = timezone.now()
    grant(account, "pro", at=now - DAY, ends_at=now - timedelta(minutes=30))
    assert plan_at_gate(gate, key, at=now - timedelta(hours=1)) == "pro"
    assert plan_at_gate(gate, key, at=now) == "free"


def test_a_plan_that_changes_its_place_counts_by_the_new_one(
    account: Account, key: str, gate: LiveGate
) -> None:
    grant(account, "core", ref="a")
    grant(account, "plus", ref="b")
    assert plan_at_gate(gate, key) == "plus"
    Plan.objects.filter(slug="core").update(position=9)
    grants.plans_changed_places()
    projection.push_pending_accounts()
    assert plan_at_gate(gate, key) == "core"


# --- the seam ---------------------------------------------------------------------------------


def test_a_plan_is_given_once_per_source(account: Account) -> None:
    first, second = grant(account, "core"), grant(account, "plus")
    assert first == second
    assert Entitlement.objects.get(account=account).version == 2


def test_a_plan_is_ended_once_and_counts_for_the_next_chat(
    account: Account, key: str, gate: LiveGate, owner: User
) -> None:
    grant(account, "pro")
    gate.check(key)
    ended = timezone.now()
    assert grants.end_plan(source_ref="test:1", at=ended, by=owner, note="Cancelled")
    assert plan_at_gate(gate, key) == "free"
    assert not grants.end_plan(source_ref="test:1", at=ended + DAY, note="Again")
    row = PlanGrant.objects.get(source_ref="test:1")
    assert (row.ended_at, row.ended_by, row.end_note) == (ended, owner, "Cancelled")


def test_a_plan_that_has_not_begun_can_be_ended(account: Account) -> None:
    grant(account, "pro", at=timezone.now() + DAY)
    grants.end_plan(source_ref="test:1", at=timezone.now())
    assert in_turn(account) == [("free", None)]


def test_ending_what_never_was_changes_nothing(account: Account) -> None:
    projection.entitlement_of(account)
    assert not grants.end_plan(source_ref="nothing", at=timezone.now())
    assert Entitlement.objects.get(account=account).version == 1


def test_the_default_plan_cannot_be_ended(account: Account) -> None:
    projection.entitlement_of(account)
    with pytest.raises(grants.CannotEnd, match="stays"):
        grants.end_plan(source_ref=f"default:{account.pk}", at=timezone.now())


def test_a_move_ends_everything_that_was_granted_and_was_to_come(
    account: Account, owner: User
) -> None:
    now = timezone.now()
    grant(account, "pro", ref="a")
    grant(account, "enterprise", ref="b", at=now + DAY)
    grants.move_to_plan(
        account=account,
        plan=plan("core"),
        at=now,
        ends_at=now + 2 * DAY,
        source_ref="move:1",
        by=owner,
        note="Invoice",
    )
    assert in_turn(account) == [("core", now + 2 * DAY), ("free", None)]
    assert set(
        PlanGrant.objects.filter(source_ref__in=["a", "b"]).values_list("ended_by", "end_note")
    ) == {(owner.pk, "Invoice")}
    moved = PlanGrant.objects.get(source_ref="move:1")
    assert (moved.source, moved.by, moved.note) == (Source.ADMIN, owner, "Invoice")


def test_a_move_that_comes_again_late_ends_nothing(account: Account) -> None:
    def move() -> None:
        grants.move_to_plan(
            account=account, plan=plan("core"), at=timezone.now(), source_ref="move:1"
        )

    move()
    grant(account, "pro", ref="later")
    move()
    assert in_turn(account) == [("pro", None)]


def test_a_pack_counts_again_with_a_plan_that_returns(
    account: Account, key: str, gate: LiveGate
) -> None:
    now = timezone.now()
    entitled.move_to_plan(account, "plus")
    entitled.switch_pack(account, Pack.objects.get(), on=True)
    grant(account, "pro", ends_at=now + DAY)
    assert gate.check(key, 1501, at=now + 2 * DAY).allowed
    assert plan_at_gate(gate, key, at=now + 2 * DAY) == "plus"


def test_who_switched_a_pack_is_written_down(account: Account, owner: User) -> None:
    entitled.move_to_plan(account, "plus")
    pack = Pack.objects.get()
    for on in (True, True, False, False):
        grants.switch_pack(account=account, pack=pack, on=on, at=timezone.now(), by=owner)
    switch = PackSwitch.objects.get()
    assert (switch.by, switch.ended_by) == (owner, owner)
    assert Entitlement.objects.get(account=account).version == 4


def test_an_account_can_be_suspended_more_than_once_in_its_life(
    account: Account, owner: User
) -> None:
    for reason in ("Spam", "Spam again"):
        grants.suspend(account=account, at=timezone.now(), by=owner, note=reason)
        grants.reinstate(account=account, at=timezone.now(), by=owner, note="Sorry")
    assert set(Suspension.objects.values_list("note", flat=True)) == {"Spam", "Spam again"}


# --- the database -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"source": "gift"}, "plan_grant_source_known"),
        ({"ends_at": datetime(2020, 1, 1).astimezone()}, "plan_grant_ends_after_start"),
        ({"source": "default"}, "plan_grant_one_default"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(
    account: Account, changes: dict[str, object], constraint: str
) -> None:
    projection.entitlement_of(account)
    fields = {"source": "admin", "starts_at": timezone.now(), "source_ref": "x", **changes}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        PlanGrant.objects.create(account=account, plan=plan("core"), **fields)


def test_the_default_plan_has_no_end_in_the_database_either(account: Account) -> None:
    projection.entitlement_of(account)
    rows = PlanGrant.objects.filter(account=account)
    with pytest.raises(IntegrityError, match="plan_grant_default_stays"), transaction.atomic():
        rows.update(ended_at=timezone.now())


@pytest.mark.parametrize(
    "changes",
    [
        {"starts_at": timezone.now()},
        {"ends_at": timezone.now() + 9 * DAY},
        {"source_ref": "other"},
        {"note": "other"},
        {"plan": 1},
    ],
)
def test_a_row_of_the_history_is_only_ended(account: Account, changes: dict[str, object]) -> None:
    grant(account, "core")
    rows = PlanGrant.objects.filter(source_ref="test:1")
    with pytest.raises(IntegrityError, match="history"), transaction.atomic():
        rows.update(**changes)
    with pytest.raises(IntegrityError, match="history"), transaction.atomic():
        rows.delete()
    grants.end_plan(source_ref="test:1", at=timezone.now(), note="Enough")
    with pytest.raises(IntegrityError, match="history"), transaction.atomic():
        rows.update(ended_at=None)
    with pytest.raises(IntegrityError, match="history"), transaction.atomic():
        rows.update(end_note="Not so")


def test_a_person_who_is_deleted_leaves_the_history_standing(
    account: Account, outsider: User
) -> None:
    grants.suspend(account=account, at=timezone.now(), by=outsider, note="Spam")
    outsider.delete()
    suspension = Suspension.objects.get()
    assert (suspension.by, suspension.note) == (None, "Spam")


# --- beside release 0.1.0 ---------------------------------------------------------------------


def undated(account: Account) -> tuple[object, ...]:
    """What a process of 0.1.0 reads of an account: plan, packs, suspension."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT plan.slug, count(packs_on.id), suspended_at IS NOT NULL"
            " FROM quotas_entitlement AS held JOIN quotas_plan AS plan ON plan.id = held.plan_id"
            " LEFT JOIN quotas_entitlement_packs_on AS packs_on ON entitlement_id = held.id"
            " WHERE account_id = %s GROUP BY plan.slug, suspended_at",
            [account.pk],
        )
        row: tuple[object, ...] = cursor.fetchone()
    return row


def test_release_0_1_0_reads_what_counts_now(account: Account) -> None:
    projection.entitlement_of(account)
    assert undated(account) == ("free", 0, False)
    entitled.move_to_plan(account, "plus")
    entitled.switch_pack(account, Pack.objects.get(), on=True)
    entitled.set_suspended(account, suspended=True)
    assert undated(account) == ("plus", 1, True)
    entitled.set_suspended(account, suspended=False)
    entitled.switch_pack(account, Pack.objects.get(), on=False)
    entitled.move_to_plan(account, "core")
    assert undated(account) == ("core", 0, False)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE quotas_entitlement SET plan_id = (SELECT max(id) FROM quotas_plan)",
        "UPDATE quotas_entitlement SET suspended_at = now()",
        "INSERT INTO quotas_entitlement_packs_on (entitlement_id, pack_id) VALUES (1, 1)",
    ],
)
def test_what_release_0_1_0_would_change_is_refused_and_not_lost(
    account: Account, statement: str
) -> None:
    projection.entitlement_of(account)
    with (
        pytest.raises(DatabaseError, match=r"are dated|cannot insert into view"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
