"""What PostgreSQL grants, as values, and the calls that bring it to Valkey."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gate.store import layout
from gate.store.hot_state import (
    REFUND_WINDOW_MS,
    Call,
    Mark,
    catalogue_name,
    keys_of,
    script,
    stream_name,
)
from gate.terms import budget as budgets
from gate.terms import pace
from gate.terms.budget import Budget
from gate.terms.pace import Pace
from gate.terms.spending import NO_LIMITS, Spending

_PUT_ACCOUNT = script("put_account")
_PUT_KEY = script("put_key")
_COUNT = script("count")
_PUT_CATALOGUE = script("put_catalogue")
# How long a cold account remembers a key's state that overtook its snapshot.
_TOMBSTONE_MS = 3600 * 1000


@dataclass(frozen=True, slots=True)
class BoostGrant:
    """One boost as the gate needs it."""

    boost_id: int
    chats: int
    expires_ms: int
    spent: int


@dataclass(frozen=True, slots=True)
class PlanSpan:
    """A plan and when the next one counts instead of it; None is never."""

    plan: str
    ends_ms: int | None


@dataclass(frozen=True, slots=True)
class Paid:
    """Credits that were spent, as far as drained: in a snapshot's week, and in its month."""

    in_week: int = 0
    in_month: int = 0


NOTHING_PAID = Paid()


@dataclass(frozen=True, slots=True)
class FormerSecret:
    """The secret that a key had before its last one; it ends no later than the key."""

    digest: str
    is_active: bool
    ends_ms: int


@dataclass(frozen=True, slots=True)
class KeyState:
    """One API key as the gate needs it; the highest version of a key wins."""

    digest: str
    version: int
    key_id: int
    is_active: bool
    expires_ms: int | None = None
    weekly_cap: int | None = None  # chats
    scopes: tuple[str, ...] = ()  # meters it may use; empty is all
    addresses: tuple[str, ...] = ()  # networks it may be used from (`addresses.network_to_hex`)
    used: int = 0  # chats in the snapshot's week, as far as drained
    spending: Spending = NO_LIMITS
    paid: Paid = NOTHING_PAID
    pace: Pace = pace.NO_LIMITS
    models: tuple[str, ...] = ()  # that it may ask; empty is all
    budget: Budget = budgets.NO_LIMITS
    member: int | None = None  # whose it is, where that member has a budget
    first_digest: str = ""  # of its first secret, where that was another
    former: FormerSecret | None = None

    @property
    def counted_as(self) -> str:
        """The digest that what it used is counted under, whichever of its secrets was shown."""
        return self.first_digest or self.digest

    @property
    def rotated(self) -> str:
        """What the gate reads of a key that has another secret than its first; blank otherwise."""
        if not self.first_digest:
            return ""
        return layout.ROTATED.write(counted_as=self.first_digest, current=self.digest)

    @property
    def budget_record(self) -> str:
        """What it may use beside its weekly cap, as the gate reads it; blank where it has none."""
        return _budget_record(self.budget, member=self.member)

    @property
    def of_former(self) -> "KeyState | None":
        """The same key by its former secret."""
        if self.former is None:
            return None
        ends = (
            self.former.ends_ms,
            self.former.ends_ms if self.expires_ms is None else self.expires_ms,
        )
        return replace(
            self,
            digest=self.former.digest,
            is_active=self.is_active and self.former.is_active,
            expires_ms=min(ends),
        )

    @property
    def record(self) -> str:
        """The key's field value in the account hash."""
        return layout.KEY.write(
            version=self.version,
            id=self.key_id,
            state="active" if self.is_active else "revoked",
            expires_ms=self.expires_ms,
            weekly_cap=self.weekly_cap,
            scopes=",".join(self.scopes),
            addresses=",".join(self.addresses),
        )


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """What PostgreSQL says of an account."""

    handle: str
    epoch: int
    version: int
    plan: str  # the one that counts as this is written
    packs: tuple[str, ...]
    suspended: bool
    credits: int  # granted in total, spending not subtracted
    boosts: tuple[BoostGrant, ...]
    week: int
    used: int  # of the allowance, in that week, as far as drained
    credits_spent: int  # in total, as far as drained
    keys: tuple[KeyState, ...]
    marks: tuple[Mark, ...] = ()  # of the last day
    pushes: int = 0  # into its partition, as many as PostgreSQL knows of
    # Every plan in the order of time, where there is more than one: the gate's clock switches.
    plans: tuple[PlanSpan, ...] = ()
    spending: Spending = NO_LIMITS
    month: int = 0  # see `terms.month`
    paid: Paid = NOTHING_PAID
    budgets: Mapping[int, Budget] = field(default_factory=dict)  # of members, by their number


