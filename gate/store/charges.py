"""The calls that decide, keep and give back charges, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gate.store.hot_state import (
    REFUND_WINDOW_MS,
    REPLAY_WINDOW_MS,
    UNLIMITED,
    Call,
    keys_of,
    read_boosts,
    script,
)

_CHECK = script("holds", "check")
_REFUND = script("holds", "refund")
_SETTLE = script("holds", "settle")
# Told instead of a time: the script asks the server's own clock.
_SERVERS_CLOCK = 0


@dataclass(slots=True)
class Answer:
    """What `check` found and did. `cap` is None when unlimited; `week` is the week that counts."""

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

    @property
    def allowance_left(self) -> int | None:
        """Chats left of this week's allowance; None is unlimited."""
        return None if self.cap is None else max(0, self.cap - self.used)

    @property
    def boost_taken(self) -> int:
        """Chats taken from boosts, all together."""
        if not self.boosts_taken:
            return 0
        return sum(chats for _, chats in read_boosts(self.boosts_taken))

    @property
    def chats_left(self) -> int | None:
        """Chats that may still be used from every source, by this key; None is unlimited."""
        left = self.allowance_left
        if left is not None:
            left += self.boost_left + max(0, self.credits_left) // self.credits_per_chat
        if self.key_cap is None:
            return left
        key_left = max(0, self.key_cap - self.key_used)
        return key_left if left is None else min(left, key_left)

    @property
    def limit(self) -> int | None:
        """The lowest weekly cap that applies, of the plan or of the key; None is unlimited."""
        if self.cap is None or self.key_cap is None:
            return self.key_cap if self.cap is None else self.cap
        return min(self.cap, self.key_cap)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a settlement kept, or a refund gave back, by source."""

    status: str
    allowance: int = 0
    boost: int = 0
    credits: int = 0


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
    at_ms: int | None = None,
) -> Call:
    """Decide one charge of a key (`units` 0 looks). Without digests it looks at the account.

    at_ms: the moment it happens at; without it the server's clock counts, and no other should.
    address: the caller's, as 32 hex digits (`addresses.to_hex`), or "" when it is not known.
    """
    names = keys_of(handle)
    keys: tuple[str, ...] = (
        names.account,
        names.catalogue,
        names.stream,
        names.refusals,
        names.holds,
    )
    fingerprint = ""
    if request_id is not None:
        keys += (names.replay(request_id),)
        first_release = names.replay_of_first_release(request_id)
        if first_release is not None:
            keys += (first_release,)
        fingerprint = f"{meter}|{units}|{hold_ms}"
    return Call(
        _CHECK,
        keys,
        (
            at_ms or _SERVERS_CLOCK,
            meter,
            units,
            handle,
            REPLAY_WINDOW_MS,
            fingerprint,
            address,
            hold_ms,
            hold_id,
            *digests,
        ),
    )


def read_answer(reply: Sequence[Any]) -> Answer:
    """The answer of a check call."""
    if len(reply) == 1:
        return Answer(status=reply[0].decode())
    cap, key_cap = int(reply[3]), int(reply[15])
    return Answer(
        status=reply[0].decode(),
        key_id=int(reply[1]),
        plan=reply[2].decode(),
        cap=None if cap == UNLIMITED else cap,
        used=int(reply[4]),
        boost_left=int(reply[5]),
        credits_left=int(reply[6]),
        credits_per_chat=int(reply[7]),
        week=int(reply[8]),
        allowance_taken=int(reply[9]),
        boosts_taken=reply[10].decode(),
        credits_taken=int(reply[11]),
        entry_id=reply[12].decode(),
        at_ms=int(reply[13]),
        left_by_boost=reply[14].decode(),
        key_cap=None if key_cap == UNLIMITED else key_cap,
        key_used=int(reply[16]),
        key_digest=reply[17].decode(),
        # An answer that release 0.1 remembered for its request id lacks it.
        wanted=int(reply[18]) if len(reply) > 18 else 0,
    )


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
    now_ms: int | None = None,
) -> Call:
    """Give back what one charge took; `now_ms` is what `at_ms` is to a check."""
    names = keys_of(handle)
    return Call(
        _REFUND,
        (
            names.account,
            names.catalogue,
            names.stream,
            names.mark(charge_ref),
            names.holds,
        ),
        (
            handle,
            key_id,
            meter,
            at_ms,
            charge_week,
            allowance,
            boosts,
            credits,
            REFUND_WINDOW_MS,
            now_ms or _SERVERS_CLOCK,
            credit_chats,
            charge_ref,
            key_digest,
            int(is_hold),
        ),
    )


def settle_call(*, handle: str, hold_id: str, units: int, now_ms: int | None = None) -> Call:
    """Keep `units` of a hold and give the rest back; `now_ms` is what `at_ms` is to a check."""
    names = keys_of(handle)
    return Call(
        _SETTLE,
        (
            names.account,
            names.catalogue,
            names.stream,
            names.mark(hold_id),
            names.holds,
        ),
        (handle, hold_id, units, REFUND_WINDOW_MS, now_ms or _SERVERS_CLOCK),
    )


def read_kept(reply: Sequence[Any]) -> Kept:
    """The answer of a refund or settle call."""
    if len(reply) == 1:
        return Kept(status=reply[0].decode())
    return Kept(
        status=reply[0].decode(),
        allowance=int(reply[1]),
        boost=sum(chats for _, chats in read_boosts(reply[2].decode())),
        credits=int(reply[3]),
    )
