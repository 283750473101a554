"""What there is at Stripe since a moment, page by page: each page says after what the next begins.

The newest comes first, as Stripe lists; what is made meanwhile is in no later page, so that whoever
stops on the way goes on where they were.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from billing import rights
from billing.stripe_client import answers, asking, sessions
from billing.stripe_client.payments import Payment, read_if_charged
from billing.stripe_client.sessions import CheckoutSession

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Between:
    """From a moment to another, both included, by when things were made."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list. after: what to ask for the next one with; "" when this was the last."""

    rows: list[T]
    after: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A session with what became of its money; None where nothing was charged."""

    session: CheckoutSession
    payment: Payment | None


def sessions_between(between: Between, *, after: str) -> Page[Listed]:
    """Completed sessions with their payments. Raises StripeUnavailable or UnknownToStripe."""
    params = {"status": "complete", "expand": ["data.payment_intent.latest_charge"]}
    service = asking.client().v1.checkout.sessions
    return _page(service.list, params, between, after=after, right=rights.PAYMENTS, read=_listed)


def refunded_between(between: Between, *, after: str) -> Page[str]:
    """The payments of refunds, by their ids; "" where one is of none. Raises as above."""
    service = asking.client().v1.refunds
    return _page(service.list, {}, between, after=after, right=rights.REFUNDS, read=_intent_id)


def disputed_between(between: Between, *, after: str) -> Page[str]:
    """The payments of disputes, likewise."""
    service = asking.client().v1.disputes
    return _page(service.list, {}, between, after=after, right=rights.DISPUTES, read=_intent_id)


@dataclass(frozen=True, slots=True)
class ListedSubscription:
    """A subscription and whose it is."""

    id: str
    customer_id: str


def subscriptions_between(between: Between, *, after: str) -> Page[ListedSubscription]:
    """Subscriptions that were begun, whatever became of them."""
    service = asking.client().v1.subscriptions
    params = {"status": "all"}
    return _page(
        service.list, params, between, after=after, right=rights.SUBSCRIPTIONS, read=_subscription
    )


def _subscription(row: Mapping[str, Any]) -> ListedSubscription:
    customer_id = row.get("customer")
    if not isinstance(customer_id, str):
        raise answers.unusable("customer")
    return ListedSubscription(answers.object_id(row, "sub"), customer_id)


def _page(
    ask_for: Callable[..., Any],
    params: dict[str, Any],
    between: Between,
    *,
    after: str,
    right: str,
    read: Callable[[Mapping[str, Any]], T],
) -> Page[T]:
    created = {
        "gte": int(between.since.timestamp()),
        "lte": int(between.until.timestamp()) + 1,
    }
    asked = {"limit": 100, "created": created, **params}
    if after:
        asked["starting_after"] = after
    answer = asking.ask(
        lambda: ask_for(params=asked),
        line=asking.looking,
        within_seconds=asking.WORKER_SECONDS,
        right=right,
    )
    fields = answers.fields_of(answer, "list")
    rows = answers.rows_of(fields)
    has_more = answers.flag(fields, "has_more")
    last = rows[-1].get("id") if rows else None
    if has_more and not (isinstance(last, str) and 1 <= len(last) <= 255 and last != after):
        raise answers.unusable("has_more")
    return Page([read(row) for row in rows], str(last) if has_more else "")


def _listed(row: Mapping[str, Any]) -> Listed:
    return Listed(sessions.read_fields(row), read_if_charged(row))


def _intent_id(row: Mapping[str, Any]) -> str:
    value = row.get("payment_intent")
    if not isinstance(value, str | None):
        raise answers.unusable("payment_intent")
    return value or ""
