"""Who may act for an account: its members who may sign in. Without any, access has ended.

Nobody may act for an account that was closed, whoever is in it still.
"""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import Account, Membership, User

_ACTING = Membership.objects.filter(
    account=OuterRef("pk"), account__closed_at=None, user__is_active=True
)


def attended(account_ids: Iterable[int]) -> set[int]:
    """Those of the accounts that somebody may act for."""
    rows = Membership.objects.filter(
        account__in=account_ids, account__closed_at=None, user__is_active=True
    )
    return set(rows.values_list("account_id", flat=True))


def accounts_of(users: Iterable[User]) -> set[int]:
    """The accounts that any of the users is a member of."""
    rows = Membership.objects.filter(user__in=[user.pk for user in users])
    return set(rows.values_list("account_id", flat=True))


def accounts_that_need(users: Iterable[User]) -> QuerySet[Account]:
    """The accounts that nobody else may act for: without these users their access ends."""
    leaving = [user.pk for user in users]
    return Account.objects.filter(
        Exists(_ACTING.filter(user__in=leaving)), ~Exists(_ACTING.exclude(user__in=leaving))
    ).order_by("pk")


def is_attended() -> Exists:
    """A condition on accounts: somebody may act for it."""
    return Exists(_ACTING)