@dataclass(frozen=True, slots=True)
class CatalogueSnapshot:
    """Plans, packs, meters and the credit rate. Caps: None is unlimited."""

    version: int
    credits_per_chat: int
    meters: Mapping[str, int] = field(default_factory=dict)  # slug -> chats
    caps: Mapping[str, int | None] = field(default_factory=dict)  # plan slug -> weekly chats
    pack_caps: Mapping[tuple[str, str], int | None] = field(default_factory=dict)  # plan, pack
    paces: Mapping[str, Pace] = field(default_factory=dict)  # plan slug -> of an account with it
    # Plan slug -> meters that keys may use; empty is all.
    plan_meters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartitionState:
    """What PostgreSQL remembers of a partition."""

    index: int
    epoch: int
    pushes: int
    drained_id: str = "0-0"


def put_account_call(snapshot: AccountSnapshot, *, seed: bool = True) -> Call:
    """Project an account; answers [status, pushes].

    Status: b"stored", b"cold_catalogue", b"stale_epoch", or b"cold" when the account is cold and
    `seed` does not say that the snapshot knows all that was spent.
    """
    boosts = sorted(snapshot.boosts, key=lambda boost: (boost.expires_ms, boost.boost_id))
    secrets = list(_secrets(snapshot.keys))
    body = {
        "seed": "1" if seed else "0",
        "epoch": str(snapshot.epoch),
        "pushes": str(snapshot.pushes),
        "version": str(snapshot.version),
        "plan": snapshot.plan,
        "plans": _plans(snapshot),
        "packs": ",".join(snapshot.packs),
        "suspended": "1" if snapshot.suspended else "0",
        "credits": str(snapshot.credits),
        "boosts": ";".join(
            layout.BOOST.write(id=b.boost_id, chats=b.chats, expires_ms=b.expires_ms)
            for b in boosts
        ),
        "week": str(snapshot.week),
        "used": str(snapshot.used),
        "credits_spent": str(snapshot.credits_spent),
        "boosts_spent": {str(b.boost_id): str(b.spent) for b in boosts if b.spent},
        "keys": {secret.digest: secret.record for secret in secrets},
        "keys_used": {
            key.counted_as: layout.COUNTED.write(week=snapshot.week, chats=key.used)
            for key in snapshot.keys
            if key.used
        },
        "spending": spending_record(snapshot.spending),
        "spending_of_keys": {secret.digest: spending_record(secret.spending) for secret in secrets},
        "pace_of_keys": {
            secret.digest: pace_record(secret.pace, models=secret.models) for secret in secrets
        },
        "rotated_keys": {
            secret.digest: key.rotated
            for key in snapshot.keys
            if key.rotated
            for secret in _secrets([key])
        },
        "budget_of_keys": {
            secret.digest: secret.budget_record for secret in secrets if secret.budget_record
        },
        "budgets": ";".join(
            f"{member}={_budget_record(of_member)}"
            for member, of_member in sorted(snapshot.budgets.items())
            if of_member != budgets.NO_LIMITS
        ),
        "paid": _paid(snapshot, snapshot.paid),
        "paid_by_keys": {
            key.counted_as: _paid(snapshot, key.paid)
            for key in snapshot.keys
            if key.paid != NOTHING_PAID
        },
    }
    names = keys_of(snapshot.handle)
    return Call(
        _PUT_ACCOUNT,
        (
            names.account,
            names.catalogue,
            names.holds,
            *(names.mark(mark.charge_ref) for mark in snapshot.marks),
        ),
        (
            *layout.SCRIPTS["put_account"].pack(
                snapshot=json.dumps(body), window_ms=REFUND_WINDOW_MS
            ),
            *(mark.content for mark in snapshot.marks),
        ),
    )


def _secrets(keys: Iterable[KeyState]) -> Iterator[KeyState]:
    """Each key by each secret that it is known by."""
    for key in keys:
        yield key
        if (former := key.of_former) is not None:
            yield former


def _budget_record(budget: Budget, *, member: int | None = None) -> str:
    """What may be used, as the gate reads it; blank where nothing limits it."""
    if budget == budgets.NO_LIMITS and member is None:
        return ""
    return layout.BUDGET.write(
        a_day=budget.a_day,
        a_week=budget.a_week,
        a_month=budget.a_month,
        in_all=budget.in_all,
        member=member,
    )


def spending_record(spending: Spending) -> str:
    """What was chosen, as the gate reads it; blank where nothing was."""
    if spending == NO_LIMITS:
        return ""
    return layout.SPENDING.write(
        past_allowance=spending.past_allowance,
        credits_a_week=spending.credits_a_week,
        credits_a_month=spending.credits_a_month,
        units_a_request=spending.units_a_request,
    )


def pace_record(limits: Pace, *, meters: Sequence[str] = (), models: Sequence[str] = ()) -> str:
    """How quickly may be asked, as the gate reads it; blank where nothing limits it.

    meters: of a plan, those that keys may use; models: of a key, those that it may ask. Empty is
    all.
    """
    if limits == pace.NO_LIMITS and not meters and not models:
        return ""
    return layout.PACE.write(
        a_minute=limits.a_minute,
        at_once=limits.at_once,
        meters=",".join(meters),
        models=",".join(models),
    )


