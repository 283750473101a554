"""All that is written down of a person, or of an account, as JSON that is sent some at a time.

Keys are masked; what only its digest is kept of is not there at all. Each part is read anew, and
nothing is held while a reader is slow.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from accounts import audit_page
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from alerts import raising
from alerts.models import WebhookEndpoint
from billing import exporting
from billing.models import Purchase
from billing.subscriptions.models import Subscription
from billing.top_ups.models import AutoTopUp
from keys.models import ApiKey
from quotas import entitlements, statement

JSON = "application/json"
_AT_ONCE = 500
_BOOSTS_AT_MOST = 10_000
# Longer than any boost lasts.
_FAR = timedelta(days=4_000)

# A part of the file: its name, and what it is, or its rows as they are read.
Part = tuple[str, Mapping[str, Any] | Iterator[Sequence[Mapping[str, Any]]]]


def of_person(user: User, *, at: datetime) -> Iterator[str]:
    """What is known of somebody who signs in, whatever account it stands in."""
    keys = ApiKey.objects.filter(created_by=user).select_related("account")
    events = AuditEvent.objects.filter(user=user)
    return _as_json(
        (
            ("file", {"is": "personal data", "made_at": at}),
            ("person", _person(user)),
            ("addresses", _rows(_address(row) for row in EmailAddress.objects.filter(user=user))),
            (
                "second_factors",
                _rows(_factor(row) for row in Authenticator.objects.filter(user=user)),
            ),
            ("accounts", _rows(_place(row) for row in _places(user=user))),
            ("alerts", _rows(_mail(row) for row in _places(user=user))),
            ("sessions", _rows(_session(row) for row in UserSession.objects.filter(user=user))),
            ("keys_made", _keys(keys)),
            ("done", _named(audit_page.EXPORTED, audit_page.rows(events))),
        )
    )


def of_account(account: Account, *, at: datetime) -> Iterator[str]:
    """What is written down of an account, but for its use, which has a file of its own."""
    invitations = Invitation.objects.filter(account=account).select_related("invited_by")
    endpoints = WebhookEndpoint.objects.filter(account=account).order_by("created_at")
    boosts = statement.boosts_between(
        account, account.created_at - _FAR, at + _FAR, at_most=_BOOSTS_AT_MOST
    )
    return _as_json(
        (
            ("file", {"is": "data of an account", "made_at": at}),
            ("account", _account(account, at=at)),
            ("members", _rows(_member(row) for row in _places(account=account))),
            ("invitations", _rows(_invitation(row) for row in invitations.order_by("pk"))),
            ("keys", _keys(ApiKey.objects.filter(account=account).select_related("account"))),
            ("webhooks", _rows(_webhook(row) for row in endpoints)),
            (
                "subscriptions",
                _rows(_subscription(row) for row in Subscription.objects.filter(account=account)),
            ),
            ("auto_top_up", _rows(_top_up(row) for row in _top_ups(account))),
            (
                "purchases",
                _named(exporting.HEAD, exporting.rows(Purchase.objects.filter(account=account))),
            ),
            (
                "credits",
                _named(
                    statement.EXPORTED,
                    statement.exported(account, kind="", since=None, until=None),
                ),
            ),
            ("boosts", _rows(_boost(row) for row in boosts)),
            (
                "audit_log",
                _named(
                    audit_page.EXPORTED,
                    audit_page.rows(AuditEvent.objects.filter(account=account)),
                ),
            ),
        )
    )


def _as_json(parts: Iterable[Part]) -> Iterator[str]:
    """One object, whose lists are written while they are read."""
    before = "{\n"
    for name, content in parts:
        yield f"{before}{json.dumps(name)}: "
        before = ",\n"
        if isinstance(content, Mapping):
            yield _text(content)
            continue
        yield "["
        between = "\n"
        for some in content:
            if some:
                yield between + ",\n".join(_text(row) for row in some)
                between = ",\n"
        yield "]"
    yield "\n}\n"


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False)


def _rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """What is never many, at once."""
    yield list(rows)


def _named(
    head: Sequence[str], parts: Iterable[Iterable[Sequence[object]]]
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Rows of a table by the names of its columns."""
    for some in parts:
        yield [dict(zip(head, row, strict=True)) for row in some]


