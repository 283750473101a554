"""Taking keys and tokens back."""

from datetime import datetime

from django.db import transaction

from accounts.models import User
from keys import projection
from keys.models import ApiKey, ServiceToken


class CannotRevoke(Exception):
    """The revocation is recorded but the gate does not know it yet; it is repeated by itself."""


def revoke_api_key(*, key: ApiKey, by: User | None, at: datetime) -> None:
    """Revoke a key; done only when the gate refuses it. Repeating it changes nothing.

    Raises CannotRevoke when Valkey gave no answer.
    """
    with transaction.atomic():
        locked = ApiKey.objects.select_for_update().select_related("account").get(pk=key.pk)
        if locked.revoked_at is None:
            locked.mark_revoked(by=by, at=at)
    if locked.pushed_version < locked.version and not projection.push_key(locked):
        raise CannotRevoke


def revoke_service_token(*, token: ServiceToken, at: datetime) -> None:
    """Revoke a service token; every process refuses it within 5 s."""
    ServiceToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at)
