"""Asking somebody in by mail. What the mail leads to opens nothing without the address it went to.

The secret in the mail finds the invitation; it is kept as a digest, and another one is made when
the mail is sent again. Only who is signed in with the address, and has confirmed it, can accept.
"""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts import audit
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import may_give
from accounts.site_address import site_address

LASTS = timedelta(days=7)
# Mail to strangers, by whoever signed up a minute ago.
OPEN_AT_MOST, A_DAY_AT_MOST = 50, 100
_AGAIN_AFTER = timedelta(minutes=1)
# `gate.terms.redaction` knows it by that.
_PREFIX = "inv_"
State = Invitation.State


class CannotInvite(Exception):
    """Nothing was sent or changed; the message says why, to who asked for it."""


class NoSeatLeft(CannotInvite):
    """The plan is for so many people, and they are there or invited."""


class CannotAccept(Exception):
    """Nothing was changed; the message says why, to who was invited."""


def open_of(account: Account) -> list[Invitation]:
    """Those that nobody answered yet, the newest first; some may have expired."""
    rows = Invitation.objects.filter(account=account, state=State.OPEN)
    return list(rows.select_related("invited_by").order_by("-sent_at", "-pk"))


def seats_taken(account: Account, *, at: datetime) -> int:
    """Members, and those who may still become one."""
    asked = Invitation.objects.filter(account=account, state=State.OPEN, expires_at__gt=at)
    return Membership.objects.filter(account=account).count() + asked.count()


def invite(
    *, account: Account, email: str, role: str, by: User, seats: int | None, at: datetime
) -> Invitation:
    """Ask somebody in by mail. seats: how many people the plan is for; None is any number.

    Raises CannotInvite.
    """
    with transaction.atomic():
        held = Account.objects.select_for_update().get(pk=account.pk)
        _check_right(held, by, role)
        if _is_member(held, email):
            raise CannotInvite(_("%(email)s is a member already.") % {"email": email})
        asked = Invitation.objects.filter(account=held, state=State.OPEN)
        before = asked.filter(email__iexact=email).first()
        if before is not None and not before.is_expired(at=at):
            raise CannotInvite(
                _("%(email)s is invited already. Send it again below.") % {"email": email}
            )
        if asked.count() >= OPEN_AT_MOST:
            raise CannotInvite(_("Too many invitations are open. Withdraw one first."))
        _check_seats(held, seats, at=at)
        invitation = before or Invitation(account=held, email=email)
        invitation.role, invitation.created_at = role, at
        _send(invitation, by=by, at=at)
        _record(held, "invited", invitation, by=by)
    return invitation


def invite_again(*, invitation: Invitation, by: User, seats: int | None, at: datetime) -> None:
    """Send the mail once more, with another secret, for 7 more days. Raises CannotInvite."""
    with transaction.atomic():
        held, found = _held(invitation)
        if found.state != State.OPEN:
            raise CannotInvite(_("This invitation was answered or withdrawn meanwhile."))
        _check_right(held, by, found.role)
        if at - found.sent_at < _AGAIN_AFTER:
            raise CannotInvite(_("It was sent a moment ago. Give it a minute."))
        if found.is_expired(at=at):
            _check_seats(held, seats, at=at)
        _send(found, by=by, at=at)
        _record(held, "invited again", found, by=by)


def withdraw(*, invitation: Invitation, by: User, at: datetime) -> None:
    """Take it back: the mail leads to nothing any more. Raises CannotInvite."""
    with transaction.atomic():
        held, found = _held(invitation)
        if found.state != State.OPEN:
            raise CannotInvite(_("This invitation was answered or withdrawn meanwhile."))
        _check_right(held, by, found.role)
        found.answer(State.WITHDRAWN, at=at)
        _record(held, "invitation withdrawn", found, by=by)


@sensitive_variables("secret")
def found_by(secret: str) -> Invitation | None:
    """The invitation that a mail leads to."""
    return Invitation.objects.filter(digest=digest_of(secret)).first()


def why_not(invitation: Invitation, *, at: datetime) -> str:
    """Why it cannot be answered any more: "" where it can, else a state or “expired”."""
    if invitation.is_expired(at=at):
        return "expired"
    return "" if invitation.state == State.OPEN else invitation.state


