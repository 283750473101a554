"""The calls that decide, keep and give back charges, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gate.store import layout
from gate.store.hot_state import (
    REFUND_WINDOW_MS,
    REPLAY_WINDOW_MS,
    AccountKeys,
    Call,
    Tokens,
    keys_of,
    read_boosts,
    script,
)
from gate.store.packing import Known
from gate.store.snapshots import NOTHING_PAID, Paid
from gate.terms import month, week
from gate.terms.spending import PastAllowance

_CHECK = script("check")
_REFUND = script("refund")
_pack_known = layout.SCRIPTS["check"].cut(
    "fingerprint", rest=("fingerprint", "address", "hold_ms", "hold_id", "note", "digests")
)
_as_note = layout.NOTE.template
_NOTE_AT = layout.SCRIPTS["check"].args.index("note")
_SETTLE = script("settle")
_EXTEND = script("extend")
# Told instead of a time: the script asks the server's own clock.
_SERVERS_CLOCK = 0


@dataclass(slots=True)
class Answer:
    """What `check` found and did, in the order of `layout.ANSWER`; a cap of None is unlimited."""

    status: str
    key_id: int = 0
    plan: str = ""
    cap: int | None = None
    used: int = 0
    boost_left: int = 0
    credits_left: int = 0
    credits_per_chat: int = 1
    week: int = 0
    allowance_taken: int = 0
    boosts_taken: str = ""
    credits_taken: int = 0
    entry_id: str = ""  # of the stream entry, or the hold's own id
    at_ms: int = 0
    left_by_boost: str = ""  # "boost id:chats" joined by commas, of a look only
    key_cap: int | None = None  # chats a week that the key may use, None when not limited
    key_used: int = 0  # chats that the key has used this week, holds included
    key_digest: str = ""
    wanted: int = 0  # chats that the request takes
    note: str = ""  # of the first check with this request id
    scopes: str = ""  # meters that the key may use, joined by commas; "" is all; of a look only
    past_allowance: str = ""  # what pays past the allowance, as account and key chose
    credit_room: int | None = None  # credits that their ceilings leave now, None is no ceiling
    units_a_request: int | None = None  # the lower ceiling, None is none
    chosen_by: str = ""  # whose choice refuses: account or key
    passes_at_ms: int = 0  # when the same may pass by itself; 0 where it may not
    room: str = ""  # see `room_left`
    matched: int = 0  # which of the digests that were asked for; 0 is the current pepper's
    models: str = ""  # that the key may ask, joined by commas; "" is all; of a look only
    budget_left: int | None = None  # chats that budgets of key and member leave, None is no budget
    met: str = ""  # see `budget_met`

    @property
    def room_left(self) -> "Room | None":
        """What limits a minute and at the same time leave; None where there are none."""
        return Room(**layout.ROOM.read(self.room)) if self.room else None

    @property
    def budget_met(self) -> "Met | None":
        """The budget that refuses; None where none does."""
        return Met(**layout.MET.read(self.met)) if self.met else None

    @property
    def allowance_left(self) -> int | None:
        """Chats left of this week's allowance; None is unlimited."""
        return None if self.cap is None else max(0, self.cap - self.used)

    def may_use(self, meter: str) -> bool:
        """Whether the key may use a meter, as a look tells."""
        return not self.scopes or meter in self.scopes.split(",")

    def may_ask(self, model: str) -> bool:
        """Whether the key may ask a model, as a look tells."""
        return not self.models or model in self.models.split(",")

    @property
    def model(self) -> str:
        """The model that was asked for, as a refusal for it tells; "" where nobody named it."""
        return str(layout.NOTE.read(self.note)["model"]) if self.note else ""

    @property
    def boost_taken(self) -> int:
        """Chats taken from boosts, all together."""
        if not self.boosts_taken:
            return 0
        return sum(chats for _, chats in read_boosts(self.boosts_taken))

    @property
    def boost_open(self) -> int:
        """Chats in boosts, as far as account and key let them be used."""
        return 0 if self.past_allowance == PastAllowance.NOTHING else self.boost_left

    @property
    def credits_open(self) -> int:
        """Credits, as far as account and key let them be spent; what is owed stays below zero."""
        if self.past_allowance != PastAllowance.ALL:
            return min(0, self.credits_left)
        if self.credit_room is None:
            return self.credits_left
        return min(self.credits_left, self.credit_room)

    @property
    def chats_left(self) -> int | None:
        """Chats that may still be used from every source, by this key; None is unlimited."""
        left = self.allowance_left
        if left is not None:
            left += self.boost_open + max(0, self.credits_open) // self.credits_per_chat
        of_key = None if self.key_cap is None else max(0, self.key_cap - self.key_used)
        return min(
            (one for one in (left, of_key, self.budget_left) if one is not None), default=None
        )

    @property
    def limit(self) -> int | None:
        """The lowest weekly cap that applies, of the plan or of the key; None is unlimited."""
        if self.cap is None or self.key_cap is None:
            return self.key_cap if self.cap is None else self.cap
        return min(self.cap, self.key_cap)


