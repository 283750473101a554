"""Changing keys that were made: what they may do, and whether they are on. Never their text."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import User
from keys import projection
from keys.limits import KeyLimits
from keys.models import ApiKey


class CannotEdit(Exception):
    """The key is revoked, which is final."""


def edit_api_key(*, key: ApiKey, name: str, limits: KeyLimits, by: User | None) -> bool:
    """Give a key another name or other limits; done only when the gate goes by them.

    Answers whether anything is different. Raises CannotEdit, or CannotConfirm when Valkey gave no
    answer.
    """
    with key_held(key) as locked:
        before = locked.limits()
        has_changed = locked.change(name=name, **limits.columns())
        if has_changed:
            changes = {name: (before[name], after) for name, after in locked.limits().items()}
            audit.record(
                locked.account, audit.Kind.KEY, "changed", thing=str(locked), changes=changes, by=by
            )
    projection.confirm(locked)
    return has_changed


def switch_api_key(*, key: ApiKey, is_on: bool, by: User | None, at: datetime) -> bool:
    """Have a key refused until it is switched on again; done only when the gate does so.

    Answers whether it was otherwise before. Raises CannotEdit, or CannotConfirm when Valkey gave no
    answer.
    """
    with key_held(key) as locked:
        has_changed = switch_locked(locked, is_on=is_on, by=by, at=at)
    projection.confirm(locked)
    return has_changed


def switch_locked(locked: ApiKey, *, is_on: bool, by: User | None, at: datetime) -> bool:
    """Record that a key is on or off whose row is locked; False when it was so already.

    The caller has the gate confirm it once it is committed. Raises CannotEdit.
    """
    if locked.revoked_at is not None:
        raise CannotEdit
    has_changed = (locked.disabled_at is None) is not is_on
    if has_changed:
        locked.change(
            disabled_at=None if is_on else at,
            disabled_by_id=None if is_on or by is None else by.pk,
        )
        act = "switched on" if is_on else "switched off"
        audit.record(locked.account, audit.Kind.KEY, act, thing=str(locked), by=by, at=at)
    return has_changed


@contextmanager
def key_held(key: ApiKey) -> Iterator[ApiKey]:
    """The key as it is now, held until it is changed. Raises CannotEdit of a revoked one."""
    with transaction.atomic():
        rows = ApiKey.objects.select_for_update(of=("self",)).select_related("account")
        locked = rows.get(pk=key.pk)
        if locked.revoked_at is not None:
            raise CannotEdit
        yield locked
