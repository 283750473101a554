"""What callers live through when Valkey hangs, and when it ends every connection."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmark.connections.process import Process
from benchmark.hot_accounts import HotAccounts
from gate.store import connection

_CALLERS = 32
_BEFORE_SECONDS = 0.5
_HANG_SECONDS = 1.5
_AFTER_SECONDS = 1.5
_BOUND_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Endured:
    """What came of one fault."""

    slowest_ms: float  # that a call took to be answered or refused
    late: int  # calls that took more than 500 ms
    refused: int
    charged_unanswered: int  # charges that no caller was told of
    back_ms: float  # from the end of the fault to the first answer after it


def hang(process: Process, accounts: HotAccounts, valkey: int) -> Endured:
    """Valkey stands still for a while; nobody is told."""

    def fault() -> float:
        os.kill(valkey, signal.SIGSTOP)
        try:
            time.sleep(_HANG_SECONDS)
        finally:
            over_at = time.monotonic()
            os.kill(valkey, signal.SIGCONT)
        return over_at

    return _endured(process, accounts, fault, seconds=_BEFORE_SECONDS + _HANG_SECONDS)


def end_connections(process: Process, accounts: HotAccounts) -> Endured:
    """Valkey ends all connections of clients at once."""

    def fault() -> float:
        over_at = time.monotonic()
        admin = connection.sync_client(accounts.url)
        admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]
        return over_at

    return _endured(process, accounts, fault, seconds=_BEFORE_SECONDS)


def _endured(
    process: Process, accounts: HotAccounts, fault: Callable[[], float], *, seconds: float
) -> Endured:
    accounts.forget_entries()
    process.order(do="endured", callers=_CALLERS, seconds=seconds + _AFTER_SECONDS)
    time.sleep(_BEFORE_SECONDS)
    over_at = fault()
    happened = process.answer()["happened"]
    # Whatever was sent and not waited for has been run by then.
    time.sleep(_BEFORE_SECONDS)
    answered = sum(not outcome for _, _, outcome in happened)
    took = [ended - began for began, ended, _ in happened]
    back = [ended for _, ended, outcome in happened if not outcome and ended > over_at]
    return Endured(
        slowest_ms=max(took) * 1000,
        late=sum(one > _BOUND_SECONDS for one in took),
        refused=len(happened) - answered,
        charged_unanswered=accounts.waiting_entries() - answered,
        back_ms=(min(back) - over_at) * 1000 if back else float("inf"),
    )
