"""The nightly comparison: the ledger beside the gate, and purchases beside Stripe.

Whatever does not say the same, twice, is a row with what to do about it. A row whose books say the
same again resolves itself; one that could not be looked at stays as it is.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.money import amount
from billing import returning
from billing.models import BookCheck, Difference, Purchase
from billing.reconciling import UnderWay, purchases_named
from billing.stripe_client import asking, intents, listing, sessions
from billing.stripe_client.errors import StripeRefuses, StripeUnavailable, UnknownToStripe
from billing.stripe_client.listing import Between, Listed
from billing.stripe_client.sessions import CheckoutSession
from quotas import comparing as of_the_gate
from quotas import grants

logger = logging.getLogger(__name__)

DAYS = 35
# A bank debit may be decided so long after its session was made.
_DECIDED_WITHIN = timedelta(days=15)
_PAGES_AT_MOST = 1_000
_AT_ONCE = 500
_CLAIM = timedelta(hours=6)
# What is newer may be under way.
_SETTLED_AFTER = timedelta(minutes=10)

Kind = Difference.Kind
OF_THE_GATE = (Kind.CREDITS_GRANTED, Kind.CREDITS_SPENT, Kind.BOOST_GRANTED, Kind.BOOST_SPENT)
OF_STRIPE = (Kind.NOT_PAID, Kind.AMOUNT, Kind.RETURNED, Kind.NOT_KNOWN)
OF_GRANTS = (Kind.NOT_GRANTED,)


@dataclass(frozen=True, slots=True)
class Found:
    """Something that two books do not say alike."""

    kind: Difference.Kind
    subject: str
    expected: str
    found: str
    account_id: int | None = None
    purchase: Purchase | None = None


def compare(*, at: datetime, days: int = DAYS) -> BookCheck:
    """Compare everything once, and write down what differs. Raises UnderWay."""
    check = _begin(at=at, days=days)
    errors: list[str] = []
    for kinds, look in (
        (OF_THE_GATE, _of_the_gate),
        (OF_GRANTS, _of_grants),
        (OF_STRIPE, _of_stripe),
    ):
        try:
            found = list(look(check))
        except (RedisError, OSError) as error:
            errors.append(f"Valkey gave no answer: {type(error).__name__}")
        except (StripeUnavailable, StripeRefuses) as error:
            errors.append(f"Stripe gave no answer: {error}")
        else:
            _note(kinds, found, check, at=at)
    for why in errors:
        logger.warning("the comparison of the books is not whole: %s", why)
    check.finish(at=timezone.now(), error="; ".join(errors))
    return check


def _begin(*, at: datetime, days: int) -> BookCheck:
    kind = BookCheck.Kind.COMPARISON
    # Of whoever died at it.
    for begun in BookCheck.objects.filter(kind=kind, finished_at=None):
        if not begun.claim(at=at, until=at + _CLAIM):
            raise UnderWay
        begun.finish(at=at, error="another one was begun")
    try:
        with transaction.atomic():
            return BookCheck.objects.create(
                kind=kind,
                started_at=at,
                since=at - timedelta(days=days),
                until=at,
                claimed_until=at + _CLAIM,
            )
    except IntegrityError as error:
        raise UnderWay from error


def _note(
    kinds: Sequence[Difference.Kind], found: Iterable[Found], check: BookCheck, *, at: datetime
) -> None:
    """Write down what differs now, and that the rest of these kinds does not any more."""
    gone = {
        (row.kind, row.subject): row for row in Difference.objects.open().filter(kind__in=kinds)
    }
    for one in found:
        check.count(one.kind)
        known = gone.pop((one.kind, one.subject), None)
        if known is None:
            row = Difference.objects.create(
                kind=one.kind,
                subject=one.subject,
                account_id=one.account_id,
                purchase=one.purchase,
                expected=one.expected,
                found=one.found,
                first_seen_at=at,
                last_seen_at=at,
            )
            logger.error("the books differ: %s, %s", row.subject, row)
        else:
            known.see_again(expected=one.expected, found=one.found, at=at)
    for row in gone.values():
        row.resolve(at=at)
        logger.warning("the books agree again: %s, %s", row.subject, row)


# --- the gate ---------------------------------------------------------------------------------


def _of_the_gate(check: BookCheck) -> Iterator[Found]:
    for one in of_the_gate.unequal(at=timezone.now()):
        yield Found(
            Kind(one.kind),
            one.subject,
            str(one.expected),
            str(one.found),
            account_id=one.account_id,
        )


# --- grants -----------------------------------------------------------------------------------


def _of_grants(check: BookCheck) -> Iterator[Found]:
    """Paid purchases that nothing was given for."""
    for some in _in_chunks(_paid_purchases(check)):
        # A purchase is paid and its grant is there in one transaction.
        given = grants.given([purchase.source_ref for purchase in some])
        for purchase in some:
            if purchase.source_ref not in given:
                yield _about(purchase, Kind.NOT_GRANTED, purchase.product_name, "–")


# --- Stripe -----------------------------------------------------------------------------------


def _of_stripe(check: BookCheck) -> Iterator[Found]:
    """Purchases that were paid lately beside the sessions that paid them, and the other way."""
    at_stripe = _sessions_of(check)
    # Stripe is asked in between, with no cursor open.
    purchases = list(_paid_purchases(check))
    check.count("purchases", len(purchases))
    for purchase in purchases:
        if purchase.is_top_up:
            yield from _of_saved_card(purchase)
            continue
        row = at_stripe.pop(purchase.stripe_session_id or "", None)
        if _differs(purchase, row):
            yield from _second_look(purchase)
    yield from _not_known(at_stripe.values(), check)


def _sessions_of(check: BookCheck) -> dict[str, Listed]:
    between = Between(check.since - _DECIDED_WITHIN, check.until)
    found: dict[str, Listed] = {}
    after = ""
    for _ in range(_PAGES_AT_MOST):
        page = listing.sessions_between(between, after=after)
        found |= {row.session.session_id: row for row in page.rows}
        after = page.after
        if not after:
            break
    else:
        raise StripeUnavailable("too many sessions to look through")
    check.count("sessions", len(found))
    return found


def _differs(purchase: Purchase, row: Listed | None) -> bool:
    """Whether it is worth a look of its own; what banks hold is not in a list."""
    if row is None or row.payment is None:
        return True
    return (
        row.payment.is_disputed
        or row.payment.refunded_cents != purchase.returned_cents
        or any(_of_session(purchase, row.session))
    )


def _of_session(purchase: Purchase, session: CheckoutSession | None) -> Iterator[Found]:
    """In which way a paid purchase is not what Stripe says of its session."""
    if session is None or session.payment_status != "paid":
        # What somebody accepted as it was needs nobody any more.
        if purchase.resolved_at is None:
            status = "–" if session is None else session.payment_status
            yield _about(purchase, Kind.NOT_PAID, status, "paid")
        return
    expected = _money(session.amount_cents, session.currency)
    found = _money(purchase.came_cents, purchase.currency_of_payment)
    # Then the other one is what came.
    if expected != found and "another session claims it" not in purchase.problem:
        yield _about(purchase, Kind.AMOUNT, expected, found)


def _second_look(purchase: Purchase) -> Iterator[Found]:
    """Ask about one purchase anew. What went back is told, and brought up to date."""
    session_id = purchase.stripe_session_id or ""
    session: CheckoutSession | None = None
    returned: returning.Returned | None = None
    try:
        session = sessions.retrieve(session_id, within_seconds=asking.WORKER_SECONDS)
        returned = returning.returned_by_session(session_id, within_seconds=asking.WORKER_SECONDS)
    except UnknownToStripe:
        logger.warning("purchase %s: Stripe does not know its session", purchase.pk)
    purchase.refresh_from_db()
    yield from _of_session(purchase, session)
    yield from _of_returned(purchase, returned)


def _of_saved_card(purchase: Purchase) -> Iterator[Found]:
    """The same of what was bought by itself, which has a payment and no session."""
    intent = intents.retrieve(purchase.paid_through)
    if intent.status != "succeeded":
        yield _about(purchase, Kind.NOT_PAID, intent.status, "paid")
        return
    expected = _money(intent.amount_cents, intent.currency)
    found = _money(purchase.came_cents, purchase.currency_of_payment)
    if expected != found:
        yield _about(purchase, Kind.AMOUNT, expected, found)
    if intent.is_disputed or intent.refunded_cents != purchase.returned_cents:
        returned = returning.returned_by_session(
            purchase.paid_through, within_seconds=asking.WORKER_SECONDS
        )
        purchase.refresh_from_db()
        yield from _of_returned(purchase, returned)


def _of_returned(purchase: Purchase, returned: returning.Returned | None) -> Iterator[Found]:
    """What went back and was not known; it is brought up to date."""
    if returned is not None and returned.cents != purchase.returned_cents:
        currency = purchase.currency_of_payment
        expected, found = (
            _money(returned.cents, currency),
            _money(purchase.returned_cents, currency),
        )
        yield _about(purchase, Kind.RETURNED, expected, found)
        returning.keep(returned)


def _not_known(rows: Iterable[Listed], check: BookCheck) -> Iterator[Found]:
    """Sessions that are paid and name a purchase of ours, which is not paid here."""
    paid = {
        row.session.client_reference_id or "": row
        for row in rows
        if row.session.payment_status == "paid" and _is_old(row, check)
    }
    for purchase in purchases_named(paid):
        row = paid[str(purchase.pk)]
        # What a person decides, or has decided, is told elsewhere.
        is_seen_to = purchase.is_alarm or purchase.resolved_at is not None
        if purchase.paid_at is None and not is_seen_to:
            expected = _money(row.session.amount_cents, row.session.currency)
            yield _about(purchase, Kind.NOT_KNOWN, expected, str(purchase.get_status_display()))


def _is_old(row: Listed, check: BookCheck) -> bool:
    paid_at = row.payment.paid_at if row.payment else None
    return paid_at is None or paid_at <= check.until - _SETTLED_AFTER


# --- what they share --------------------------------------------------------------------------


def _paid_purchases(check: BookCheck) -> QuerySet[Purchase]:
    return Purchase.objects.filter(
        status=Purchase.Status.PAID,
        paid_at__gte=check.since,
        paid_at__lte=check.until - _SETTLED_AFTER,
    ).order_by("paid_at")


def _in_chunks(purchases: QuerySet[Purchase]) -> Iterator[list[Purchase]]:
    rows = purchases.iterator(chunk_size=_AT_ONCE)
    while some := list(islice(rows, _AT_ONCE)):
        yield some


def _money(cents: int | None, currency: str | None) -> str:
    return "–" if cents is None else amount(cents, currency or "")


def _about(purchase: Purchase, kind: Difference.Kind, expected: str, found: str) -> Found:
    return Found(
        kind,
        f"purchase:{purchase.pk}",
        expected,
        found,
        account_id=purchase.account_id,
        purchase=purchase,
    )