def _paid(snapshot: AccountSnapshot, paid: Paid) -> str:
    return layout.PAID.write(
        week=snapshot.week, in_week=paid.in_week, month=snapshot.month, in_month=paid.in_month
    )


def _plans(snapshot: AccountSnapshot) -> str:
    if not snapshot.plans:
        return ""
    in_turn = ";".join(
        layout.PLAN.write(slug=span.plan, ends_ms=span.ends_ms or 0) for span in snapshot.plans
    )
    return layout.PLANS.write(version=snapshot.version, in_turn=in_turn)


def put_key_call(handle: str, key: KeyState, *, pushes: int = 0) -> Call:
    """Project one key's state, of both its secrets; answers [b"stored" | b"older", pushes].

    pushes: into the partition, as many as PostgreSQL knows of.
    """
    names = keys_of(handle)
    former = key.of_former
    return Call(
        _PUT_KEY,
        (names.account, names.catalogue),
        layout.SCRIPTS["put_key"].pack(
            digest=key.digest,
            record=key.record,
            remembered_ms=_TOMBSTONE_MS,
            pushes=pushes,
            spending=spending_record(key.spending),
            pace=pace_record(key.pace, models=key.models),
            rotated=key.rotated,
            budget=key.budget_record,
            former_digest="" if former is None else former.digest,
            former_record="" if former is None else former.record,
        ),
    )


@dataclass(frozen=True, slots=True)
class UsedSoFar:
    """What a key or member used, as far as the stream was drained.

    counts_as: field of the account, see `used_by_key` and `used_by_member`. key_ids: whose charges
    count in it. day, week, month: which of them the chats are of.
    """

    handle: str
    epoch: int
    drained_id: str
    counts_as: str
    key_ids: tuple[int, ...]
    day: int
    in_day: int
    week: int
    in_week: int
    month: int
    in_month: int
    in_all: int
    member: int | None = None


def used_by_key(key_id: int) -> str:
    """Where it is counted what a key uses."""
    return f"{layout.ACCOUNT.spell('amounts_of_key')}{key_id}"


def used_by_member(member: int) -> str:
    """Where it is counted what a member uses, by all their keys."""
    return f"{layout.ACCOUNT.spell('amounts_of_member')}{member}"


def count_call(used: UsedSoFar) -> Call:
    """Say what was used, so that it is counted from now on; answers its status alone."""
    names = keys_of(used.handle)
    member = "" if used.member is None else str(used.member)
    return Call(
        _COUNT,
        (names.account, names.catalogue, names.stream, names.holds),
        (
            *layout.SCRIPTS["count"].pack(
                epoch=used.epoch,
                drained_id=used.drained_id,
                handle=used.handle,
                field=used.counts_as,
                member=member,
                amounts=layout.AMOUNTS.write(
                    day=used.day,
                    in_day=used.in_day,
                    week=used.week,
                    in_week=used.in_week,
                    month=used.month,
                    in_month=used.in_month,
                    in_all=used.in_all,
                    member=member,
                ),
            ),
            *used.key_ids,
        ),
    )


def put_catalogue_call(partition: PartitionState, snapshot: CatalogueSnapshot) -> Call:
    """Project the catalogue into one partition; answers [b"stored" | b"older", pushes]."""
    spell = layout.CATALOGUE.spell
    fields: list[str | int] = [spell("rate"), snapshot.credits_per_chat]
    for meter, chats in snapshot.meters.items():
        fields += [spell("meter") + meter, chats]
    for plan, cap in snapshot.caps.items():
        fields += [spell("cap") + plan, _cap(cap)]
    for (plan, pack), cap in snapshot.pack_caps.items():
        fields += [f"{spell('cap')}{plan}:{pack}", _cap(cap)]
    for plan in snapshot.caps:
        limits = snapshot.paces.get(plan, pace.NO_LIMITS)
        if record := pace_record(limits, meters=snapshot.plan_meters.get(plan, ())):
            fields += [spell("pace") + plan, record]
    return Call(
        _PUT_CATALOGUE,
        (catalogue_name(partition.index), stream_name(partition.index)),
        (
            *layout.SCRIPTS["put_catalogue"].pack(
                epoch=partition.epoch,
                version=snapshot.version,
                pushes=partition.pushes,
                drained_id=partition.drained_id,
            ),
            *fields,
        ),
    )


def hot_digests(digests: Sequence[str]) -> list[str]:
    """What the hot state keeps of full digests: 128 bits, enough to tell keys apart for good."""
    return [digest[:22] for digest in digests]


def _cap(cap: int | None) -> int:
    return layout.UNLIMITED if cap is None else cap
