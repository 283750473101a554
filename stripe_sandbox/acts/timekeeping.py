"""What falls due, in the order in which it does, and how a developer puts the clock ahead."""

import logging
from collections.abc import Callable

from stripe_sandbox.acts import checkout, disputing, periods, refunding, renewing
from stripe_sandbox.books import Books
from stripe_sandbox.timers import Timer

logger = logging.getLogger(__name__)

DAY = 24 * 3600.0
MOST_DAYS = 366
MOST_MONTHS = 12

ACTS: dict[str, Callable[[Books, str], None]] = {
    "settles": lambda books, intent_id: checkout.settle(books, intent_id, paid=True),
    "bounces": lambda books, intent_id: checkout.settle(books, intent_id, paid=False),
    "refund_fails": refunding.fail,
    "refund_succeeds": refunding.succeed,
    "dispute": disputing.open_dispute,
    "inquiry": disputing.open_inquiry,
    "warn": disputing.warn,
    "renew": renewing.renew,
    "retry": renewing.retry,
}


def catch_up(books: Books) -> None:
    """Do whatever is due; a jump over months does what each of them would have brought."""
    checkout.expire_overdue(books)
    while timer := books.timers.take("real", by=books.now):
        _do(books, timer)
    until = books.billing_now
    while timer := books.timers.take("billing", by=until):
        books.billing_now = timer.due_at
        _do(books, timer)
    books.billing_now = until


def put_ahead(books: Books, *, days: int = 0, months: int = 0) -> None:
    """Put the clock of subscriptions ahead, and do what falls due on the way."""
    later = periods.months_later(books.billing_now, months) + days * DAY
    books.keep_setting("ahead_seconds", books.ahead_seconds + later - books.billing_now)
    books.billing_now = later
    catch_up(books)


def _do(books: Books, timer: Timer) -> None:
    """Do one thing; what cannot be done (an older file may lack something) stops no other."""
    try:
        with books.undone_by(LookupError):
            ACTS[timer.act](books, timer.object_id)
    except LookupError:
        logger.exception("the sandbox could not do %s to %s", timer.act, timer.object_id)