def is_for(invitation: Invitation, user: User) -> bool:
    """Whether it went to an address of theirs that they confirmed."""
    addresses = EmailAddress.objects.filter(user=user, verified=True)
    return bool(addresses.filter(email__iexact=invitation.email).exists())


def accept(*, invitation: Invitation, user: User, seats: int | None, at: datetime) -> Membership:
    """Become a member. Raises CannotAccept."""
    with transaction.atomic():
        held, found = _held(invitation)
        if why_not(found, at=at) or not is_for(found, user):
            raise CannotAccept(_("This invitation cannot be accepted any more."))
        member = Membership.objects.filter(account=held, user=user).first()
        if member is None:
            # It counted itself when it was sent; the plan may be for fewer since.
            if seats is not None and Membership.objects.filter(account=held).count() >= seats:
                raise CannotAccept(
                    _("Every seat of the team’s plan is taken. Ask who invited you for one more.")
                )
            member = Membership.objects.create(
                account=held,
                user=user,
                role=found.role,
                daily_cap=held.member_daily_cap,
                weekly_cap=held.member_weekly_cap,
                monthly_cap=held.member_monthly_cap,
            )
            _record(held, "joined", found, by=user)
        found.answer(State.ACCEPTED, at=at)
    return member


def decline(*, invitation: Invitation, user: User, at: datetime) -> None:
    """Say no. Raises CannotAccept where there is nothing to answer any more."""
    with transaction.atomic():
        held, found = _held(invitation)
        if why_not(found, at=at) or not is_for(found, user):
            raise CannotAccept(_("This invitation cannot be answered any more."))
        found.answer(State.DECLINED, at=at)
        _record(held, "invitation declined", found, by=user)


def withdraw_all(account: Account, *, by: User, at: datetime) -> int:
    """Take back every one that is open, of an account that the caller holds; answers how many."""
    open_ones = open_of(account)
    for invitation in open_ones:
        invitation.answer(State.WITHDRAWN, at=at)
        _record(account, "invitation withdrawn", invitation, by=by)
    return len(open_ones)


def _held(invitation: Invitation) -> tuple[Account, Invitation]:
    """Under the lock of the account, as every change of its people."""
    held = Account.objects.select_for_update().get(pk=invitation.account_id)
    return held, Invitation.objects.get(pk=invitation.pk)


def _check_right(held: Account, by: User, role: str) -> None:
    actor = Membership.objects.filter(account=held, user=by).first()
    if held.closed_at is not None or actor is None or not may_give(actor, role):
        raise CannotInvite(_("You may not ask anybody in as that."))


def _is_member(held: Account, email: str) -> bool:
    has_address = Q(user__email__iexact=email) | Q(
        user__in=EmailAddress.objects.filter(email__iexact=email, verified=True).values("user")
    )
    return Membership.objects.filter(has_address, account=held).exists()


def _check_seats(held: Account, seats: int | None, *, at: datetime) -> None:
    if seats is not None and seats_taken(held, at=at) >= seats:
        raise NoSeatLeft(
            _(
                "Every seat of the plan is taken or promised. Buy one more, remove somebody, or "
                "withdraw an invitation."
            )
        )


@sensitive_variables("secret")
def _send(invitation: Invitation, *, by: User, at: datetime) -> None:
    day = Invitation.objects.filter(invited_by=by, sent_at__gt=at - timedelta(days=1))
    if day.count() >= A_DAY_AT_MOST:
        raise CannotInvite(
            _("You have invited as many people today as anybody may. Go on tomorrow.")
        )
    secret = _PREFIX + secrets.token_hex(24)
    invitation.digest = digest_of(secret)
    invitation.invited_by, invitation.sent_at, invitation.expires_at = by, at, at + LASTS
    invitation.save()
    context = {
        "user": User.objects.filter(email__iexact=invitation.email).first(),
        "invitation": invitation,
        "inviter": by.get_full_name(),
        "inviter_email": by.email,
        "url": site_address(reverse("invitation_open", args=[secret])),
    }
    get_adapter().send_mail("team/email/invitation", invitation.email, context)


@sensitive_variables("secret")
def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).decode().rstrip("=")


def _record(held: Account, act: str, invitation: Invitation, *, by: User) -> None:
    changes: dict[str, tuple[object, object]] = {"role": (None, invitation.role)}
    audit.record(
        held,
        audit.Kind.PEOPLE,
        act,
        thing=invitation.email,
        changes=changes if act in {"invited", "joined"} else None,
        by=by,
    )
