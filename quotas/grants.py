"""The seam: everything that changes what an account may use goes through here.

A grant names its `source_ref`; giving it twice changes nothing. Each change raises the version of
the account's entitlement in the same transaction, and the gate is told right after commit. If that
fails, the difference between `version` and `pushed_version` is the reminder, and it is repeated.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from accounts.models import Account, User
from quotas import projection
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Entitlement, Pack, Plan

# For whoever grants: the models of the ledger are for its own room.
CreditKind = CreditEntry.Kind


class CannotSwitchPack(Exception):
    """The account's plan does not include the pack."""


def grant_boost(
    *,
    account: Account,
    chats: int,
    at: datetime,
    expires_at: datetime,
    source_ref: str,
    by: User | None = None,
    note: str = "",
) -> Boost:
    """Give chats on top of the allowance until `expires_at`, once per `source_ref`."""
    with transaction.atomic():
        _lock(account)
        boost, is_new = Boost.objects.get_or_create(
            source_ref=source_ref,
            defaults={
                "account": account,
                "chats": chats,
                "starts_at": at,
                "expires_at": expires_at,
                "granted_by": by,
                "note": note,
            },
        )
        if is_new:
            _changed(account)
    return boost


def grant_credits(
    *,
    account: Account,
    credits: int,
    kind: CreditKind,
    at: datetime,
    source_ref: str,
    note: str = "",
) -> CreditEntry:
    """Add credits (1 credit is 1 US cent), once per `source_ref`."""
    with transaction.atomic():
        _lock(account)
        entry, is_new = CreditEntry.objects.get_or_create(
            source_ref=source_ref,
            defaults={
                "account": account,
                "credits": credits,
                "kind": kind,
                "created_at": at,
                "note": note,
            },
        )
        if is_new:
            _changed(account)
    return entry


def move_to_plan(*, account: Account, plan: Plan) -> None:
    """Put the account on a plan; packs that the plan does not include are switched off."""
    with transaction.atomic():
        entitlement = _lock(account)
        entitlement.plan = plan
        entitlement.save(update_fields=["plan"])
        entitlement.packs_on.remove(*entitlement.packs_on.exclude(pk__in=plan.packs.values("pk")))
        _changed(account)


def switch_pack(*, account: Account, pack: Pack, on: bool) -> None:
    """Switch a pack on or off. Raises CannotSwitchPack when the plan does not include it."""
    with transaction.atomic():
        entitlement = _lock(account)
        if on and not entitlement.plan.packs.filter(pk=pack.pk).exists():
            raise CannotSwitchPack(f"{entitlement.plan} does not include {pack}.")
        if on:
            entitlement.packs_on.add(pack)
        else:
            entitlement.packs_on.remove(pack)
        _changed(account)


def set_suspended(*, account: Account, suspended: bool, at: datetime) -> None:
    """Suspend an account, or let it work again."""
    with transaction.atomic():
        entitlement = _lock(account)
        entitlement.suspended_at = (entitlement.suspended_at or at) if suspended else None
        entitlement.save(update_fields=["suspended_at"])
        _changed(account)


def _lock(account: Account) -> Entitlement:
    projection.entitlement_of(account)
    # Versions of one account are given out one after the other, in the order of the commits.
    return Entitlement.objects.select_for_update(of=("self",)).get(account=account)


def _changed(account: Account) -> None:
    Entitlement.objects.filter(account=account).update(version=F("version") + 1)
    transaction.on_commit(lambda: projection.push(account))
