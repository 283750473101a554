"""Bringing alerts to people and servers.

A server is told at least once, always by the same `webhook-id`, so that it can drop what it has.
A person is told at most once: that a mail is being sent is written down before the mail server is
asked, and when nobody knows what became of it, it is not sent again unless somebody says so.
Nothing is held meanwhile: no transaction, no lock, no connection.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from accounts import outbox
from accounts.outside import CannotCall, TooManyCalls
from alerts import endpoints, mails, posting, signing, truth
from alerts.models import Delivery, Kind, WebhookEndpoint
from alerts.posting import Message, Outcome
from alerts.reasons import Reason
from gate.terms import week

logger = logging.getLogger(__name__)

_State = Delivery.State
# Longer than a mail server or a round of webhooks is waited for.
_CLAIM = timedelta(minutes=2)
_MAILS_AT_ONCE = 50
_POSTS_AT_ONCE = 32
_ROUNDS_AT_MOST = 5
# In a row; then the mail server is taken to be away, and the next turn is soon enough.
_FAILURES_AT_MOST = 3


# What time it is, in a turn that began at some moment.
_Clock = Callable[[], datetime]


def send_mails(*, at: datetime) -> int:
    """Send the mails that are due, oldest first; answers how many were tried."""
    lost = Delivery.objects.filter(state=_State.SENDING, claimed_until__lte=at)
    lost.update(state=_State.UNKNOWN, error=Reason.WORKER_DIED, done_at=at, claimed_until=None)
    due = Delivery.objects.filter(endpoint=None, state=_State.WAITING, next_try_at__lte=at)
    now = _clock(at)
    tried = failures = 0
    for delivery in list(
        due.select_related("alert__account", "user").order_by("next_try_at", "pk")[:_MAILS_AT_ONCE]
    ):
        if failures == _FAILURES_AT_MOST:
            break
        tried += 1
        try:
            failures = 0 if _send(delivery, now=now) else failures + 1
        except TooManyCalls:
            # Others wait for the mail server already: they leave it to the next turn.
            break
    return tried


def post_webhooks(*, at: datetime) -> int:
    """Post what is due, oldest first; answers how many were tried."""
    now = _clock(at)
    posted = 0
    for _ in range(_ROUNDS_AT_MOST):
        claimed = _claim_posts(at=now())
        if not claimed:
            break
        try:
            _post(claimed, now=now)
        except TooManyCalls:
            _let_go(claimed)
            break
        posted += len(claimed)
    return posted


def _clock(at: datetime) -> _Clock:
    """A turn may take longer than a claim lasts, so its time goes on."""
    began = time.monotonic()
    return lambda: at + timedelta(seconds=time.monotonic() - began)


# --- mail -------------------------------------------------------------------------------------


def _send(delivery: Delivery, *, now: _Clock) -> bool:
    """Send one mail, unless another worker does; False when the mail server did not take it."""
    if not mails.may_have(delivery):
        delivery.mark_dropped(why=Reason.NO_MEMBER, at=now())
        return True
    if not truth.is_still_so(delivery.alert, at=now()):
        delivery.mark_dropped(why=Reason.NOT_SO, at=now())
        return True
    message = mails.write(delivery)
    if not _claim_mail(delivery, at=now()):
        return True
    try:
        outbox.hand_over(message)
    except TooManyCalls:
        _let_go([delivery])
        raise
    except outbox.CannotSend as error:
        logger.warning("delivery %s was not sent: %s", delivery.pk, error)
        if error.may_have_arrived:
            delivery.mark_unknown(why=Reason.MAY_HAVE_ARRIVED % {"error": error}, at=now())
        else:
            delivery.mark_failed(error=Reason.MAIL_NOT_TAKEN % {"error": error}, at=now())
        return False
    delivery.mark_delivered(at=now())
    return True


def _claim_mail(delivery: Delivery, *, at: datetime) -> bool:
    """Write down that it is being sent, before it is: from here on it is sent once or never."""
    waiting = Delivery.objects.filter(
        pk=delivery.pk, state=_State.WAITING, next_try_at=delivery.next_try_at
    )
    is_ours = waiting.update(
        state=_State.SENDING,
        claimed_until=at + _CLAIM,
        attempts=F("attempts") + 1,
        tries=F("tries") + 1,
    )
    if is_ours:
        delivery.attempts += 1
        delivery.tries += 1
    return bool(is_ours)


def _let_go(claimed: Sequence[Delivery]) -> None:
    """Leave them to whoever comes next, as if nothing had been tried: nothing was."""
    Delivery.objects.filter(pk__in=[delivery.pk for delivery in claimed]).update(
        state=_State.WAITING,
        claimed_until=None,
        attempts=F("attempts") - 1,
        tries=F("tries") - 1,
    )


# --- webhooks -----------------------------------------------------------------------------------


def _claim_posts(*, at: datetime) -> list[Delivery]:
    """Take some from every other worker for a while, one to a server: a slow one gets no more."""
    free = Q(claimed_until=None) | Q(claimed_until__lte=at)
    due = Delivery.objects.filter(
        free, state=_State.WAITING, next_try_at__lte=at, endpoint__isnull=False
    )
    with transaction.atomic():
        found = due.order_by("next_try_at", "pk").select_for_update(skip_locked=True, of=("self",))
        by_server: dict[object, Delivery] = {}
        for delivery in found.select_related("alert__account", "endpoint")[: _POSTS_AT_ONCE * 8]:
            if len(by_server) < _POSTS_AT_ONCE:
                by_server.setdefault(delivery.endpoint_id, delivery)
        claimed = list(by_server.values())
        Delivery.objects.filter(pk__in=[delivery.pk for delivery in claimed]).update(
            claimed_until=at + _CLAIM, attempts=F("attempts") + 1, tries=F("tries") + 1
        )
    for delivery in claimed:
        delivery.attempts += 1
        delivery.tries += 1
    return claimed


def _post(claimed: Sequence[Delivery], *, now: _Clock) -> None:
    ready: list[tuple[Delivery, Message]] = []
    for delivery in claimed:
        endpoint = _endpoint_of(delivery)
        if not endpoint.takes:
            delivery.mark_dropped(why=Reason.IS_OFF, at=now())
            continue
        try:
            ready.append((delivery, _message(delivery, endpoint, at=now())))
        except signing.CannotSign as error:
            delivery.mark_failed(error=str(error), at=now())
    if not ready:
        return
    try:
        outcomes = posting.post_all([message for _, message in ready])
    except TooManyCalls:
        raise
    except CannotCall as error:
        # Each has a bound of its own, so this is our own fault, and no server's.
        logger.error("webhooks were given up: %s", error)
        outcomes = [Outcome(error=Reason.OURS_TOOK_LONG)] * len(ready)
    for (delivery, _), outcome in zip(ready, outcomes, strict=True):
        _conclude(delivery, outcome, at=now())


def _conclude(delivery: Delivery, outcome: Outcome, *, at: datetime) -> None:
    endpoint = _endpoint_of(delivery)
    if outcome.is_taken:
        delivery.mark_delivered(at=at, status=outcome.status)
        endpoints.has_taken(endpoint)
        return
    delivery.mark_failed(error=outcome.error, status=outcome.status, at=at)
    if delivery.alert.kind != Kind.TEST:
        endpoints.has_failed(endpoint, again_at=delivery.next_try_at, at=at)


def _message(delivery: Delivery, endpoint: WebhookEndpoint, *, at: datetime) -> Message:
    """What a server is told; the same bytes at every try."""
    alert = delivery.alert
    content = {
        "type": alert.kind,
        "account": alert.account.handle,
        "occurred_at": week.utc_text(alert.occurred_at),
        "data": alert.data,
    }
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    headers = signing.headers_of(endpoint, message_id=f"msg_{alert.pk.hex}", body=body, at=at)
    return Message(url=endpoint.url, headers=headers, body=body)


def _endpoint_of(delivery: Delivery) -> WebhookEndpoint:
    assert delivery.endpoint is not None
    return delivery.endpoint
