"""The hot state in Valkey: how its keys are spelled, how its scripts are called, what they write.

Every key of a partition carries the partition's hash tag, so one script call serves account,
replay record and stream entry in one slot, on one server or on a cluster.

    {gNN}a:<handle>             hash    one account; field by field:
        epoch version plan plans packs suspended credits boosts k:<key digest>    projected
        week used credits_spent b:<boost id> u:<key digest> holding h:<hold id>    by the scripts
        refused f:<place>                                               by check
        spending p:<key digest> m:<key digest> o:<key digest>           projected
        paid c:<key digest>                                             by the scripts
        requests r:<key id>                                             by check
    {gNN}c                      hash    plans, packs, meters, credit rate, epoch, pushes: projected
    {gNN}s                      stream  charges that are not yet in PostgreSQL: by the scripts
    {gNN}n                      hash    refusals that are not yet in PostgreSQL: by check
    {gNN}h:<handle>             zset    holds of an account by when they run out: by the scripts
    {gNN}l:<handle>             list    charges of an account that passed lately: by the drain
    {gNN}i:<handle>:<hash>      string  the first answer to a request id: by check
    {gNN}x:<charge ref>         string  what a refund or settlement did: by refund and settle

What stands in their fields and texts is declared in `layout`. Calls are built as values (`charges`,
`snapshots`) and run by whichever client the caller has, so that the hot path (asyncio) and the
pages (sync) share one description of the state.
"""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import NoScriptError

from gate.store import layout
from gate.store.expanding import expand
from gate.store.packing import Known, pack
from gate.terms.redaction import holds_secret

PARTITIONS = 64
REPLAY_WINDOW_MS = 3600 * 1000
REFUND_WINDOW_MS = 24 * 3600 * 1000
HOUR_MS = 3600 * 1000
QUARTER_MS = HOUR_MS // 4


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script: its text and the digest that Valkey knows it by."""

    text: str
    sha: str


def script(name: str) -> Script:
    """A script that `layout` declares, of its files."""
    folder = resources.files("gate.store.lua")
    files = (folder.joinpath(f"{file}.lua") for file in layout.SCRIPTS[name].files)
    text = expand("\n".join(file.read_text("utf-8") for file in files), script=name)
    return Script(text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(slots=True)
class Call:
    """One script call, ready for any client; `known` is what of it was packed before."""

    script: Script
    keys: tuple[str, ...]
    args: tuple[str | int, ...]
    known: Known | None = None

    def packed(self) -> bytes:
        """What goes to a Valkey that knows the script."""
        if self.known is not None:
            return self.known.pack(self.script.sha, self.keys, self.args)
        return pack("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def packed_with_text(self) -> bytes:
        """What goes to one that does not."""
        return pack("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)


def run(client: Redis | RedisCluster, call: Call) -> Any:
    """Run a call from a page, task or command; the hot path has `connection.HotClient`."""
    try:
        return client.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
    except NoScriptError:
        return client.eval(call.script.text, len(call.keys), *call.keys, *call.args)


def run_all(client: Redis | RedisCluster, calls: Sequence[Call]) -> list[Any]:
    """Run calls that may be for different partitions; one round trip where there is one server.

    The first that fails raises; those before and after it may have been run.
    """
    if isinstance(client, RedisCluster):
        return [run(client, call) for call in calls]
    with client.pipeline(transaction=False) as pipeline:
        for call in calls:
            pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
        answers = pipeline.execute(raise_on_error=False)
    for at, answer in enumerate(answers):
        if isinstance(answer, NoScriptError):
            answers[at] = run(client, calls[at])
        elif isinstance(answer, Exception):
            raise answer
    return answers


def partition_of(handle: str) -> int:
    """The partition that an account lives in, for good."""
    return zlib.crc32(handle.encode()) % PARTITIONS


def partition_of_call(call: Call) -> int:
    """The partition that a call is about: the two digits of its keys' hash tag."""
    return int(call.keys[0][2:4])


# --- names ----------------------------------------------------------------------------------


class AccountKeys:
    """The keys of one account and of its partition, spelled once."""

    __slots__ = (
        "account",
        "catalogue",
        "handle",
        "holds",
        "of_a_check",
        "passed",
        "prefix",
        "refusals",
        "stream",
    )

    def __init__(self, handle: str, prefix: str) -> None:
        self.handle = handle
        # The partition's hash tag.
        self.prefix = prefix
        self.account = f"{prefix}a:{handle}"
        self.holds = f"{prefix}h:{handle}"
        self.passed = f"{prefix}l:{handle}"
        # Of its partition.
        self.catalogue = prefix + "c"
        self.stream = prefix + "s"
        self.refusals = prefix + "n"
        self.of_a_check = (self.account, self.catalogue, self.stream, self.refusals, self.holds)

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


