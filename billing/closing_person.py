"""Closing one's own sign-in: the personal account is closed with it, teams go on without one.

Keys that somebody made for a team stay the team's, and what they did stays written down there.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts import people
from accounts.models import Account, Membership, User
from billing import closing
from billing.closing import CannotClose, CannotConfirm

_IS_STAFF = _("Staff are removed by other staff, in the admin.")
_LAST_OWNER = _("Nobody else owns %(account)s. Make somebody else an owner first, or close it.")


def own_account_of(user: User) -> Account | None:
    """The account that came with them, and goes with them; None where it is closed or another's."""
    places = _owned(user).filter(account__is_personal=True)
    first = places.order_by("pk").first()
    return first.account if first and people.is_last_owner(first) else None


def hindering(user: User) -> list[Account]:
    """Teams that would be left without an owner."""
    places = _owned(user).filter(account__is_personal=False)
    return [place.account for place in places.order_by("pk") if people.is_last_owner(place)]


def close(*, user: User, at: datetime) -> bool:
    """Delete somebody who asks for it; answers whether the gate knows of their account already.

    Raises CannotClose where nothing was done.
    """
    if user.is_staff:
        raise CannotClose(_IS_STAFF)
    if first := next(iter(hindering(user)), None):
        raise CannotClose(_LAST_OWNER % {"account": first.name})
    is_confirmed = True
    account = own_account_of(user)
    if account is not None:
        try:
            closing.close(account=account, by=user, at=at)
        except CannotConfirm:
            is_confirmed = False
    with transaction.atomic():
        rest = Membership.objects.filter(user=user, account__closed_at=None)
        for place in list(rest.select_related("account").order_by("account")):
            try:
                people.leave(account=place.account, by=user, at=at)
            except people.CannotChangePeople as error:
                raise CannotClose(str(error)) from error
        user.delete()
    return is_confirmed


def _owned(user: User) -> QuerySet[Membership]:
    owned = Membership.objects.filter(user=user, role=Membership.Role.OWNER)
    return owned.filter(account__closed_at=None).select_related("account")
