"""Changes of how people sign in, as allauth tells of them, in the log of their own account."""

from typing import Any

from allauth.account import signals
from allauth.account.models import EmailAddress
from django.dispatch import receiver

from accounts import audit
from accounts.models import User


def _record(
    user: User, act: str, *, changes: dict[str, tuple[object, object]] | None = None
) -> None:
    membership = user.personal_membership
    if membership is not None:
        audit.record(membership.account, audit.Kind.SIGN_IN, act, changes=changes, by=user)


@receiver(signals.password_changed)
def _password_changed(user: User, **_more: Any) -> None:
    _record(user, "password changed")


@receiver(signals.password_reset)
def _password_reset(user: User, **_more: Any) -> None:
    _record(user, "password reset")


@receiver(signals.email_added)
def _address_added(user: User, email_address: EmailAddress, **_more: Any) -> None:
    _record(user, "address added", changes={"address": (None, email_address.email)})


@receiver(signals.email_removed)
def _address_removed(user: User, email_address: EmailAddress, **_more: Any) -> None:
    _record(user, "address removed", changes={"address": (email_address.email, None)})


@receiver(signals.email_changed)
def _address_changed(
    user: User, from_email_address: EmailAddress, to_email_address: EmailAddress, **_more: Any
) -> None:
    before = from_email_address.email if from_email_address else None
    _record(user, "address changed", changes={"address": (before, to_email_address.email)})
