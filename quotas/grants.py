"""The seam: everything that changes what an account may use goes through here.

A grant names its `source_ref`; giving it twice changes nothing. Each change raises the version of
the account's entitlement in the same transaction, and the gate is told right after commit. If that
fails, the difference between `version` and `pushed_version` is the reminder, and it is repeated.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

from django.db import transaction
from django.db.models import Count, F, Max, QuerySet, Sum

from accounts import audit
from accounts.models import Account, User
from accounts.owners import tell_owners
from accounts.spending import fields_of
from gate.terms.spending import NO_LIMITS, Spending
from keys.models import ApiKey
from keys.projection import push_key
from quotas import entitlements, projection
from quotas.models.entitlements import (
    Entitlement,
    PackSwitch,
    PlanGrant,
    SpendingChoice,
    Suspension,
)
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Pack, Plan

Ended = TypeVar("Ended", PlanGrant, PackSwitch, SpendingChoice, Suspension)

# For whoever grants: the models of the ledger are for its own room.
CreditKind = CreditEntry.Kind
PlanSource = PlanGrant.Source
_CLOSED = "Closed by its owner"
# Also what was held when a boost ended.
_LAST_CHATS_ARE_DRAINED_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlanUntil:
    """A plan until a moment. seats: how many people it is for; None is any number."""

    plan: Plan
    ends_at: datetime
    seats: int | None = None


class CannotSwitchPack(Exception):
    """The account's plan does not include the pack."""


class CannotEnd(Exception):
    """What is to end is what remains when everything else has ended."""


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
            audit.record(
                account,
                audit.Kind.MONEY,
                "boost granted",
                changes={"chats": (None, chats), "until": (None, expires_at)},
                note=note,
                by=by,
            )
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
    """Add credits (1 credit is a hundredth of what is sold in), once per `source_ref`."""
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
            audit.record(
                account,
                audit.Kind.MONEY,
                "credits granted",
                changes={"credits": (None, f"{credits:+d}")},
                note=note,
            )
            _changed(account)
    return entry


def grant_plan(
    *,
    account: Account,
    plan: Plan,
    source: PlanGrant.Source,
    at: datetime,
    ends_at: datetime | None = None,
    seats: int | None = None,
    source_ref: str,
    by: User | None = None,
    note: str = "",
) -> PlanGrant:
    """Give a plan from `at` until `ends_at` (None: until it is ended), once per `source_ref`.

    seats: how many people it is for; None is any number.
    """
    with transaction.atomic():
        _lock(account)
        grant, is_new = PlanGrant.objects.get_or_create(
            source_ref=source_ref,
            defaults={
                "account": account,
                "plan": plan,
                "source": source,
                "starts_at": at,
                "ends_at": ends_at,
                "seats": seats,
                "by": by,
                "note": note,
            },
        )
        if is_new:
            if source != PlanGrant.Source.DEFAULT:
                _record_plan(grant, "granted", note=note, by=by)
            _changed(account)
    return grant


def end_plan(*, source_ref: str, at: datetime, by: User | None = None, note: str = "") -> bool:
    """End a plan grant at once, also one that has not begun. False when there was none to end.

    Raises CannotEnd for the default, which counts when nothing else does.
    """
    grant = PlanGrant.objects.select_related("account").filter(source_ref=source_ref).first()
    if grant is None:
        return False
    if grant.source == PlanGrant.Source.DEFAULT:
        raise CannotEnd("The default plan stays: it is what counts when nothing else does.")
    with transaction.atomic():
        _lock(grant.account)
        has_ended = _end(PlanGrant.objects.filter(pk=grant.pk), at=at, by=by, note=note)
        if has_ended:
            _record_plan(grant, "ended", note=note, by=by)
            _changed(grant.account)
    return has_ended


