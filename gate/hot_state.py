"""The hot state in Valkey: how its keys are spelled, which scripts touch it, what they answer.

Every key of a partition carries the partition's hash tag, so one script call serves account,
replay record and stream entry in one slot, on one server or on a cluster.

    {gNN}a:<handle>             hash    one account; field by field:
        epoch version plan packs suspended credits boosts k:<digest>      projected
        week used credits_spent b:<boost id>      written by check and refund
    {gNN}c                      hash    plans, packs, meters, credit rate, epoch: projected
    {gNN}s                      stream  charges not yet in PostgreSQL: written by check and refund
    {gNN}r:<handle>:<request>   string  the first answer to a request id: written by check
    {gNN}x:<entry id>           string  this charge was refunded: written by refund

Calls are built here as values and run by whichever client the caller has, so that the hot path
(asyncio) and the pages (sync) share one description of the state.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

PARTITIONS = 64
REPLAY_WINDOW_MS = 3600 * 1000
REFUND_WINDOW_MS = 24 * 3600 * 1000
# How long a cold account remembers a key's state that overtook its snapshot.
_TOMBSTONE_MS = 3600 * 1000
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua file: its text and the digest that Valkey knows it by."""

    text: str
    sha: str


def _script(name: str) -> Script:
    text = resources.files("gate.lua").joinpath(name + ".lua").read_text("utf-8")
    return Script(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_CHECK = _script("check")
_REFUND = _script("refund")
_PUT_ACCOUNT = _script("put_account")
_PUT_KEY = _script("put_key")
_PUT_CATALOGUE = _script("put_catalogue")


@dataclass(frozen=True, slots=True)
class Call:
    """One script call, ready for any client."""

    script: Script
    keys: tuple[str, ...]
    args: tuple[str | int, ...]


def run(client: Redis, call: Call) -> Any:
    """Run a call from a page, task or command; the hot path has `connection.HotClient`."""
    try:
        return client.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
    except NoScriptError:
        return client.eval(call.script.text, len(call.keys), *call.keys, *call.args)


def read_boosts(text: str) -> tuple[tuple[int, int], ...]:
    """Boost ids with chats, as the scripts write them: "id:chats" joined by commas."""
    pairs = (part.split(":") for part in text.split(",") if part)
    return tuple((int(boost_id), int(chats)) for boost_id, chats in pairs)


def partition_of(handle: str) -> int:
    """The partition that an account lives in, for good."""
    return zlib.crc32(handle.encode()) % PARTITIONS


def stream_name(partition: int) -> str:
    """The key of a partition's charge stream."""
    return f"{{g{partition:02d}}}s"


def _account(partition: int, handle: str) -> str:
    return f"{{g{partition:02d}}}a:{handle}"


def _catalogue(partition: int) -> str:
    return f"{{g{partition:02d}}}c"


# --- the decision ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
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
    entry_id: str = ""
    at_ms: int = 0
    left_by_boost: str = ""  # "boost id:chats" joined by commas, of a look only

    @property
    def allowance_left(self) -> int | None:
        """Chats left of this week's allowance; None is unlimited."""
        return None if self.cap is None else max(0, self.cap - self.used)

    @property
    def boost_taken(self) -> int:
        """Chats taken from boosts, all together."""
        return sum(chats for _, chats in read_boosts(self.boosts_taken))

    @property
    def chats_left(self) -> int | None:
        """Chats that may still be used from every source; None is unlimited."""
        left = self.allowance_left
        if left is None:
            return None
        return left + self.boost_left + max(0, self.credits_left) // self.credits_per_chat


def check_call(
    *,
    handle: str,
    digests: Sequence[str],
    meter: str,
    units: int,
    request_id: str | None,
    now_ms: int,
    week: int,
) -> Call:
    """Decide one charge of a key (`units` 0 looks). Without digests it looks at the account."""
    partition = partition_of(handle)
    keys = [_account(partition, handle), _catalogue(partition), stream_name(partition)]
    fingerprint = ""
    if request_id is not None:
        keys.append(f"{{g{partition:02d}}}r:{handle}:{request_id}")
        fingerprint = f"{digests[0]}|{meter}|{units}"
    return Call(
        _CHECK,
        tuple(keys),
        (now_ms, week, meter, units, handle, REPLAY_WINDOW_MS, fingerprint, *digests),
    )


def read_answer(reply: Sequence[Any]) -> Answer:
    """The answer of a check call."""
    texts = [part.decode() if isinstance(part, bytes) else part for part in reply]
    if len(texts) == 1:
        return Answer(status=texts[0])
    cap = int(texts[3])
    return Answer(
        status=texts[0],
        key_id=int(texts[1]),
        plan=texts[2],
        cap=None if cap == UNLIMITED else cap,
        used=int(texts[4]),
        boost_left=int(texts[5]),
        credits_left=int(texts[6]),
        credits_per_chat=int(texts[7]),
        week=int(texts[8]),
        allowance_taken=int(texts[9]),
        boosts_taken=texts[10],
        credits_taken=int(texts[11]),
        entry_id=texts[12],
        at_ms=int(texts[13]),
        left_by_boost=texts[14],
    )


def refund_call(
    *,
    handle: str,
    entry_id: str,
    key_id: int,
    meter: str,
    at_ms: int,
    charge_week: int,
    allowance: int,
    boosts: str,
    credits: int,
    credit_chats: int,
    week: int,
) -> Call:
    """Give back what one charge took; answers [status, allowance chats given back]."""
    partition = partition_of(handle)
    return Call(
        _REFUND,
        (
            _account(partition, handle),
            _catalogue(partition),
            stream_name(partition),
            f"{{g{partition:02d}}}x:{entry_id}",
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
            week,
            credit_chats,
        ),
    )


# --- projections from PostgreSQL ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoostGrant:
    """One boost as the gate needs it."""

    boost_id: int
    chats: int
    expires_ms: int
    spent: int


@dataclass(frozen=True, slots=True)
class KeyState:
    """One API key as the gate needs it; the highest version of a key wins."""

    digest: str
    version: int
    key_id: int
    is_active: bool

    @property
    def record(self) -> str:
        """The key's field value in the account hash."""
        return f"{self.version}|{self.key_id}|{'active' if self.is_active else 'revoked'}"


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """What PostgreSQL says of an account, read in one transaction."""

    handle: str
    epoch: int
    version: int
    plan: str
    packs: tuple[str, ...]
    suspended: bool
    credits: int  # granted in total, spending not subtracted
    boosts: tuple[BoostGrant, ...]
    week: int
    used: int  # of the allowance, in that week, as far as drained
    credits_spent: int  # in total, as far as drained
    keys: tuple[KeyState, ...]


@dataclass(frozen=True, slots=True)
class CatalogueSnapshot:
    """Plans, packs, meters and the credit rate. Caps: None is unlimited."""

    version: int
    credits_per_chat: int
    meters: Mapping[str, int] = field(default_factory=dict)  # slug -> chats
    caps: Mapping[str, int | None] = field(default_factory=dict)  # plan slug -> weekly chats
    pack_caps: Mapping[tuple[str, str], int | None] = field(default_factory=dict)  # plan, pack


def put_account_call(snapshot: AccountSnapshot) -> Call:
    """Project an account; answers b"stored", b"cold_catalogue" or b"stale_epoch"."""
    partition = partition_of(snapshot.handle)
    boosts = sorted(snapshot.boosts, key=lambda boost: (boost.expires_ms, boost.boost_id))
    body = {
        "epoch": str(snapshot.epoch),
        "version": str(snapshot.version),
        "plan": snapshot.plan,
        "packs": ",".join(snapshot.packs),
        "suspended": "1" if snapshot.suspended else "0",
        "credits": str(snapshot.credits),
        "boosts": ";".join(f"{b.boost_id},{b.chats},{b.expires_ms}" for b in boosts),
        "week": str(snapshot.week),
        "used": str(snapshot.used),
        "credits_spent": str(snapshot.credits_spent),
        "boosts_spent": {str(b.boost_id): str(b.spent) for b in boosts if b.spent},
        "keys": {key.digest: key.record for key in snapshot.keys},
    }
    return Call(
        _PUT_ACCOUNT,
        (_account(partition, snapshot.handle), _catalogue(partition)),
        (json.dumps(body),),
    )


def put_key_call(handle: str, key: KeyState) -> Call:
    """Project one key's state."""
    partition = partition_of(handle)
    return Call(_PUT_KEY, (_account(partition, handle),), (key.digest, key.record, _TOMBSTONE_MS))


def put_catalogue_call(partition: int, epoch: int, snapshot: CatalogueSnapshot) -> Call:
    """Project the catalogue into one partition."""
    fields: list[str | int] = ["rate", snapshot.credits_per_chat]
    for meter, chats in snapshot.meters.items():
        fields += [f"meter:{meter}", chats]
    for plan, cap in snapshot.caps.items():
        fields += [f"cap:{plan}", UNLIMITED if cap is None else cap]
    for (plan, pack), cap in snapshot.pack_caps.items():
        fields += [f"cap:{plan}:{pack}", UNLIMITED if cap is None else cap]
    return Call(_PUT_CATALOGUE, (_catalogue(partition),), (epoch, snapshot.version, *fields))


# --- the stream -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One charge (or, with negative amounts, one refund) as it waits in the stream."""

    entry_id: str
    handle: str
    key_id: int
    meter: str
    at_ms: int
    week: int
    allowance: int  # chats
    boosts: tuple[tuple[int, int], ...]  # boost id, chats
    credit_chats: int  # chats that credits paid
    credits: int

    @property
    def boost_chats(self) -> int:
        """Chats that boosts paid, all together."""
        return sum(chats for _, chats in self.boosts)


def read_entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """The entry that check or refund wrote."""
    handle, key_id, meter, at_ms, week, allowance, boosts, credit_chats, credits = (
        fields[b"e"].decode().split("|")
    )
    return Entry(
        entry_id=entry_id.decode(),
        handle=handle,
        key_id=int(key_id),
        meter=meter,
        at_ms=int(at_ms),
        week=int(week),
        allowance=int(allowance),
        boosts=read_boosts(boosts),
        credit_chats=int(credit_chats),
        credits=int(credits),
    )
