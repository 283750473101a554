"""Raising alerts: once, with everybody who is to be told, in one transaction.

The row of an alert is unique for what it is about. Whoever comes second, another worker or the same
one after it was killed, finds it and adds nothing; whoever dies before the commit leaves nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import transaction

from accounts.models import Account, Membership
from accounts.roles import Act, may
from alerts.models import (
    CHOSEN_KINDS,
    MAIL_KINDS,
    MONEY_KINDS,
    Alert,
    AlertSettings,
    Delivery,
    Kind,
    MailChoice,
    WebhookEndpoint,
)

Role = Membership.Role
# What people hear of unless they chose: whoever answers for an account, about everything.
MAIL_BY_DEFAULT: dict[str, frozenset[str]] = {
    Role.OWNER: frozenset(MAIL_KINDS),
    Role.ADMIN: frozenset({*CHOSEN_KINDS, *MONEY_KINDS}),
    Role.DEVELOPER: frozenset(),
    Role.BILLING: frozenset(MONEY_KINDS),
    Role.VIEWER: frozenset(),
}
# Mail that nobody chose to get or not: what they set up no longer works.
_TO_WHO_ANSWERS = {Kind.ENDPOINT_OFF}
# Of money that still moves, its owner hears also when the account is closed.
_ALSO_WHEN_CLOSED = frozenset(MONEY_KINDS)
# What only people are told of.
_MAIL_ONLY = {Kind.SUMMARY, Kind.ENDPOINT_OFF, *MONEY_KINDS}


def settings_of(account: Account) -> AlertSettings:
    """What an account wants to hear of; the defaults, unsaved, when it never chose."""
    found = AlertSettings.objects.filter(account=account).first()
    return found or AlertSettings(account=account)


def mail_kinds_of(membership: Membership) -> frozenset[str]:
    """What a member wants mail about."""
    choice = MailChoice.objects.filter(membership=membership).first()
    return frozenset(choice.kinds) if choice else MAIL_BY_DEFAULT.get(membership.role, frozenset())


def may_read(membership: Membership, kind: str) -> bool:
    """Whether a member may be told of this: of money, who may see it."""
    return kind not in MONEY_KINDS or may(membership, Act.SEE_MONEY)


def raise_alert(
    *, account: Account, kind: Kind, occasion: str, data: dict[str, Any], at: datetime
) -> bool:
    """Tell an account of something, unless it was told already; answers whether it is told now."""
    with transaction.atomic():
        alert = _write_once(account, kind, occasion, data=data, at=at)
        if alert is None:
            return False
        deliveries = [
            *(Delivery(alert=alert, user_id=pk, next_try_at=at) for pk in _readers(account, kind)),
            *(Delivery(alert=alert, endpoint=e, next_try_at=at) for e in _servers(account, kind)),
        ]
        Delivery.objects.bulk_create(deliveries)
    return True


def pass_by(*, account: Account, kinds: Iterable[Kind], occasion: str, at: datetime) -> None:
    """Remember that something has passed, of which nobody is told, now or later."""
    Alert.objects.bulk_create(
        [
            Alert(account=account, kind=kind, occasion=occasion, is_passed=True, occurred_at=at)
            for kind in kinds
        ],
        ignore_conflicts=True,
    )


def raise_test(endpoint: WebhookEndpoint, *, at: datetime) -> Alert:
    """Send one server a test."""
    with transaction.atomic():
        alert = Alert.objects.create(
            account=endpoint.account,
            kind=Kind.TEST,
            occasion=str(uuid4()),
            data={"message": "This is a test."},
            occurred_at=at,
        )
        Delivery.objects.create(alert=alert, endpoint=endpoint, next_try_at=at)
    return alert


def _write_once(
    account: Account, kind: Kind, occasion: str, *, data: dict[str, Any], at: datetime
) -> Alert | None:
    alert = Alert(account=account, kind=kind, occasion=occasion, data=data, occurred_at=at)
    # Another worker that writes the same is waited for: it commits or it does not.
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    return alert if Alert.objects.filter(pk=alert.pk).exists() else None


def _readers(account: Account, kind: Kind) -> list[int]:
    """The people who want mail about it."""
    members = Membership.objects.filter(account=account, user__is_active=True)
    if kind not in _ALSO_WHEN_CLOSED:
        members = members.filter(account__closed_at=None)
    chosen = dict(
        MailChoice.objects.filter(membership__account=account).values_list("membership", "kinds")
    )
    return [
        member.user_id
        for member in members.order_by("pk")
        if may_read(member, kind)
        and (
            member.role in {Role.OWNER, Role.ADMIN}
            if kind in _TO_WHO_ANSWERS
            else kind in chosen.get(member.pk, MAIL_BY_DEFAULT.get(member.role, frozenset()))
        )
    ]


def _servers(account: Account, kind: Kind) -> list[WebhookEndpoint]:
    if kind in _MAIL_ONLY:
        return []
    endpoints = WebhookEndpoint.objects.filter(account=account, is_on=True, removed_at=None)
    return list(endpoints.filter(account__closed_at=None))