def _keys(keys: QuerySet[ApiKey]) -> Iterator[Sequence[Mapping[str, Any]]]:
    last = 0
    while True:
        some = list(keys.filter(pk__gt=last).order_by("pk")[:_AT_ONCE])
        yield [_key(key) for key in some]
        if len(some) < _AT_ONCE:
            return
        last = some[-1].pk


def _key(key: ApiKey) -> Mapping[str, Any]:
    return {
        "account": key.account.handle,
        "name": key.name,
        "masked": key.masked,
        "scopes": list(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "disabled_at": key.disabled_at,
        "revoked_at": key.revoked_at,
        "revoke_note": key.revoke_note,
    }


def _places(**whose: User | Account) -> QuerySet[Membership]:
    return Membership.objects.filter(**whose).select_related("account", "user").order_by("pk")


def _person(user: User) -> Mapping[str, Any]:
    return {
        "email": user.email,
        "name": user.name,
        "language": user.language or user.browser_language,
        "joined_at": user.date_joined,
        "last_signed_in_at": user.last_login,
        "has_password": user.has_usable_password(),
    }


def _address(row: EmailAddress) -> Mapping[str, Any]:
    return {"email": row.email, "primary": row.primary, "confirmed": row.verified}


def _factor(row: Authenticator) -> Mapping[str, Any]:
    """That there is one. What it holds is a secret."""
    return {"kind": row.type, "added_at": row.created_at, "last_used_at": row.last_used_at}


def _place(row: Membership) -> Mapping[str, Any]:
    return {
        "account": row.account.handle,
        "name": row.account.name,
        "personal": row.account.is_personal,
        "role": row.role,
        "since": row.created_at,
        "closed_at": row.account.closed_at,
    }


def _mail(row: Membership) -> Mapping[str, Any]:
    return {"account": row.account.handle, "mail_about": sorted(raising.mail_kinds_of(row))}


def _session(row: UserSession) -> Mapping[str, Any]:
    """Without its number, which opens it."""
    return {
        "began_at": row.created_at,
        "seen_at": row.last_seen_at,
        "ip": row.ip,
        "client": row.user_agent,
    }


def _account(account: Account, *, at: datetime) -> Mapping[str, Any]:
    return {
        "handle": account.handle,
        "name": account.name,
        "personal": account.is_personal,
        "created_at": account.created_at,
        "closed_at": account.closed_at,
        "plan": entitlements.plan_of(account, at=at).name,
        "credits": statement.balance_of(account),
    }


def _member(row: Membership) -> Mapping[str, Any]:
    return {
        "email": row.user.email,
        "name": row.user.name,
        "role": row.role,
        "since": row.created_at,
    }


def _invitation(row: Invitation) -> Mapping[str, Any]:
    return {
        "email": row.email,
        "role": row.role,
        "invited_by": row.invited_by.email if row.invited_by else None,
        "sent_at": row.sent_at,
        "state": row.state,
        "answered_at": row.answered_at,
    }


def _webhook(row: WebhookEndpoint) -> Mapping[str, Any]:
    return {
        "url": row.url,
        "on": row.is_on,
        "created_at": row.created_at,
        "removed_at": row.removed_at,
    }


def _subscription(row: Subscription) -> Mapping[str, Any]:
    return {
        "plan": row.plan.name if row.plan else None,
        "interval": row.interval,
        "amount_cents": row.amount_cents,
        "currency": row.currency,
        "seats": row.quantity,
        "status": row.status,
        "began_at": row.created_at,
        "period_starts_at": row.starts_at,
        "period_ends_at": row.renews_at,
        "ended_at": row.ended_at,
    }


def _top_ups(account: Account) -> QuerySet[AutoTopUp]:
    return AutoTopUp.objects.filter(account=account).select_related("product")


def _top_up(row: AutoTopUp) -> Mapping[str, Any]:
    return {
        "on": row.is_on,
        "below_credits": row.below_credits,
        "pack": row.product.name if row.product else None,
        "month_cents": row.month_cents,
        "card": row.card,
    }


def _boost(row: statement.LivedBoost) -> Mapping[str, Any]:
    return {
        "chats": row.chats,
        "spent": row.spent,
        "starts_at": row.starts_at,
        "ends_at": row.expires_at,
    }