@lru_cache(maxsize=8192)
def keys_of(handle: str) -> AccountKeys:
    """The keys of an account; those that are asked for again and again are kept."""
    return AccountKeys(handle, _prefix(partition_of(handle)))


def paid_field(key_digest: str = "") -> str:
    """The field of an account that says what credits were spent; with a digest, by that key."""
    spell = layout.ACCOUNT.spell
    return spell("paid_by_key") + key_digest if key_digest else spell("paid")


def catalogue_name(partition: int) -> str:
    """The key of a partition's catalogue."""
    return _prefix(partition) + "c"


# The places of an account for its last refusals.
REFUSAL_FIELDS = tuple(
    f"{layout.ACCOUNT.spell('refusal')}{place}" for place in range(layout.RECENT_AT_MOST)
)


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


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a settled answer took of a model, as the model counts.

    model: as customers name it, without "|"; "" where nobody says.
    """

    model: str
    tokens_in: int
    tokens_out: int

    def as_record(self) -> str:
        """As it waits in the stream."""
        return layout.TOKENS.write(
            model=self.model, tokens_in=self.tokens_in, tokens_out=self.tokens_out
        )


@dataclass(slots=True)
class Entry:
    """One charge (or, with negative amounts, one refund) as it waits in the stream.

    tag: for whom, in the caller's words. request_id: by which people find it again; "" of a refund.
    """

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
    tokens: Tokens | None = None
    tag: str = ""
    request_id: str = ""

    @property
    def boost_chats(self) -> int:
        """Chats that boosts paid, all together."""
        return sum(chats for _, chats in self.boosts)

    @property
    def chats(self) -> int:
        """Chats of every source."""
        return self.allowance + self.boost_chats + self.credit_chats


RawEntry = tuple[bytes, Mapping[bytes, bytes]]
_BETWEEN = layout.PASSED.separator.encode()
_OF_AN_ENTRY = tuple(field.name.encode() for field in layout.PASSED.fields[1:])
_BETWEEN_NOTES = layout.NOTE.separator.encode()


def read_entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
    """The entry that check, refund or settle wrote."""
    says = layout.ENTRY.read(fields[b"e"].decode())
    says["boosts"] = read_boosts(says["boosts"])
    mark = None
    if b"m" in fields:
        charge_ref, _, content = fields[b"m"].decode().partition("|")
        mark = Mark(charge_ref=charge_ref, content=content)
    tokens = None
    if b"t" in fields:
        tokens = Tokens(**layout.TOKENS.read(fields[b"t"].decode()))
    note = layout.NOTE.read(fields.get(b"n", b"").decode())
    return Entry(
        entry_id=entry_id.decode(),
        mark=mark,
        tokens=tokens,
        tag=note["tag"],
        request_id=note["request_id"],
        **says,
    )


def as_passed(raw: RawEntry) -> bytes:
    """What stands in the list of an account's charges for one of its entries."""
    entry_id, fields = raw
    return _BETWEEN.join((entry_id, *(fields.get(name, b"") for name in _OF_AN_ENTRY)))


def read_passed(record: bytes) -> RawEntry:
    """The entry that a record of that list was made of."""
    entry_id, *parts = record.split(_BETWEEN)
    fields = zip(_OF_AN_ENTRY, parts, strict=False)
    return entry_id, {name: value for name, value in fields if value}


_AT_MS = layout.ENTRY.at("at_ms")


def read_alike(raw: Iterable[RawEntry]) -> list[tuple[Entry, int]]:
    """Entries of a stream with how often each is there: those of a quarter that are alike are one.

    A quarter of an hour. Of those the latest is told. Most charges take one chat, so that few
    differ.
    """
    marked: list[tuple[Entry, int]] = []
    alike: dict[tuple[bytes | int, ...], tuple[int, int, RawEntry]] = {}
    for one in raw:
        fields = one[1]
        # What has tokens was settled, which leaves a mark.
        if b"m" in fields:
            marked.append((read_entry(*one), 1))
            continue
        # What stands before the time, and whatever was appended behind it.
        parts: list[bytes | int] = [*fields[b"e"].split(b"|", _AT_MS + 1)]
        at_ms = int(parts[_AT_MS])
        parts[_AT_MS] = at_ms // QUARTER_MS
        # The rest of a note is of this charge alone.
        parts.append(fields.get(b"n", b"").partition(_BETWEEN_NOTES)[0])
        which = tuple(parts)
        count, latest_ms, latest = alike.get(which, (0, 0, one))
        if at_ms >= latest_ms:
            latest_ms, latest = at_ms, one
        alike[which] = (count + 1, latest_ms, latest)
    return [*((read_entry(*latest), count) for count, _, latest in alike.values()), *marked]


def read_boosts(text: str) -> tuple[tuple[int, int], ...]:
    """Boost ids with chats, as the scripts write them: "id:chats" joined by commas."""
    return tuple((taken["id"], taken["chats"]) for taken in layout.TAKEN.read_list(text))