@dataclass(frozen=True, slots=True)
class Room:
    """What the tightest limits leave, in the order of `layout.ROOM`; a limit of None is none."""

    a_minute: int | None
    left: int  # requests of this minute
    frees_ms: int  # when the minute lets through more; 0 where all are left
    at_once: int | None
    open: int  # requests that are held; of a look, or of a refusal for it


@dataclass(frozen=True, slots=True)
class Met:
    """A budget that refuses, in the order of `layout.MET`."""

    by: str  # key or member
    period: str  # day, week, month or all
    most: int
    used: int

    @property
    def span(self) -> str:
        """As a sentence says it: a day."""
        return "in all" if self.period == "all" else f"a {self.period}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a settlement kept, or a refund gave back, by source."""

    status: str
    allowance: int = 0
    boost: int = 0
    credits: int = 0


def paid_now(record: bytes | None, *, now_ms: int) -> Paid:
    """What of a paid record was spent in the week and the month of a moment."""
    if not record:
        return NOTHING_PAID
    says = layout.PAID.read(record.decode())
    return Paid(
        in_week=says["in_week"] if says["week"] == week.week_of(now_ms) else 0,
        in_month=says["in_month"] if says["month"] == month.month_of(now_ms) else 0,
    )


def check_call(
    *,
    handle: str,
    digests: Sequence[str],
    meter: str,
    units: int,
    request_id: str | None,
    address: str = "",
    hold_id: str = "",
    hold_ms: int = 0,
    shown_id: str = "",
    tag: str = "",
    model: str = "",
    at_ms: int | None = None,
) -> Call:
    """Decide one charge of a key (`units` 0 looks). Without digests it looks at the account.

    at_ms: the moment it happens at; without it the server's clock counts, and no other should.
    address: the caller's, as 32 hex digits (`addresses.to_hex`), or "" when it is not known.
    shown_id: the X-Request-Id of the answer. Recorded is the request id, unless it holds a secret,
    or else this. tag, model: recorded, too; without control characters.
    """
    known = _known(handle, meter, units, at_ms or _SERVERS_CLOCK)
    keys = known.names
    fingerprint, recorded_id = "", shown_id
    if request_id is not None:
        names = keys_of(handle)
        keys += (names.replay(request_id),)
        first_release = names.replay_of_first_release(request_id)
        if first_release is not None:
            # It holds no secret.
            keys += (first_release,)
            recorded_id = request_id
        fingerprint = f"{meter}|{units}|{hold_ms}"
    note = _as_note % (tag, model, recorded_id)
    args = (*known.args, fingerprint, address, hold_ms, hold_id, note, *digests)
    return Call(_CHECK, keys, args, known)


