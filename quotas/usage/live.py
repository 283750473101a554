"""What an account used up to this second: the report of what is drained, and what still waits.

Valkey is asked first, in one transaction: where the account stands, and what waits in the stream.
Then PostgreSQL, in one statement: what is drained, and up to where. If the drain has passed all
that was seen waiting, newer charges may be in the report than Valkey told of, and both are asked
again. What then comes out is of one moment: the gate's count and the sum of the bars agree.
"""

import logging
from dataclasses import dataclass
from datetime import datetime

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
    for _ in range(_TRIES):
        try:
            seen = _seen(account, at=at)
        except (RedisError, OSError) as error:
            logger.warning("no standing of account %s: %s", account.pk, type(error).__name__)
            seen = None
        report = reports.report_of(account, span, by=by, only=only)
        if seen is None:
            return Live(standing=None, report=report, is_exact=False)
        stands, waiting, newest, is_whole = seen
        is_exact = is_whole and stream.order_of(report.drained_id) <= newest
        if is_exact:
            break
    reports.add_waiting(report, span, waiting, by=by, only=only)
    return Live(standing=stands, report=report, is_exact=is_exact)


# Where an account stands, its charges that wait, and the newest id that their stream gave out.
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
