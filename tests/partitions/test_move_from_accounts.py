"""Partitions changed the app and nothing else: rows, rights and the way back are as they were."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection

from partitions.models import Partition
from tests.emptying import let_histories_be_emptied

pytestmark = pytest.mark.django_db(transaction=True)


def rows() -> list[tuple[Any, ...]]:
    """The table as it is, whichever app says so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_partition ORDER BY index")
        return list(cursor.fetchall())


def rights(group: Group) -> list[tuple[str, str]]:
    """What members may do, by app and name."""
    return list(group.permissions.values_list("content_type__app_label", "codename"))


def go_back() -> None:
    """To where the release before stands, one app after the other."""
    call_command("migrate", "accounts", "0004", verbosity=0)
    call_command("migrate", "partitions", "zero", verbosity=0)


@pytest.fixture
def group(plans: None) -> Iterator[Group]:
    """People who may look at partitions; afterwards the database is up to date again."""
    Partition.objects.filter(pk=7).update(epoch=3, drained_id="1700000000000-5")
    group = Group.objects.create(name="on duty")
    group.permissions.add(Permission.objects.get(codename="view_partition"))
    yield group
    call_command("migrate", verbosity=0)
    let_histories_be_emptied()


def test_rows_stay_on_the_way_back_and_forth(group: Group) -> None:
    before = rows()
    assert len(before) == 64
    go_back()
    assert rows() == before
    call_command("migrate", verbosity=0)
    assert rows() == before
    assert Partition.objects.get(pk=7).epoch == 3


def test_who_may_look_at_partitions_still_may(group: Group) -> None:
    assert rights(group) == [("partitions", "view_partition")]
    go_back()
    assert rights(group) == [("accounts", "view_partition")]
    call_command("migrate", verbosity=0)
    assert rights(group) == [("partitions", "view_partition")]