def note_of(call: Call) -> str:
    """What a check call says of itself."""
    return call.args[_NOTE_AT]  # type: ignore[return-value] # it is made above


def tag_of(note: str) -> str:
    """The same with nothing but its tag; blank where it has none."""
    tag = note.partition(layout.NOTE.separator)[0]
    return layout.NOTE.write(tag=tag) if tag else ""


@lru_cache(maxsize=8192)
def _known(handle: str, meter: str, units: int, now_ms: int) -> Known:
    """What all checks of an account have alike that ask for as many units of a meter."""
    args = _pack_known(
        now_ms=now_ms, meter=meter, units=units, handle=handle, replay_window_ms=REPLAY_WINDOW_MS
    )
    return Known.of(keys_of(handle).of_a_check, tuple(args))


def read_answer(reply: Sequence[Any]) -> Answer:
    """The answer of a check call."""
    if len(reply) == 1:
        return Answer(status=reply[0].decode())
    return Answer(*layout.ANSWER.values(reply))


def refund_call(
    *,
    handle: str,
    charge_ref: str,
    is_hold: bool,
    key_id: int,
    key_digest: str,
    meter: str,
    at_ms: int,
    charge_week: int,
    allowance: int,
    boosts: str,
    credits: int,
    credit_chats: int,
    note: str = "",
    now_ms: int | None = None,
) -> Call:
    """Give back what one charge took; `now_ms` is what `at_ms` is to a check.

    note: as `layout.NOTE` has it.
    """
    names = keys_of(handle)
    asked = layout.SCRIPTS["refund"].pack(
        handle=handle,
        key_id=key_id,
        meter=meter,
        at_ms=at_ms,
        week=charge_week,
        allowance=allowance,
        boosts=boosts,
        credits=credits,
        window_ms=REFUND_WINDOW_MS,
        now_ms=now_ms or _SERVERS_CLOCK,
        credit_chats=credit_chats,
        charge_ref=charge_ref,
        key_digest=key_digest,
        is_hold=int(is_hold),
        note=note,
    )
    return Call(_REFUND, _names_of_charge(names, charge_ref), asked)


def extend_call(*, handle: str, hold_id: str, hold_ms: int, now_ms: int | None = None) -> Call:
    """Let a hold run for so long from now; `now_ms` is what `at_ms` is to a check."""
    names = keys_of(handle)
    asked = layout.SCRIPTS["extend"].pack(
        hold_id=hold_id, hold_ms=hold_ms, now_ms=now_ms or _SERVERS_CLOCK
    )
    return Call(_EXTEND, (names.account, names.catalogue, names.holds), asked)


def settle_call(
    *,
    handle: str,
    hold_id: str,
    units: int,
    tokens: Tokens | None = None,
    note: str = "",
    now_ms: int | None = None,
) -> Call:
    """Keep `units` of a hold and give the rest back; `now_ms` is what `at_ms` is to a check.

    note: as `layout.NOTE` has it.
    """
    names = keys_of(handle)
    asked = layout.SCRIPTS["settle"].pack(
        handle=handle,
        hold_id=hold_id,
        units=units,
        window_ms=REFUND_WINDOW_MS,
        now_ms=now_ms or _SERVERS_CLOCK,
        tokens="" if tokens is None else tokens.as_record(),
        note=note,
    )
    return Call(_SETTLE, _names_of_charge(names, hold_id), asked)


def _names_of_charge(names: AccountKeys, charge_ref: str) -> tuple[str, ...]:
    return (names.account, names.catalogue, names.stream, names.mark(charge_ref), names.holds)


def read_kept(reply: Sequence[Any]) -> Kept:
    """The answer of a refund or settle call."""
    if len(reply) == 1:
        return Kept(status=reply[0].decode())
    says = layout.KEPT.read_parts(reply)
    return Kept(
        status=says["status"],
        allowance=says["allowance"],
        boost=sum(chats for _, chats in read_boosts(says["boosts"])),
        credits=says["credits"],
    )
