"""What people are mailed about keys: that one was made, rotated or revoked, each in their language.

In the transaction of whoever does it: there is no mail without the act, and no act without its
mail. Nobody chooses whether to get these. A mail names a key as pages show it, never its text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts import audit, language, mails
from accounts.models import Account, AuditEvent, Membership, User
from accounts.roles import Act, may
from accounts.site_address import site_address
from keys.models import ApiKey

# A team may be large; who answers for it is not.
_AT_MOST = 20
# Whoever makes or revokes keys by the hundred knows it by then, and the audit log has them all.
MAILS_AN_HOUR = 10
# The acts of the audit log that are mailed about; what was leaked has a mail of its own, always.
_MAILED = ("created", "rotated", "revoked")


@dataclass(frozen=True, slots=True)
class Told:
    """A mail, in the language of who reads it. facts: a line each; url: where `action` leads."""

    heading: str
    facts: Sequence[str]
    sentences: Sequence[str]
    action: str
    url: str


def tell_created(key: ApiKey, event: AuditEvent) -> None:
    """Mail that a key was made."""
    _tell_of(key, event, _created)


def tell_rotated(key: ApiKey, event: AuditEvent) -> None:
    """Mail that a key has another secret."""
    _tell_of(key, event, _rotated)


def tell_revoked(key: ApiKey, event: AuditEvent) -> None:
    """Mail that a key was revoked."""
    _tell_of(key, event, _revoked)


def who_answers_for(key: ApiKey) -> Sequence[Membership]:
    """Owners and admins of the account, and who made the key while they may still see keys."""
    answering = Q(role__in=[Membership.Role.OWNER, Membership.Role.ADMIN])
    members = Membership.objects.filter(
        answering | Q(user=key.created_by_id), account=key.account_id, user__is_active=True
    )
    members = members.select_related("user").order_by("pk")[:_AT_MOST]
    return [member for member in members if may(member, Act.SEE_KEYS)]


def mail_to(person: User, account: Account, write: Callable[[], Told]) -> None:
    """Send one person one mail, in their language."""
    with language.spoken_to(person):
        told = write()
        context = {"told": told, "account": account}
        subject = f"{told.heading} · {account.name}"
        mails.written("keys/email/told", context, subject=subject, to=person.email).send()


def _tell_of(key: ApiKey, event: AuditEvent, words: Callable[[ApiKey, AuditEvent], Told]) -> None:
    mailed = AuditEvent.objects.filter(
        account=key.account_id,
        kind=audit.Kind.KEY,
        act__in=_MAILED,
        created_at__gt=event.created_at - timedelta(hours=1),
        created_at__lte=event.created_at,
    )
    # This one is among them.
    count = mailed[: MAILS_AN_HOUR + 1].count()
    if count > MAILS_AN_HOUR:
        return

    def write() -> Told:
        told = words(key, event)
        if count < MAILS_AN_HOUR:
            return told
        return Told(
            told.heading, told.facts, [*told.sentences, _more()], action=told.action, url=told.url
        )

    for member in who_answers_for(key):
        mail_to(member.user, key.account, write)


def _more() -> str:
    return _(
        "That makes %(count)s mails about keys within an hour. We send no more of them for now; "
        "the audit log of the account has everything."
    ) % {"count": MAILS_AN_HOUR}


def _created(key: ApiKey, event: AuditEvent) -> Told:
    limits = key.limits_in_words
    return Told(
        heading=_("Key “%(name)s” was created") % {"name": key.name},
        facts=[
            *_facts(key, event),
            *([_("Limits: %(limits)s") % {"limits": limits}] if limits else []),
        ],
        sentences=[
            _("Whoever has this key can use the account with it. We never send the key itself."),
            _(
                "If neither you nor your team made it, revoke it at once, change your password, "
                "and look through the sessions that are signed in."
            ),
        ],
        action=_("Look at this key"),
        url=key_address(key),
    )


def _rotated(key: ApiKey, event: AuditEvent) -> Told:
    ends = key.former_works_until
    if ends is None:
        of_before = _("The secret before it is refused. A program that used it needs the new one.")
    else:
        of_before = _("The secret before it, …%(last_four)s, works until %(moment)s UTC.") % {
            "last_four": key.former_last_four,
            "moment": date_format(ends, "DATETIME_FORMAT"),
        }
    return Told(
        heading=_("Key “%(name)s” has a new secret") % {"name": key.name},
        facts=_facts(key, event),
        sentences=[
            of_before,
            _(
                "If neither you nor your team did it, revoke the key at once, change your "
                "password, and look through the sessions that are signed in."
            ),
        ],
        action=_("Look at this key"),
        url=key_address(key),
    )


def _revoked(key: ApiKey, event: AuditEvent) -> Told:
    why = key.why_revoked
    return Told(
        heading=_("Key “%(name)s” was revoked") % {"name": key.name},
        facts=[*_facts(key, event), *([_("Why: %(reason)s") % {"reason": why}] if why else [])],
        sentences=[
            _("Every request with it is refused, for good. A program that used it needs another."),
            _(
                "If neither you nor your team revoked it, change your password, and look through "
                "the sessions that are signed in."
            ),
        ],
        action=_("Your keys"),
        url=site_address(reverse("keys")),
    )


def key_address(key: ApiKey) -> str:
    """Where a mail leads that is about one key."""
    return site_address(reverse("key_edit", args=[key.pk]))


def _facts(key: ApiKey, event: AuditEvent) -> Sequence[str]:
    way = "" if event.via == AuditEvent.Via.PAGE else event.get_via_display()
    who = " · ".join(filter(None, [event.user_name, way]))
    facts = [
        _("Key: %(masked)s") % {"masked": key.masked},
        _("When: %(moment)s UTC") % {"moment": date_format(event.created_at, "DATETIME_FORMAT")},
    ]
    if who:
        facts.append(_("Who: %(who)s") % {"who": who})
    if event.ip:
        facts.append(_("From the address: %(address)s") % {"address": event.ip})
    return facts
