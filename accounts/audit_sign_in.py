"""Changes of how people sign in, as allauth tells of them, in the log of their own account."""

from typing import Any

from allauth.account import signals
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.mfa import signals as factor_signals
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.dispatch import receiver

from accounts import audit
from accounts.models import User
from accounts.second_factor import Type, lock_anew

_ADDED = {Type.TOTP: "app added", Type.WEBAUTHN: "passkey added", Type.RECOVERY_CODES: "codes made"}
_REMOVED = {
    Type.TOTP: "app removed",
    Type.WEBAUTHN: "passkey removed",
    Type.RECOVERY_CODES: "codes removed",
}
_USED = {Type.TOTP: "app used", Type.WEBAUTHN: "passkey used", Type.RECOVERY_CODES: "code used"}


def record_of_person(
    user: User,
    act: str,
    *,
    changes: dict[str, tuple[object, object]] | None = None,
    thing: str = "",
    is_by_them: bool = True,
) -> None:
    """Write down in somebody's own account what changed of how they sign in."""
    membership = user.personal_membership
    if membership is not None:
        audit.record(
            membership.account,
            audit.Kind.SIGN_IN,
            act,
            changes=changes,
            thing=thing,
            by=user if is_by_them else None,
        )


def _record_of(user: User, acts: dict[Type, str], factor: Authenticator) -> None:
    """Only passkeys have a name that their owner gave them."""
    kind = Type(factor.type)
    record_of_person(user, acts[kind], thing=str(factor) if kind == Type.WEBAUTHN else "")


@receiver(signals.password_changed)
def _password_changed(user: User, **_more: Any) -> None:
    record_of_person(user, "password changed")


@receiver(signals.password_reset)
def _password_reset(user: User, **_more: Any) -> None:
    record_of_person(user, "password reset")


@receiver(signals.email_added)
def _address_added(user: User, email_address: EmailAddress, **_more: Any) -> None:
    record_of_person(user, "address added", changes={"address": (None, email_address.email)})


@receiver(signals.email_removed)
def _address_removed(user: User, email_address: EmailAddress, **_more: Any) -> None:
    record_of_person(user, "address removed", changes={"address": (email_address.email, None)})


@receiver(signals.email_changed)
def _address_changed(
    user: User, from_email_address: EmailAddress, to_email_address: EmailAddress, **_more: Any
) -> None:
    before = from_email_address.email if from_email_address else None
    record_of_person(user, "address changed", changes={"address": (before, to_email_address.email)})


@receiver(factor_signals.authenticator_added)
@receiver(factor_signals.authenticator_reset)
def _factor_added(user: User, authenticator: Authenticator, **_more: Any) -> None:
    _record_of(user, _ADDED, authenticator)


@receiver(factor_signals.authenticator_removed)
def _factor_removed(user: User, authenticator: Authenticator, **_more: Any) -> None:
    _record_of(user, _REMOVED, authenticator)


@receiver(factor_signals.authenticator_used)
def _factor_used(user: User, authenticator: Authenticator, **_more: Any) -> None:
    with transaction.atomic():
        _record_of(user, _USED, authenticator)
        # The one that was handed over is from before the code was used.
        now = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        lock_anew(now)
    if now.type == Type.RECOVERY_CODES:
        # Whoever found them would use them so: the owner hears of each.
        left = len(now.wrap().get_unused_codes())
        get_adapter().send_notification_mail("mfa/email/recovery_code_used", user, {"left": left})
