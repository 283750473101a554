"""The hot state in Valkey: how its keys are spelled, how its scripts are called, what they write.

Every key of a partition carries the partition's hash tag, so one script call serves account,
replay record and stream entry in one slot, on one server or on a cluster.

    {gNN}a:<handle>             hash    one account; field by field:
        epoch version plan packs suspended credits boosts k:<key digest>    projected
        week used credits_spent b:<boost id> u:<key digest> holding h:<hold id>    by the scripts
    {gNN}c                      hash    plans, packs, meters, credit rate, epoch, pushes: projected
    {gNN}s                      stream  charges that are not yet in PostgreSQL: by the scripts
    {gNN}n                      hash    refusals that are not yet in PostgreSQL: by check
    {gNN}h:<handle>             zset    holds of an account by when they run out: by the scripts
    {gNN}i:<handle>:<hash>      string  the first answer to a request id: by check
    {gNN}x:<charge ref>         string  what a refund or settlement did: by refund and settle

Calls are built as values (`charges`, `snapshots`) and run by whichever client the caller has, so
that the hot path (asyncio) and the pages (sync) share one description of the state.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import NoScriptError

from gate.terms.redaction import holds_secret

PARTITIONS = 64
REPLAY_WINDOW_MS = 3600 * 1000
REFUND_WINDOW_MS = 24 * 3600 * 1000
HOUR_MS = 3600 * 1000
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script: its text and the digest that Valkey knows it by."""

    text: str
    sha: str


def script(*names: str) -> Script:
    """The script in the last file; the files before it hold functions that it shares."""
    files = resources.files("gate.store.lua")
    text = "\n".join(files.joinpath(name + ".lua").read_text("utf-8") for name in names)
    return Script(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(slots=True)
class Call:
    """One script call, ready for any client."""

    script: Script
    keys: tuple[str, ...]
    args: tuple[str | int, ...]


def run(client: Redis | RedisCluster, call: Call) -> Any:
    """Run a call from a page, task or command; the hot path has `connection.HotClient`."""
    try:
        return client.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
    except NoScriptError:
        return client.eval(call.script.text, len(call.keys), *call.keys, *call.args)


def partition_of(handle: str) -> int:
    """The partition that an account lives in, for good."""
    return zlib.crc32(handle.encode()) % PARTITIONS


def partition_of_call(call: Call) -> int:
    """The partition that a call is about: the two digits of its keys' hash tag."""
    return int(call.keys[0][2:4])


# --- names ----------------------------------------------------------------------------------


@dataclass(slots=True)
class AccountKeys:
    """The keys of one account and of its partition; `prefix` is the partition's hash tag."""

    handle: str
    prefix: str

    @property
    def account(self) -> str:
        """The account's hash."""
        return f"{self.prefix}a:{self.handle}"

    @property
    def holds(self) -> str:
        """The account's holds."""
        return f"{self.prefix}h:{self.handle}"

    @property
    def catalogue(self) -> str:
        """The catalogue of its partition."""
        return self.prefix + "c"

    @property
    def stream(self) -> str:
        """The charge stream of its partition."""
        return self.prefix + "s"

    @property
    def refusals(self) -> str:
        """The refusal counts of its partition."""
        return self.prefix + "n"

    def replay(self, request_id: str) -> str:
        """The first answer to a request id."""
        name = hashlib.blake2b(request_id.encode(), digest_size=16).hexdigest()
        return f"{self.prefix}i:{self.handle}:{name}"

    def replay_of_first_release(self, request_id: str) -> str | None:
        """Where release 0.1.0 kept it for an hour, in clear; None for what no name may hold.

        Only read, so that nobody is charged twice while servers are upgraded. It may go once no
        server of that release has run for an hour.
        """
        if holds_secret(request_id):
            return None
        return f"{self.prefix}r:{self.handle}:{request_id}"

    def mark(self, charge_ref: str) -> str:
        """What a refund or settlement did to a charge."""
        return f"{self.prefix}x:{charge_ref}"


def keys_of(handle: str) -> AccountKeys:
    """The keys of an account."""
    return AccountKeys(handle, _prefix(partition_of(handle)))


def catalogue_name(partition: int) -> str:
    """The key of a partition's catalogue."""
    return _prefix(partition) + "c"


def stream_name(partition: int) -> str:
    """The key of a partition's charge stream."""
    return _prefix(partition) + "s"


def refusals_name(partition: int) -> str:
    """The key of a partition's refusal counts."""
    return _prefix(partition) + "n"


_PREFIXES = tuple(f"{{g{partition:02d}}}" for partition in range(PARTITIONS))


def _prefix(partition: int) -> str:
    return _PREFIXES[partition]


# --- the stream -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mark:
    """What a refund or settlement did to a charge; kept for the refund window."""

    charge_ref: str
    content: str


@dataclass(slots=True)
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
    mark: Mark | None

    @property
    def boost_chats(self) -> int:
        """Chats that boosts paid, all together."""
        return sum(chats for _, chats in self.boosts)


RawEntry = tuple[bytes, Mapping[bytes, bytes]]


def read_entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """The entry that check, refund or settle wrote."""
    # The time stands last, so that charges which are otherwise alike begin alike.
    handle, key_id, meter, week, allowance, boosts, credit_chats, credits, at_ms = (
        fields[b"e"].decode().split("|")
    )
    mark = None
    if b"m" in fields:
        charge_ref, _, content = fields[b"m"].decode().partition("|")
        mark = Mark(charge_ref=charge_ref, content=content)
    return Entry(
        entry_id=entry_id.decode(),
        handle=handle,
        key_id=int(key_id),
        meter=meter,
        at_ms=int(at_ms),
        week=int(week),
        allowance=int(allowance),
        boosts=read_boosts(boosts) if boosts else (),
        credit_chats=int(credit_chats),
        credits=int(credits),
        mark=mark,
    )


def read_alike(raw: Iterable[RawEntry]) -> list[tuple[Entry, int]]:
    """Entries of a stream with how often each is there: charges of one hour that are alike are one.

    Of those the latest is told. Most charges take one chat, so that few differ.
    """
    marked: list[tuple[Entry, int]] = []
    alike: dict[tuple[bytes, int], tuple[int, int, RawEntry]] = {}
    for one in raw:
        fields = one[1]
        if b"m" in fields:
            marked.append((read_entry(*one), 1))
            continue
        says, _, at = fields[b"e"].rpartition(b"|")
        at_ms = int(at)
        which = (says, at_ms // HOUR_MS)
        count, latest_ms, latest = alike.get(which, (0, 0, one))
        if at_ms >= latest_ms:
            latest_ms, latest = at_ms, one
        alike[which] = (count + 1, latest_ms, latest)
    return [*((read_entry(*latest), count) for count, _, latest in alike.values()), *marked]


def read_boosts(text: str) -> tuple[tuple[int, int], ...]:
    """Boost ids with chats, as the scripts write them: "id:chats" joined by commas."""
    pairs = (part.split(":") for part in text.split(",") if part)
    return tuple((int(boost_id), int(chats)) for boost_id, chats in pairs)
