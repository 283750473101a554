"""Access that ends with the last person who may act for an account, and returns with the next.

PostgreSQL raises the version of an account's entitlement whenever its people change (a trigger, so
that no way of removing somebody can forget it), and the snapshot says whether anybody is left. Here
the gate is told at once; what it does not confirm is repeated every second, like every projection.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import F
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.access import attended
from accounts.models import Account
from keys.models import ApiKey
from quotas import projection
from quotas.models.entitlements import Entitlement

_NAMES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class AccessChange:
    """What a change of people did to accounts, after it was committed."""

    ended: list[Account]
    returned: list[Account]
    unconfirmed: list[Account]  # of either, those that the gate does not know of yet


def access_of(account_ids: Iterable[int]) -> dict[int, bool]:
    """Whether somebody may act, by account."""
    ids = set(account_ids)
    with_people = attended(ids)
    return {account_id: account_id in with_people for account_id in ids}


def bring_to_gate(before: Mapping[int, bool]) -> AccessChange:
    """Tell the gate how access has changed since `before`; answers when it has, or has not."""
    pending = Entitlement.objects.filter(account__in=before, pushed_version__lt=F("version"))
    unconfirmed = {
        entitlement.account_id
        for entitlement in pending.select_related("account").order_by("pk")
        if not projection.push(entitlement.account)
    }
    after = attended(before)
    changed = [pk for pk, had_people in before.items() if had_people != (pk in after)]
    accounts = list(Account.objects.filter(pk__in=changed).order_by("pk"))
    return AccessChange(
        ended=[account for account in accounts if account.pk not in after],
        returned=[account for account in accounts if account.pk in after],
        unconfirmed=[account for account in accounts if account.pk in unconfirmed],
    )


def keys_in_words(accounts: Iterable[Account]) -> dict[int, str]:
    """The keys that requests could still be made with, for people who decide; by account."""
    names: dict[int, list[str]] = {account.pk: [] for account in accounts}
    keys = ApiKey.objects.filter(account__in=names, revoked_at=None).order_by("pk")
    for account_id, name in keys.values_list("account_id", "name"):
        names[account_id].append(name)
    return {account_id: _in_words(of_account) for account_id, of_account in names.items()}


def _in_words(names: list[str]) -> str:
    if not names:
        return _("no active keys")
    shown = ", ".join(_("“%(name)s”") % {"name": name} for name in names[:_NAMES_SHOWN])
    count, more = len(names), len(names) - _NAMES_SHOWN
    if more > 0:
        words = ngettext(
            "%(count)s active keys: %(names)s and %(more)s more",
            "%(count)s active keys: %(names)s and %(more)s more",
            more,
        )
        return words % {"count": count, "names": shown, "more": more}
    words = ngettext("%(count)s active key: %(names)s", "%(count)s active keys: %(names)s", count)
    return words % {"count": count, "names": shown}
