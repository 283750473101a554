"""Members, as staff change them in the admin: with an owner left, and written down like all else.

Taking the last person out of an account is the way of staff to end its access, and stays open.
"""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts import audit
from accounts.models import Account, Membership, User
from accounts.roles import Role


class MembershipFormSet(forms.BaseInlineFormSet[Membership, Any, Any]):
    """The members of an account, or the accounts of a person."""

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        rows = {form.instance.pk: form for form in self.initial_forms}
        touched = {form.instance.account_id for form in self.initial_forms}
        # Held until the page is saved: of two members of staff the second sees what the first did.
        held = Account.objects.select_for_update().filter(pk__in=touched - {None}).order_by("pk")
        for account in list(held):
            had, members, owners = False, 0, 0
            for member in Membership.objects.filter(account=account):
                had = had or member.role == Role.OWNER
                form = rows.get(member.pk)
                said: dict[str, Any] = form.cleaned_data if form else {}
                if said.get("DELETE") or said.get("account", account) != account:
                    continue
                members += 1
                owners += said.get("role", member.role) == Role.OWNER
            for form in self.extra_forms:
                said = form.cleaned_data
                if said and not said.get("DELETE") and said.get("account", account) == account:
                    members += 1
                    owners += said["role"] == Role.OWNER
            if had and members and not owners:
                words = _(
                    "%(account)s would have members and no owner. Make one of them the owner."
                )
                raise ValidationError(words % {"account": account})


def record(formset: MembershipFormSet) -> None:
    """Write down what a page changed, in its transaction."""
    for member in formset.new_objects:
        _joined(member)
    for member, changed in formset.changed_objects:
        before = next(form.initial for form in formset.forms if form.instance.pk == member.pk)
        if {"user", "account"} & set(changed):
            _left(
                Account.objects.get(pk=before["account"]),
                User.objects.get(pk=before["user"]),
                str(before["role"]),
            )
            _joined(member)
        elif "role" in changed:
            _record(member.account, "role changed", member.user, before["role"], member.role)
    for member in formset.deleted_objects:
        _left(member.account, member.user, member.role)


def record_deletion(users: Iterable[User]) -> None:
    """Write down that people who are about to be deleted are in no account any more."""
    for member in Membership.objects.filter(user__in=users).select_related("account", "user"):
        _left(member.account, member.user, member.role)


def owned_alone(users: Iterable[User]) -> list[Account]:
    """Accounts that would be left with members and no owner, were these people deleted."""
    leaving = [user.pk for user in users]
    owned = Account.objects.filter(memberships__in=_owners().filter(user__in=leaving))
    with_others = owned.filter(
        pk__in=Membership.objects.exclude(user__in=leaving).values("account")
    )
    safe = _owners().exclude(user__in=leaving).values("account")
    return list(with_others.exclude(pk__in=safe).distinct().order_by("pk"))


def _owners() -> Any:
    return Membership.objects.filter(role=Role.OWNER)


def _joined(member: Membership) -> None:
    _record(member.account, "joined", member.user, None, member.role)


def _left(account: Account, user: User, role: str) -> None:
    _record(account, "removed", user, role, None)


def _record(account: Account, act: str, user: User, before: str | None, after: str | None) -> None:
    changes: dict[str, tuple[object, object]] = {"role": (before, after)}
    audit.record(account, audit.Kind.PEOPLE, act, thing=user.email, changes=changes)