def bring_plans_to(
    *,
    account: Account,
    holder: str,
    wanted: Collection[PlanUntil],
    at: datetime,
    source: PlanSource,
    note: str = "",
) -> bool:
    """Have exactly these plans come from one holder, which its grants name before a colon.

    What lasts as long as wanted stays as it is, the rest is ended, and what is missing is added;
    said again, it changes nothing. What ends by `at` is not wanted. Answers whether it changed
    anything.
    """
    missing = {one for one in wanted if one.ends_at > at}
    with transaction.atomic():
        _lock(account)
        held = PlanGrant.objects.filter(account=account, source_ref__startswith=f"{holder}:")
        has_changed = False
        for grant in held.filter(ended_at=None, ends_at__gt=at).select_related("plan"):
            one = _as_wanted(grant)
            if one in missing:
                missing.remove(one)
            else:
                has_changed = _end(PlanGrant.objects.filter(pk=grant.pk), at=at, by=None, note=note)
                _record_plan(grant, "ended", note=note)
        for number, one in enumerate(missing, start=held.count() + 1):
            grant = PlanGrant.objects.create(
                account=account,
                plan=one.plan,
                source=source,
                starts_at=at,
                ends_at=one.ends_at,
                seats=one.seats,
                source_ref=f"{holder}:{number}",
                note=note[:200],
            )
            _record_plan(grant, "granted", note=note)
            has_changed = True
        if has_changed:
            _changed(account)
    return has_changed


def plans_held(account: Account, holder: str, *, at: datetime) -> list[PlanUntil]:
    """The plans that come from a holder at a moment, with their ends."""
    held = PlanGrant.objects.filter(
        account=account, source_ref__startswith=f"{holder}:", ended_at=None, ends_at__gt=at
    )
    return [_as_wanted(grant) for grant in held.select_related("plan")]


def _as_wanted(grant: PlanGrant) -> PlanUntil:
    return PlanUntil(grant.plan, cast("datetime", grant.ends_at), grant.seats)


def promised_until(account: Account, holder: str) -> datetime | None:
    """Until when any plan ever came from a holder, also one that was ended; None without one."""
    held = PlanGrant.objects.filter(account=account, source_ref__startswith=f"{holder}:")
    last: datetime | None = held.aggregate(last=Max("ends_at"))["last"]
    return last


def move_to_plan(
    *,
    account: Account,
    plan: Plan,
    at: datetime,
    ends_at: datetime | None = None,
    source_ref: str,
    by: User | None = None,
    note: str = "",
) -> None:
    """Put the account on a plan, whatever it has and was to have, once per `source_ref`.

    Everything else but the default is ended. Packs that the plan does not include are switched off.
    """
    with transaction.atomic():
        _lock(account)
        if PlanGrant.objects.filter(source_ref=source_ref).exists():
            return
        others = PlanGrant.objects.filter(account=account)
        _end(others.exclude(source=PlanGrant.Source.DEFAULT), at=at, by=by, note=note)
        grant_plan(
            account=account,
            plan=plan,
            source=PlanGrant.Source.ADMIN,
            at=at,
            ends_at=ends_at,
            source_ref=source_ref,
            by=by,
            note=note,
        )
        on = PackSwitch.objects.filter(account=account)
        _end(on.exclude(pack__in=plan.packs.all()), at=at, by=by, note=f"{plan} without it")


def switch_pack(
    *,
    account: Account,
    pack: Pack,
    on: bool,
    at: datetime,
    by: User | None = None,
    note: str = "",
) -> None:
    """Switch a pack on or off. Raises CannotSwitchPack when the plan of now does not include it."""
    with transaction.atomic():
        _lock(account)
        if on:
            plan = entitlements.plan_of(account, at=at)
            if not plan.packs.filter(pk=pack.pk).exists():
                raise CannotSwitchPack(f"{plan} does not include {pack}.")
            _, has_changed = PackSwitch.objects.get_or_create(
                account=account,
                pack=pack,
                ended_at=None,
                defaults={"created_at": at, "by": by, "note": note},
            )
        else:
            switched_on = PackSwitch.objects.filter(account=account, pack=pack)
            has_changed = _end(switched_on, at=at, by=by, note=note)
        if has_changed:
            act = "pack on" if on else "pack off"
            audit.record(account, audit.Kind.PLAN, act, thing=pack.name, note=note, by=by)
            _changed(account)


