"""Taking keys and tokens back."""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.models import User
from keys import projection, telling
from keys.models import ApiKey, ServiceToken


def revoke_api_key(
    *,
    key: ApiKey,
    by: User | None,
    at: datetime,
    note: str = "",
    act: str = "revoked",
    tell: Callable[[ApiKey], object] | None = None,
) -> None:
    """Revoke a key; done only when the gate refuses it. Repeating it changes nothing.

    note: why, for whoever asks later. act: what the audit log calls it. tell: mails whoever answers
    for the key otherwise than usual, in the transaction that revokes. Raises CannotConfirm when
    Valkey gave no answer.
    """
    with transaction.atomic():
        locked = ApiKey.objects.select_for_update(of=("self",)).select_related("account")
        found = locked.get(pk=key.pk)
        revoke_locked(found, by=by, at=at, note=note, act=act, tell=tell)
    projection.confirm(found)


def revoke_locked(
    found: ApiKey,
    *,
    by: User | None,
    at: datetime,
    note: str = "",
    act: str = "revoked",
    tell: Callable[[ApiKey], object] | None = None,
) -> bool:
    """Record that a key is revoked whose row is locked; False when it was already.

    The caller has the gate confirm it once it is committed.
    """
    if found.revoked_at is not None:
        return False
    found.change(revoked_at=at, revoked_by_id=by.pk if by else None, revoke_note=note[:200])
    event = audit.record(
        found.account, audit.Kind.KEY, act, thing=str(found), note=note, by=by, at=at
    )
    if tell is None:
        telling.tell_revoked(found, event)
    else:
        tell(found)
    return True


def revoke_service_token(*, token: ServiceToken, at: datetime) -> None:
    """Revoke a service token; every process refuses it within 5 s."""
    ServiceToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at)
