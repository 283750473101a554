"""Reconciliation: what Stripe has is looked for at Stripe, in case no event ever told of it.

Every hour, since the last good one and a day before that: a session may be paid as long as it
lives. Each source is read page by page, and where it stopped is written down, so that whoever goes
on does so there. Stripe is asked with nothing held, and everything found goes the way that an event
takes, so that it has its effect once.

Another source is one more line in `SOURCES`.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import fulfilment, returning
from billing.models import OBJECT_ID, BookCheck, Purchase, StripeEvent
from billing.stripe_client import asking, listing, subscriptions
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable
from billing.stripe_client.listing import Between, Listed
from billing.subscriptions import keeping
from billing.subscriptions.models import Customer, Subscription

logger = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
# Longer than a session of Checkout lives.
_OVERLAP = timedelta(hours=26)
_BACK_AT_MOST = timedelta(days=30)
# Longer than a page takes: 100 payments, each asked about.
_CLAIM = timedelta(minutes=30)
_PAGES_AT_ONCE = 200
_GIVEN_UP_AFTER = timedelta(days=1)
# So long an event may take.
EVENTS_TAKE = timedelta(hours=1)
# Events that tell that a session is paid.
TELL_OF_PAYMENTS = ("checkout.session.completed", "checkout.session.async_payment_succeeded")

# Settles one page of what there is between two moments, and counts it. Answers where the next one
# begins; "" when this was the last.
Look = Callable[[Between, str, BookCheck], str]


@dataclass(frozen=True, slots=True)
class Source:
    """Something that Stripe lists, by the name that its place is kept under."""

    name: str
    look: Look


class UnderWay(Exception):
    """Somebody else is at it this very moment."""


def reconcile_if_due(*, at: datetime) -> BookCheck | None:
    """Go on with what was begun, or begin anew after an hour; None where nothing is to be done."""
    kind = BookCheck.Kind.RECONCILIATION
    begun = BookCheck.objects.filter(kind=kind, finished_at=None).first()
    if begun is None and BookCheck.objects.filter(kind=kind, started_at__gt=at - EVERY).exists():
        return None
    try:
        return go_on(begun if begun is not None else _begin(at=at, since=None), at=at)
    except UnderWay:
        return None


def reconcile(*, at: datetime, since: datetime | None = None) -> BookCheck:
    """Begin anew, whatever was begun. Raises UnderWay.

    since: by when things were made at Stripe; None is the last good one, or 30 days.
    """
    begun = BookCheck.objects.filter(kind=BookCheck.Kind.RECONCILIATION, finished_at=None).first()
    if begun is not None:
        if not begun.claim(at=at, until=at + _CLAIM):
            raise UnderWay
        begun.finish(at=at, error="another one was begun")
    return go_on(_begin(at=at, since=since), at=at)


def _begin(*, at: datetime, since: datetime | None) -> BookCheck:
    if since is None:
        last = BookCheck.objects.last_good(BookCheck.Kind.RECONCILIATION)
        earliest = at - _BACK_AT_MOST
        since = earliest if last is None else max(earliest, last.until - _OVERLAP)
    try:
        with transaction.atomic():
            return BookCheck.objects.create(
                kind=BookCheck.Kind.RECONCILIATION, started_at=at, since=since, until=at
            )
    except IntegrityError as error:
        raise UnderWay from error


def go_on(check: BookCheck, *, at: datetime) -> BookCheck:
    """Take up what was begun where it stopped. Raises UnderWay."""
    if not check.claim(at=at, until=at + _CLAIM):
        raise UnderWay
    if at - check.started_at > _GIVEN_UP_AFTER:
        check.finish(at=at, error=f"given up after a day: {check.error}")
        return check
    between = Between(check.since, check.until)
    pages = 0
    try:
        for source in SOURCES:
            place = check.positions.get(source.name, "")
            while place is not None:
                if pages == _PAGES_AT_ONCE:
                    check.let_go(error="")
                    return check
                place = source.look(between, place, check) or None
                check.keep_place(source.name, place, claimed_until=timezone.now() + _CLAIM)
                pages += 1
    except (StripeUnavailable, StripeRefuses) as error:
        logger.warning("the reconciliation with Stripe stops: %s", error)
        check.let_go(error=f"Stripe gave no answer: {error}")
        return check
    failed = check.counts.get("failed", 0)
    check.finish(
        at=timezone.now(), error=f"{failed} could not be settled; see the log" if failed else ""
    )
    return check


def _sessions(between: Between, after: str, check: BookCheck) -> str:
    """Payments of Checkout, each settled once."""
    page = listing.sessions_between(between, after=after)
    paid = [row for row in page.rows if row.session.payment_status == "paid"]
    named = purchases_named(row.session.client_reference_id for row in paid)
    ours = {str(purchase.pk): purchase for purchase in named}
    told = _told_of(row.session.session_id for row in paid)
    for row in paid:
        purchase = ours.get(row.session.client_reference_id or "")
        if purchase is None:
            # The Stripe account may sell other things than ours.
            continue
        check.count("paid")
        _note_untold(row, told, check)
        if not _is_settled(purchase, row):
            _settle(purchase, row, check)
    return page.after


def purchases_named(references: Iterable[str | None]) -> list[Purchase]:
    """The purchases that sessions name; others than ours are named otherwise, or not at all."""
    numbers = []
    for reference in references:
        try:
            numbers.append(UUID(reference or ""))
        except ValueError:
            continue
    return list(Purchase.objects.in_bulk(numbers).values())


def _told_of(session_ids: Iterable[str]) -> set[str]:
    """The sessions of whose payment an event came, whenever."""
    told = StripeEvent.objects.annotate(about_id=OBJECT_ID).filter(
        about_id__in=list(session_ids), type__in=TELL_OF_PAYMENTS
    )
    return set(told.values_list("about_id", flat=True))


def _note_untold(row: Listed, told: set[str], check: BookCheck) -> None:
    """Somebody paid, and no event told us within an hour."""
    paid_at = row.payment.paid_at if row.payment else None
    if row.session.session_id in told or paid_at is None or paid_at > check.until - EVENTS_TAKE:
        return
    check.count("untold")
    check.untold_at = max(check.untold_at or paid_at, paid_at)


def _is_settled(purchase: Purchase, row: Listed) -> bool:
    if purchase.stripe_session_id not in {None, row.session.session_id}:
        # It is known that another session claims it.
        return row.session.session_id in purchase.problem
    return not (purchase.is_open or purchase.ended_unpaid)


def _settle(purchase: Purchase, row: Listed, check: BookCheck) -> None:
    try:
        fulfilment.settle(row.session, at=timezone.now())
    except Exception:
        logger.exception("purchase %s could not be settled", purchase.pk)
        check.count("failed")
        return
    purchase.refresh_from_db()
    if purchase.status == Purchase.Status.PAID:
        logger.warning("purchase %s was paid, and granted by the reconciliation", purchase.pk)
        check.count("granted")
    elif purchase.is_alarm:
        check.count("alarms")


def _refunds(between: Between, after: str, check: BookCheck) -> str:
    """Refunds, by whomever."""
    page = listing.refunded_between(between, after=after)
    _bring_up_to_date(page.rows, check, name="refunds")
    return page.after


def _disputes(between: Between, after: str, check: BookCheck) -> str:
    """What banks hold, or let go."""
    page = listing.disputed_between(between, after=after)
    _bring_up_to_date(page.rows, check, name="disputes")
    return page.after


def _bring_up_to_date(intent_ids: list[str], check: BookCheck, *, name: str) -> None:
    for intent_id in sorted(set(filter(None, intent_ids))):
        returned = returning.returned_of(intent_id, within_seconds=asking.WORKER_SECONDS)
        if returned is None:
            continue
        check.count(name)
        before = Purchase.objects.filter(returning.paid_by(returned.session_id)).first()
        if before is None:
            continue
        try:
            returning.keep(returned)
        except Exception:
            logger.exception("what went back of purchase %s could not be kept", before.pk)
            check.count("failed")
            continue
        if before.returned_cents != returned.cents:
            logger.warning("purchase %s: the reconciliation found money that went back", before.pk)
            check.count("returned")


def _subscriptions(between: Between, after: str, check: BookCheck) -> str:
    """Subscriptions that were begun; those that are known are asked about by their own sweep."""
    page = listing.subscriptions_between(between, after=after)
    known = Subscription.objects.filter(stripe_subscription_id__in=[row.id for row in page.rows])
    known_ids = set(known.values_list("stripe_subscription_id", flat=True))
    ours = Customer.objects.filter(stripe_customer_id__in=[row.customer_id for row in page.rows])
    our_ids = set(ours.values_list("stripe_customer_id", flat=True))
    for row in page.rows:
        if row.id in known_ids or row.customer_id not in our_ids:
            continue
        found = subscriptions.retrieve(row.id, within_seconds=asking.WORKER_SECONDS)
        try:
            keeping.keep(found, at=timezone.now())
        except Exception:
            logger.exception("subscription %s could not be kept", row.id)
            check.count("failed")
            continue
        logger.warning("subscription %s was found by the reconciliation", row.id)
        check.count("subscriptions")
    return page.after


SOURCES: tuple[Source, ...] = (
    Source("sessions", _sessions),
    Source("refunds", _refunds),
    Source("disputes", _disputes),
    Source("subscriptions", _subscriptions),
)