def choose_spending(
    *,
    account: Account,
    spending: Spending,
    at: datetime,
    key: ApiKey | None = None,
    by: User | None = None,
    note: str = "",
) -> bool:
    """Say what an account may spend past the allowance, or one key of it. False: it was so before.

    What was chosen before ends, and stays with who chose it and when.
    """
    with transaction.atomic():
        _lock(account)
        chosen = SpendingChoice.objects.filter(account=account, key=key)
        before = chosen.filter(ended_at=None).first()
        if spending == (NO_LIMITS if before is None else before.spending):
            return False
        _end(chosen, at=at, by=by, note=note)
        was, will_be = fields_of(before.spending if before else NO_LIMITS), fields_of(spending)
        audit.record(
            account,
            audit.Kind.SPENDING,
            "chosen",
            thing="" if key is None else str(key),
            changes={name: (was[name], after) for name, after in will_be.items()},
            note=note,
            by=by,
        )
        if spending != NO_LIMITS:
            SpendingChoice.objects.create(
                account=account,
                key=key,
                created_at=at,
                by=by,
                note=note[:200],
                **fields_of(spending),
            )
        if key is None:
            _changed(account)
        else:
            locked = ApiKey.objects.select_for_update(of=("self",)).select_related("account")
            changed = locked.get(pk=key.pk, account=account)
            changed.choose_spending(spending)
            transaction.on_commit(lambda: push_key(changed))
    return True


def suspend(*, account: Account, at: datetime, by: User | None = None, note: str = "") -> None:
    """Refuse every request of an account until it is reinstated. The first suspension stays."""
    with transaction.atomic():
        _lock(account)
        _, is_new = Suspension.objects.get_or_create(
            account=account,
            ended_at=None,
            defaults={"created_at": at, "by": by, "note": note},
        )
        if is_new:
            audit.record(account, audit.Kind.PEOPLE, "suspended", note=note, by=by)
            tell_owners(account, "quotas/email/suspended", reason=note, at=at)
            _changed(account)


def reinstate(*, account: Account, at: datetime, by: User | None = None, note: str = "") -> None:
    """Let a suspended account work again."""
    with transaction.atomic():
        _lock(account)
        # A closed account is opened by `reopen` alone.
        by_staff = Suspension.objects.filter(account=account).exclude(note=_CLOSED)
        if _end(by_staff, at=at, by=by, note=note):
            audit.record(account, audit.Kind.PEOPLE, "reinstated", note=note, by=by)
            tell_owners(account, "quotas/email/reinstated", reason=note)
            _changed(account)


def close(*, account: Account, at: datetime, by: User) -> bool:
    """End all use of an account, until it is reopened; False where it was closed already.

    It is suspended besides: that is what a release knows that knows nothing of closing.
    """
    with transaction.atomic():
        held = Account.objects.select_for_update().get(pk=account.pk)
        if held.closed_at is not None:
            return False
        _lock(held)
        held.closed_at, held.closed_by = at, by
        held.save(update_fields=["closed_at", "closed_by"])
        Suspension.objects.get_or_create(
            account=held, ended_at=None, defaults={"created_at": at, "by": by, "note": _CLOSED}
        )
        audit.record(held, audit.Kind.PEOPLE, "account closed", thing=held.name, by=by)
        _changed(held)
    return True


def reopen(*, account: Account, at: datetime, by: User | None = None, note: str = "") -> bool:
    """Let a closed account be used again by who is in it; False where it was open."""
    with transaction.atomic():
        held = Account.objects.select_for_update().get(pk=account.pk)
        if held.closed_at is None:
            return False
        _lock(held)
        held.closed_at = held.closed_by = None
        held.save(update_fields=["closed_at", "closed_by"])
        # What staff had suspended before stays so.
        _end(Suspension.objects.filter(account=held, note=_CLOSED), at=at, by=by, note=note)
        audit.record(held, audit.Kind.PEOPLE, "account reopened", thing=held.name, note=note, by=by)
        tell_owners(held, "quotas/email/reopened", reason=note)
        _changed(held)
    return True


def given(source_refs: Collection[str]) -> set[str]:
    """Those of these sources that gave a boost or credits."""
    boosts = Boost.objects.filter(source_ref__in=source_refs)
    entries = CreditEntry.objects.filter(source_ref__in=source_refs)
    return {
        *boosts.values_list("source_ref", flat=True),
        *entries.values_list("source_ref", flat=True),
    }


