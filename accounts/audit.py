"""What was done for an account, by whom and from where: written with the act, never changed.

Whatever changes access, money or limits calls `record` in the transaction that does it, so that
neither is there without the other.
"""

from collections.abc import Mapping
from datetime import datetime

from accounts.acting import Via, acting_now
from accounts.models import Account, AuditEvent, User
from gate.terms.redaction import redact

_CLIENT_AT_MOST, _THING_AT_MOST, _VALUE_AT_MOST = 200, 200, 300

Kind = AuditEvent.Kind


def record(
    account: Account,
    kind: AuditEvent.Kind,
    act: str,
    *,
    thing: str = "",
    changes: Mapping[str, tuple[object, object]] | None = None,
    by: User | None = None,
    at: datetime | None = None,
    note: str = "",
) -> AuditEvent:
    """Write down that something was done.

    act: a word of `accounts.audit_words`; thing: to what, as people call it; changes: what is
    different by name, before and after; by: who, where that is said otherwise than by who acts now.
    """
    who = acting_now()
    # A program acts for the account, whoever made its key.
    user = None if who.via is Via.KEY else by or who.user()
    said = {} if at is None else {"created_at": at}
    return AuditEvent.objects.create(
        account=account,
        kind=kind,
        act=act,
        thing=_clean(thing, _THING_AT_MOST),
        changes=[
            [name, _text(before), _text(after)]
            for name, (before, after) in (changes or {}).items()
            if _text(before) != _text(after)
        ],
        note=_clean(note, _THING_AT_MOST),
        via=who.via if who.via is not Via.ITSELF or by is None else Via.PAGE,
        user=user if isinstance(user, User) else None,
        user_name=user.email if isinstance(user, User) else who.name,
        ip=who.ip or None,
        client=_clean(who.client, _CLIENT_AT_MOST),
        **said,
    )


def _text(value: object) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, list | tuple):
        return _clean(", ".join(map(str, value)), _VALUE_AT_MOST)
    return _clean(str(value), _VALUE_AT_MOST)


def _clean(text: str, at_most: int) -> str:
    """Never a secret, whoever put it there, and nothing without an end."""
    text = redact(text)
    return text if len(text) <= at_most else text[: at_most - 1] + "…"
