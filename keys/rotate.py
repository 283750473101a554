"""Giving a key another secret: the key stays, and the secret before it for a while.

Both secrets are one key: they may do the same, are counted together, and end together.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts import audit
from accounts.models import User
from gate.terms import key_text
from keys import projection, telling
from keys.edit import key_held
from keys.models import ApiKey

# How long the former secret may stay, by how it is asked for.
STAYS = {
    "0": timedelta(0),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}


class CannotRotate(Exception):
    """The key keeps its secret; the message says why, to the user."""


class AlreadyRotated(CannotRotate):
    """The same form was submitted before; its secret was shown then."""

    def __init__(self) -> None:
        super().__init__(_("This secret was made and shown already."))


def _by_the_caller(_rotated: ApiKey, _plaintext: str) -> None:
    """For callers that show the text themselves."""


def _nothing(_ended: ApiKey) -> None:
    """For callers that have nothing to do besides."""


@sensitive_variables("plaintext")
def rotate_api_key(
    *,
    key: ApiKey,
    submission: UUID,
    stays: timedelta,
    by: User | None,
    at: datetime,
    show: Callable[[ApiKey, str], object] = _by_the_caller,
) -> tuple[ApiKey, str, bool]:
    """A key with another secret, the text of that, and whether the gate goes by it already.

    What the gate does not know yet is repeated. stays: how long the secret before it is valid; one
    before that ends at once. show: prepares or prints the text; if it raises, the secret stays as
    it was. Raises CannotEdit of a revoked key, CannotRotate, or CannotConfirm when Valkey gave no
    answer: then the secret is the same.
    """
    with key_held(key) as locked:
        _require_rotatable(locked, submission)
        if locked.former_works_until is not None:
            _end_former(locked, by=by, at=at, act="former ended")
        elif locked.former_is_valid:
            # The same secret under an older pepper: from now on it is the former one.
            locked.change(former_ends_at=at)
    # The gate has to know that one is over before another stands in its place.
    projection.confirm(locked)
    plaintext = key_text.new_api_key(locked.account.handle)
    pepper = settings.KEY_PEPPERS[0]
    with key_held(key) as locked:
        _require_rotatable(locked, submission)
        if locked.former_is_valid:
            raise CannotRotate(_("Somebody gave it another secret this moment."))
        if locked.pushed_version < locked.version:
            raise projection.CannotConfirm
        before = locked.last_four
        locked.take_secret(
            digest=key_text.digest(plaintext, pepper),
            pepper_id=pepper.pepper_id,
            last_four=plaintext[-4:],
            former_ends_at=at + stays,
            of=submission,
        )
        changes = {
            "last_four": (before, locked.last_four),
            "former_ends_at": (None, locked.former_ends_at),
        }
        event = audit.record(
            locked.account,
            audit.Kind.KEY,
            "rotated",
            thing=str(locked),
            changes=changes,
            by=by,
            at=at,
        )
        telling.tell_rotated(locked, event)
        show(locked, plaintext)
    return locked, plaintext, projection.push_key(locked)


def end_former_secret(
    *,
    key: ApiKey,
    by: User | None,
    at: datetime,
    note: str = "",
    act: str = "former ended",
    tell: Callable[[ApiKey], object] = _nothing,
) -> bool:
    """End the secret before the last one; done only when the gate refuses it.

    Answers whether it was still valid. note, act, tell: as in `keys.revoke`. Raises CannotEdit of
    a revoked key, whose secrets are over both, or CannotConfirm when Valkey gave no answer.
    """
    with key_held(key) as locked:
        was_valid = locked.former_works_until is not None
        if was_valid:
            _end_former(locked, by=by, at=at, act=act, note=note)
            tell(locked)
    projection.confirm(locked)
    return was_valid


def _require_rotatable(key: ApiKey, submission: UUID) -> None:
    if submission in key.rotations:
        raise AlreadyRotated
    if key.is_expired:
        raise CannotRotate(_("This key has expired. Give it a later end first, or make another."))


def _end_former(key: ApiKey, *, by: User | None, at: datetime, act: str, note: str = "") -> None:
    changes = {"former_ends_at": (key.former_ends_at, at)}
    key.change(former_ends_at=at)
    audit.record(
        key.account,
        audit.Kind.KEY,
        act,
        thing=f"{key.name} ({key.former_masked})",
        changes=changes,
        note=note,
        by=by,
        at=at,
    )
