"""The ledger is appended to and nothing else; what must hold is held by PostgreSQL itself."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from accounts.models import Account
from partitions.models import Partition
from quotas.models.entitlements import Entitlement
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Plan, QuotaPolicy

pytestmark = pytest.mark.django_db


def append(account: Account, **changes: object) -> CreditEntry:
    fields = {"credits": 500, "kind": "purchase", "source_ref": "test:1", **changes}
    return CreditEntry.objects.create(account=account, **fields)


@pytest.fixture
def entry(account: Account) -> CreditEntry:
    """A line of the ledger."""
    return append(account)


# --- rows are never edited --------------------------------------------------------------------


def by_save(entry: CreditEntry) -> None:
    entry.credits = 1
    entry.save()


def by_queryset(_: CreditEntry) -> None:
    CreditEntry.objects.update(note="mended")


def by_sql(_: CreditEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE quotas_creditentry SET credits = credits + 1")


@pytest.mark.parametrize("edit", [by_save, by_queryset, by_sql])
def test_a_line_cannot_be_edited(entry: CreditEntry, edit: Callable[[CreditEntry], None]) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        edit(entry)
    entry.refresh_from_db()
    assert (entry.credits, entry.note) == (500, "")


def delete_by_model(entry: CreditEntry) -> None:
    entry.delete()


def delete_by_queryset(_: CreditEntry) -> None:
    CreditEntry.objects.all().delete()


def delete_by_sql(_: CreditEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM quotas_creditentry")


@pytest.mark.parametrize("delete", [delete_by_model, delete_by_queryset, delete_by_sql])
def test_a_line_cannot_be_deleted(
    entry: CreditEntry, delete: Callable[[CreditEntry], None]
) -> None:
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        delete(entry)
    assert CreditEntry.objects.filter(pk=entry.pk).exists()


def test_an_account_with_a_ledger_cannot_be_deleted(account: Account, entry: CreditEntry) -> None:
    with pytest.raises(ProtectedError):
        account.delete()


# --- what a row must be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"credits": 0}, "credit_entry_not_zero"),
        ({"kind": "gift"}, "credit_entry_is_of_a_kind"),
        ({"credits": -500}, "credit_purchase_adds"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(
    account: Account, changes: dict[str, object], constraint: str
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        append(account, **changes)


def test_two_lines_of_one_source_are_refused(account: Account, entry: CreditEntry) -> None:
    with pytest.raises(IntegrityError, match="source_ref"), transaction.atomic():
        append(account)


def test_an_admin_may_take_credits_and_a_drain_may_give_some_back(account: Account) -> None:
    append(account, kind="grant", credits=-1)
    append(account, kind="spend", credits=1, source_ref="test:2")
    assert CreditEntry.objects.aggregate(models.Sum("credits")) == {"credits__sum": 0}


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"chats": 0}, "boost_has_chats"),
        ({"spent": -1}, "spent"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "boost_ends_after_start"),
    ],
)
def test_a_boost_that_makes_no_sense_is_refused(
    account: Account, changes: dict[str, object], constraint: str
) -> None:
    fields = {"chats": 1, "expires_at": timezone.now() + timedelta(days=1), **changes}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Boost.objects.create(account=account, source_ref="test:1", **fields)


def test_there_is_one_policy_one_default_plan_and_one_entitlement(account: Account) -> None:
    Entitlement.objects.create(account=account)
    for forbidden in (
        lambda: QuotaPolicy.objects.create(pk=2),
        lambda: QuotaPolicy.objects.update(credits_per_chat=0),
        lambda: Plan.objects.filter(slug="core").update(is_default=True),
        lambda: Entitlement.objects.create(account=account),
        lambda: Partition.objects.create(index=64),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            forbidden()