def take_back(
    *, source_ref: str, returned_cents: int, paid_cents: int, at: datetime, note: str = ""
) -> None:
    """Leave of a grant what its money is there for: `returned_cents` of `paid_cents` went back.

    Both are sums of all that ever happened, so that said again, in any order, it changes nothing,
    and less than before gives the rest again. What is unused goes; what was used already is owed,
    as credits below zero, which the next top-up pays first. Rounded in favour of the account.
    """
    if paid_cents <= 0:
        return
    returned_cents = min(returned_cents, paid_cents)
    boost = Boost.objects.select_related("account").filter(source_ref=source_ref).first()
    entry = CreditEntry.objects.select_related("account").filter(source_ref=source_ref).first()
    with transaction.atomic():
        if boost is not None:
            _lock(boost.account)
            boost.refresh_from_db(from_queryset=Boost.objects.select_related("account"))
            _leave(boost, boost.chats * returned_cents // paid_cents, paid_cents, at=at)
            _bring_returns_to(boost.account, source_ref, -boost.owed_credits, at=at, note=note)
        elif entry is not None:
            _lock(entry.account)
            gone = entry.credits * returned_cents // paid_cents
            _bring_returns_to(entry.account, source_ref, -gone, at=at, note=note)


def book_what_was_used_meanwhile(*, at: datetime) -> int:
    """Owe what was used of boosts that were taken back before the gate knew, and is drained since.

    What was given back since is not owed. Answers how many boosts were looked at.
    """
    lately = Boost.objects.filter(
        taken_back__gt=0, expires_at__gt=at - _LAST_CHATS_ARE_DRAINED_AFTER
    )
    found = list(lately.select_related("account"))
    for boost in found:
        with transaction.atomic():
            _lock(boost.account)
            boost.refresh_from_db(from_queryset=Boost.objects.select_related("account"))
            _bring_returns_to(
                boost.account, boost.source_ref, -boost.owed_credits, at=at, note=boost.note
            )
    return len(found)


def _leave(boost: Boost, taken_back: int, paid_cents: int, *, at: datetime) -> None:
    """So many chats of a boost are not there; of a locked account."""
    if taken_back == boost.taken_back:
        return
    if not taken_back and boost.taken_back_at:
        # All of it is there again, and so are the days in which it was not.
        boost.expires_at += max(timedelta(), at - boost.taken_back_at)
    boost.taken_back_at = (boost.taken_back_at or at) if taken_back else None
    boost.taken_back, boost.paid_cents = taken_back, paid_cents
    # Not what the drain writes.
    boost.save(update_fields=["taken_back", "taken_back_at", "paid_cents", "expires_at"])
    _changed(boost.account)


def _bring_returns_to(
    account: Account, source_ref: str, credits: int, *, at: datetime, note: str
) -> None:
    """Have the lines of what a grant lost come to a sum, by one more where they do not."""
    lines = CreditEntry.objects.filter(
        account=account,
        kind=CreditKind.RETURN,
        source_ref__startswith=f"{source_ref}:returned:",
    ).aggregate(booked=Sum("credits", default=0), count=Count("pk"))
    missing = credits - lines["booked"]
    if missing:
        CreditEntry.objects.create(
            account=account,
            credits=missing,
            kind=CreditKind.RETURN,
            source_ref=f"{source_ref}:returned:{lines['count'] + 1}",
            created_at=at,
            note=note[:200],
        )
        _changed(account)


def _end(rows: QuerySet[Ended], *, at: datetime, by: User | None, note: str) -> bool:
    """End those that have not ended; answers whether there was one."""
    return bool(rows.filter(ended_at=None).update(ended_at=at, ended_by=by, end_note=note[:200]))


def _record_plan(grant: PlanGrant, act: str, *, note: str, by: User | None = None) -> None:
    said = {"until": (None, grant.ends_at), "seats": (None, grant.seats)}
    audit.record(
        grant.account,
        audit.Kind.PLAN,
        act,
        thing=grant.plan.name,
        changes=said if act == "granted" else None,
        note=note,
        by=by,
    )


def _lock(account: Account) -> Entitlement:
    projection.entitlement_of(account)
    # Versions of one account are given out one after the other, in the order of the commits.
    return Entitlement.objects.select_for_update(of=("self",)).get(account=account)


def plans_changed_places() -> None:
    """Which of two plans counts is different now: tell the gate of all who have more than one."""
    with_more = PlanGrant.objects.filter(ended_at=None).exclude(source=PlanGrant.Source.DEFAULT)
    Entitlement.objects.filter(account__in=with_more.values("account")).update(
        version=F("version") + 1
    )


def _changed(account: Account) -> None:
    Entitlement.objects.filter(account=account).update(version=F("version") + 1)
    transaction.on_commit(lambda: projection.push(account))
