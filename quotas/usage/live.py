"""What an account used up to this second: the report of what is drained, and what still waits.

Valkey is asked first, in one transaction: where the account stands, and what waits in the stream.
Then PostgreSQL, in one statement: what is drained, and up to where. If the drain has passed all
that was seen waiting, newer charges may be in the report than Valkey told of, and both are asked
again. What then comes out is of one moment: the gate's count and the sum of the bars agree.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.conf import settings
from redis.exceptions import NoScriptError, RedisError

from accounts.models import Account
from gate.store import charges, connection, hot_state
from gate.store.hot_state import Entry
from gate.terms.reasons import Outcome
from quotas import projection
from quotas.standing import Standing, look_call, of_answer
from quotas.usage import report as reports
from quotas.usage import stream
from quotas.usage.asked import By, Only
from quotas.usage.report import Report
from quotas.usage.spans import Span

logger = logging.getLogger(__name__)

T = TypeVar("T")

# What is read of the stream at most: as much as waits when the drain is some seconds behind.
_WAITING_AT_MOST = 20_000
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Live:
    """An account's use in a span. standing: None when the gate gives no answer.

    is_exact: whether what still waits is in it.
    """

    standing: Standing | None
    report: Report
    is_exact: bool


def look(account: Account, span: Span, *, by: By, only: Only, at: datetime | None = None) -> Live:
    """Where an account stands, and what it used in a span, of one moment.

    at: another moment than now. Looking also ends what has ended by then, so only tests tell it.
    """

    def read() -> tuple[str, Report]:
        report = reports.report_of(account, span, by=by, only=only)
        return report.drained_id, report

    report, moment = of_one_moment(account, read, at=at)
    reports.add_waiting(report, span, moment.waiting, by=by, only=only)
    return Live(standing=moment.standing, report=report, is_exact=moment.is_exact)


@dataclass(frozen=True, slots=True)
class Moment:
    """What Valkey says of the moment that something was read of PostgreSQL.

    standing: None when the gate gives no answer. waiting: charges that are not in what was read.
    is_exact: with these it is whole.
    """

    standing: Standing | None
    waiting: list[Entry]
    is_exact: bool


def of_one_moment(
    account: Account, read: Callable[[], tuple[str, T]], *, at: datetime | None = None
) -> tuple[T, Moment]:
    """What was read, and what it lacks; `at` as above.

    read: one statement, that also tells up to which id the account's partition is drained.
    """
    for _ in range(_TRIES):
        try:
            seen = _seen(account, at=at)
        except (RedisError, OSError) as error:
            logger.warning("no standing of account %s: %s", account.pk, type(error).__name__)
            seen = None
        drained_id, found = read()
        if seen is None:
            return found, Moment(None, [], is_exact=False)
        stands, waiting, newest, is_whole = seen
        passed = stream.order_of(drained_id)
        is_exact = is_whole and passed <= newest
        if is_exact:
            break
    left = [entry for entry in waiting if stream.order_of(entry.entry_id) > passed]
    return found, Moment(stands, left, is_exact=is_exact)


# Where an account stands, its charges that wait, the newest id that their stream gave out, and
# whether all of it was read.
_Seen = tuple[Standing, list[Entry], tuple[int, int], bool]


def _seen(account: Account, *, at: datetime | None) -> _Seen | None:
    """What Valkey says of one moment; None when it does not know the account."""
    client = connection.sync_client(settings.REDIS_URL)
    call = look_call(account, at=at)
    name = hot_state.stream_name(account.partition_index)
    # Once for a script that is not known yet, once for an account that is cold.
    for _ in range(3):
        with client.pipeline(transaction=True) as pipe:
            # By its name: on a cluster the client has no method for it, though it knows the slot.
            pipe.execute_command("EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.args)
            pipe.xrange(name, count=_WAITING_AT_MOST)
            pipe.xinfo_stream(name)
            answered, raw, info = pipe.execute(raise_on_error=False)
        if isinstance(answered, NoScriptError):
            hot_state.run(client, call)
            continue
        for failed in (answered, raw):
            if isinstance(failed, Exception):
                raise failed
        answer = charges.read_answer(answered)
        if answer.status in {Outcome.COLD, Outcome.COLD_CATALOGUE}:
            # Without a catalogue nothing is warm.
            if not projection.push(account, is_cold=True):
                return None
            continue
        # There is no stream before the first charge of a partition.
        newest = stream.newest_id_of(None if isinstance(info, Exception) else info)
        read = stream.read_raw(raw)
        ours = account.handle.encode() + b"|"
        waiting = [hot_state.read_entry(*one) for one in read if one[1][b"e"].startswith(ours)]
        is_whole = len(raw) < _WAITING_AT_MOST
        return of_answer(account, answer), waiting, stream.order_of(newest), is_whole
    return None
