"""Who is in an account, and as what: changed here, with an owner left whatever happens.

Every act takes the lock of the account first and reads afterwards what there is: of two owners who
leave at once, one stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Act, Role, may, may_give
from gate.terms.budget import Budget


class CannotChangePeople(Exception):
    """Nothing was changed; the message says why, to who asked for it."""


def rename(*, account: Account, name: str, by: User) -> bool:
    """Give an account another name; answers whether it is another one."""
    with _held(account) as held:
        before, held.name = held.name, name
        held.save(update_fields=["name"])
        has_changed = before != held.name
        if has_changed:
            changes: dict[str, tuple[object, object]] = {"name": (before, held.name)}
            _record(held, "renamed", changes=changes, by=by)
    return has_changed


def change_role(*, account: Account, user_id: int, role: str, by: User) -> bool:
    """Make a member something else; answers whether they are. Raises CannotChangePeople."""
    with _held(account) as held:
        actor, member = _actor(held, by), _member(held, user_id)
        if not (may_give(actor, member.role) and may_give(actor, role)):
            raise CannotChangePeople(_("Only an owner decides who is one."))
        if member.role == role:
            return False
        _keep_an_owner(without=member)
        before, member.role = member.role, role
        member.save(update_fields=["role"])
        changes: dict[str, tuple[object, object]] = {"role": (before, member.role)}
        _record(held, "role changed", thing=member.user.email, changes=changes, by=by)
    return True


def change_budget(*, account: Account, user_id: int, budget: Budget, by: User) -> bool:
    """Say what all keys of a member may use together; answers whether it is different.

    Raises CannotChangePeople.
    """
    with _held(account) as held:
        actor, member = _actor(held, by), _member(held, user_id)
        if not may(actor, Act.CHANGE_BUDGETS) or not may_give(actor, member.role):
            raise CannotChangePeople(_("Only an owner decides what an owner may use."))
        before = member.budget
        if before == budget:
            return False
        member.daily_cap, member.weekly_cap = budget.a_day, budget.a_week
        member.monthly_cap = budget.a_month
        member.save(update_fields=["daily_cap", "weekly_cap", "monthly_cap"])
        changes = _of_budget(before, budget)
        _record(held, "budget changed", thing=member.user.email, changes=changes, by=by)
    return True


def change_new_budget(*, account: Account, budget: Budget, by: User) -> bool:
    """Say what all keys of whoever joins from now on may use; answers whether it is different.

    Raises CannotChangePeople.
    """
    with _held(account) as held:
        before = held.new_budget
        if before == budget:
            return False
        held.member_daily_cap, held.member_weekly_cap = budget.a_day, budget.a_week
        held.member_monthly_cap = budget.a_month
        held.save(update_fields=["member_daily_cap", "member_weekly_cap", "member_monthly_cap"])
        _record(held, "new budget changed", changes=_of_budget(before, budget), by=by)
    return True


def _of_budget(before: Budget, after: Budget) -> dict[str, tuple[object, object]]:
    return {
        "daily_cap": (before.a_day, after.a_day),
        "weekly_cap": (before.a_week, after.a_week),
        "monthly_cap": (before.a_month, after.a_month),
    }


def remove(*, account: Account, user_id: int, by: User, at: datetime) -> str:
    """Take a member out, who has no access from then on; answers what they are called.

    The keys that they made stay the account's. Raises CannotChangePeople.
    """
    with _held(account) as held:
        actor, member = _actor(held, by), _member(held, user_id)
        if not may_give(actor, member.role):
            raise CannotChangePeople(_("Only an owner decides who is one."))
        _part(held, member, "removed", by=by, at=at)
    return member.user.get_full_name()


def leave(*, account: Account, by: User, at: datetime) -> None:
    """Go. Raises CannotChangePeople for the last owner."""
    with _held(account) as held:
        _part(held, _actor(held, by), "left", by=by, at=at)


def hand_over(*, account: Account, user_id: int, by: User) -> str:
    """Make a member the owner, and oneself an admin; answers what the new one is called.

    Raises CannotChangePeople.
    """
    with _held(account) as held:
        actor, member = _actor(held, by), _member(held, user_id)
        if not may(actor, Act.CHANGE_OWNERS):
            raise CannotChangePeople(_("Only an owner decides who is one."))
        if member.pk == actor.pk:
            raise CannotChangePeople(_("You own it already."))
        if not member.user.is_active:
            raise CannotChangePeople(_("This person cannot sign in, and so cannot own it."))
        member.role, actor.role = Role.OWNER, Role.ADMIN
        member.save(update_fields=["role"])
        actor.save(update_fields=["role"])
        changes: dict[str, tuple[object, object]] = {"owner": (by.email, member.user.email)}
        _record(held, "handed over", thing=member.user.email, changes=changes, by=by)
    return member.user.get_full_name()


def _part(held: Account, member: Membership, act: str, *, by: User, at: datetime) -> None:
    _keep_an_owner(without=member)
    # Whom they asked in comes in no more: it may be they themselves, by another address.
    asked = Invitation.objects.filter(
        account=held, invited_by=member.user_id, state=Invitation.State.OPEN
    )
    for invitation in asked:
        invitation.answer(Invitation.State.WITHDRAWN, at=at)
        _record(held, "invitation withdrawn", thing=invitation.email, by=by)
    changes: dict[str, tuple[object, object]] = {"role": (member.role, None)}
    member.delete()
    _record(held, act, thing=member.user.email, changes=changes, by=by)


def is_last_owner(member: Membership) -> bool:
    """Whether nobody else owns the account who can sign in."""
    if member.role != Role.OWNER:
        return False
    owners = Membership.objects.filter(
        account=member.account_id, role=Role.OWNER, user__is_active=True
    )
    return not owners.exclude(pk=member.pk).exists()


def _keep_an_owner(*, without: Membership) -> None:
    if is_last_owner(without):
        raise CannotChangePeople(
            _("An account needs an owner who can sign in. Make somebody else an owner first.")
        )


@contextmanager
def _held(account: Account) -> Iterator[Account]:
    with transaction.atomic():
        held = Account.objects.select_for_update().get(pk=account.pk)
        if held.closed_at is not None:
            raise CannotChangePeople(_("This account is closed."))
        yield held


def _actor(held: Account, by: User) -> Membership:
    """Whoever acts, as they are now: they may have been removed a moment ago."""
    found = _members(held).filter(user=by).first()
    if found is None:
        raise CannotChangePeople(_("You are no longer a member of this account."))
    return found


def _member(held: Account, user_id: int) -> Membership:
    found = _members(held).filter(user=user_id).first()
    if found is None:
        raise CannotChangePeople(_("This person is no longer a member of this account."))
    return found


def _members(held: Account) -> QuerySet[Membership]:
    return Membership.objects.filter(account=held).select_related("user")


def _record(
    account: Account,
    act: str,
    *,
    by: User,
    thing: str = "",
    changes: dict[str, tuple[object, object]] | None = None,
) -> None:
    audit.record(account, audit.Kind.PEOPLE, act, thing=thing, changes=changes, by=by)
