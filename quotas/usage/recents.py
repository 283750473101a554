"""The last decisions of an account, one by one: what passed and paid, what was refused and why.

They are in Valkey alone, the last 1,000 that passed and the last 1,000 that were refused, each kind
for itself, so that neither can push out the other. Refusals come from `check`, charges with the
drain. When Valkey was emptied, or an older copy of it restored, what was in it is gone.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.conf import settings
from redis.exceptions import ResponseError

from accounts.models import Account
from gate.store import connection, hot_state, layout
from gate.store.hot_state import Entry, RawEntry
from gate.store.layout import RECENT_AT_MOST
from gate.terms.reasons import Reason
from quotas.usage import stream

logger = logging.getLogger(__name__)

# After the last one that passed.
KEPT_FOR_SECONDS = 35 * 24 * 3600
# What is put in and read at once: Valkey answers no check meanwhile.
_ACCOUNTS_AT_ONCE = 50
_UNDRAINED_AT_MOST = 20_000
# What a drain that died may have left of a partition.
_LEFT_AT_MOST = 2_000
_REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision: what it took by source, or why it was refused.

    reason: of `gate.terms.reasons`, "ok" for what passed. chats: of every source; of a refusal what
    it would have taken. model, meter, tag and request_id are "" where nobody said.
    """

    at: datetime
    reason: str
    key_id: int
    meter: str
    model: str
    tag: str
    request_id: str
    chats: int
    allowance: int = 0
    boost: int = 0
    credit_chats: int = 0
    credits: int = 0
    is_given_back: bool = False

    @property
    def has_passed(self) -> bool:
        """Whether it was allowed."""
        return self.reason == Reason.OK


# --- by the drain -----------------------------------------------------------------------------


def keep(found: Mapping[int, Sequence[RawEntry]], *, drained: Mapping[int, str]) -> None:
    """Put charges that PostgreSQL has into the lists of their accounts, before they are trimmed.

    drained: up to where the streams of partitions were written down before. What still stands there
    was left by a drain that died before it came to this, or is another's, which may be about to do
    the same: who reads the lists counts each once.
    Raises RedisError or OSError when Valkey gives no answer.
    """
    left = stream.raw_entries_until(drained, at_most=_LEFT_AT_MOST)
    by_account: dict[bytes, list[bytes]] = defaultdict(list)
    for index in drained:
        # From the newest on: of each account no more than its list can hold.
        for some in (reversed(found.get(index, ())), left[index]):
            for raw in some:
                lines = by_account[raw[1][b"e"].partition(b"|")[0]]
                if len(lines) < RECENT_AT_MOST:
                    lines.append(hot_state.as_passed(raw))
    client = connection.sync_client(settings.REDIS_URL)
    waiting = iter(by_account.items())
    while some_accounts := list(islice(waiting, _ACCOUNTS_AT_ONCE)):
        with client.pipeline(transaction=False) as pipe:
            for handle, lines in some_accounts:
                name = hot_state.keys_of(handle.decode()).passed
                pipe.rpush(name, *reversed(lines))
                pipe.ltrim(name, -RECENT_AT_MOST, -1)
                pipe.expire(name, KEPT_FOR_SECONDS)
            answers = pipe.execute(raise_on_error=False)
        _complain(answers)


def _complain(answers: Iterable[object]) -> None:
    """Log what Valkey refused, as it does without memory: what is written down is trimmed anyway.

    Any other error ends the drain before that, and the next one repeats this.
    """
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    for error in refused:
        if not isinstance(error, ResponseError):
            raise error
    if refused:
        logger.error("recent requests of accounts were not kept: %s", refused[0])


# --- by pages ---------------------------------------------------------------------------------


def decisions_of(account: Account) -> list[Decided]:
    """The last decisions of an account, the newest first, the last second included.

    All of the last 1,000 are among them, and of each kind the last 1,000.
    Raises RedisError or OSError when Valkey gives no answer.
    """
    client = connection.sync_client(settings.REDIS_URL)
    names = hot_state.keys_of(account.handle)
    # Charges go from the stream to the list: in this order none is missed.
    entries = dict(_undrained(account))
    with client.pipeline(transaction=False) as pipe:
        pipe.lrange(names.passed, -RECENT_AT_MOST, -1)
        pipe.hmget(names.account, hot_state.REFUSAL_FIELDS)
        passed, places = pipe.execute()
    entries |= map(hot_state.read_passed, passed)
    # Nothing tells which came first within a millisecond; what was refused mostly follows what used
    # up the quota, so there it counts as the newer one.
    decided = [*_refused(places), *_passed(entries.items())]
    return sorted(decided, key=lambda one: one.at, reverse=True)


def _undrained(account: Account) -> Iterator[RawEntry]:
    index = account.partition_index
    ours = account.handle.encode() + b"|"
    for raw in stream.raw_entries_after({index: "0-0"}, at_most=_UNDRAINED_AT_MOST)[index]:
        if raw[1][b"e"].startswith(ours):
            yield raw


def _passed(raw: Iterable[RawEntry]) -> list[Decided]:
    """Charges of entries, the newest first; what was given back says so."""
    charges: dict[str, Decided] = {}
    refunds: dict[str, Decided] = {}
    in_order = sorted(
        (hot_state.read_entry(*one) for one in raw),
        key=lambda entry: stream.order_of(entry.entry_id),
    )
    for entry in in_order:
        mark = entry.mark
        if mark is not None and layout.MARK.read(mark.content)["kind"] == _REFUNDED:
            refunds[mark.charge_ref] = _read_charge(entry)
        else:
            charges[entry.entry_id if mark is None else mark.charge_ref] = _read_charge(entry)
    for charge_ref in refunds:
        charge = charges.get(charge_ref)
        # The charge may be older than all that is kept.
        if charge is not None:
            charges[charge_ref] = replace(charge, is_given_back=True)
    return list(reversed(charges.values()))[:RECENT_AT_MOST]


def _read_charge(entry: Entry) -> Decided:
    return Decided(
        at=_moment(entry.at_ms),
        reason=Reason.OK,
        key_id=entry.key_id,
        meter=entry.meter,
        model=entry.tokens.model if entry.tokens else "",
        tag=entry.tag,
        request_id=entry.request_id,
        chats=entry.chats,
        allowance=entry.allowance,
        boost=entry.boost_chats,
        credit_chats=entry.credit_chats,
        credits=entry.credits,
    )


def _refused(places: Iterable[bytes | None]) -> Iterator[Decided]:
    """What stands in the places for refusals, the newest first."""
    said = [layout.REFUSED.read(record.decode()) for record in places if record is not None]
    return map(_read_refusal, sorted(said, key=lambda says: -says["number"]))


def _read_refusal(says: Mapping[str, Any]) -> Decided:
    note = layout.NOTE.read(says["note"])
    return Decided(
        at=_moment(says["at_ms"]),
        reason=says["reason"],
        key_id=says["key_id"],
        meter=says["meter"],
        model=note["model"],
        tag=note["tag"],
        request_id=note["request_id"],
        chats=says["chats"],
    )


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
