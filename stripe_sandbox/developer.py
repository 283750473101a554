"""What a developer or a test may have the sandbox do, as JSON, with the secret key of the API.

    POST developer/clock             {"months": 1} or {"days": 3}
    POST developer/switches          {"lose": {"times": 2, "only": ["charge.*"]}, "hang": null}
    POST developer/disputes/{id}     {"outcome": "won"}, "lost", "warning_closed" or "escalate"
    POST developer/events/{id}/send  {}

A GET of the first two says how they stand.
"""

import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox import api, switches
from stripe_sandbox.acts import disputing, timekeeping
from stripe_sandbox.books import Books
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.params import CannotAccept
from stripe_sandbox.store import Store
from stripe_sandbox.switches import CannotSwitch

RETRIES_END = ("cancel", "unpaid")


def clock(request: Request, body: bytes, *, store: Store, configuration: Configuration) -> Response:
    """The clock of subscriptions."""

    def act(books: Books, wanted: dict[str, Any] | None) -> dict[str, Any]:
        if wanted is not None:
            put_ahead(books, **wanted)
        return {"now": int(books.billing_now), "ahead_seconds": books.ahead_seconds}

    return _answer(request, body, act, store=store, configuration=configuration)


def switchboard(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """What goes wrong, and what becomes of a subscription that is not paid."""

    def act(books: Books, wanted: dict[str, Any] | None) -> dict[str, Any]:
        for name, value in (wanted or {}).items():
            if name == "when_retries_end":
                end_retries_with(books, value)
            else:
                switches.put(books, name, value)
        on = switches.every(books)
        stands: dict[str, Any] = {
            name: asdict(on[name]) if name in on else None for name in switches.TITLES
        }
        return stands | {"when_retries_end": books.setting("when_retries_end") or "cancel"}

    return _answer(request, body, act, store=store, configuration=configuration)


def dispute(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """How a bank decides."""

    def act(books: Books, wanted: dict[str, Any] | None) -> dict[str, Any]:
        outcome = (wanted or {}).get("outcome")
        decide(books, request.path_params["dispute_id"], str(outcome))
        return {"outcome": outcome}

    return _answer(request, body, act, store=store, configuration=configuration)


def send_event(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """An event, once more to all its endpoints."""

    def act(books: Books, wanted: dict[str, Any] | None) -> dict[str, Any]:
        if not books.sendings.send_again(request.path_params["event_id"]):
            raise CannotSwitch("there is no such event")
        return {"sent": True}

    return _answer(request, body, act, store=store, configuration=configuration)


def put_ahead(books: Books, *, days: Any = 0, months: Any = 0) -> None:
    """Put the clock ahead within bounds."""
    bounds = ((days, timekeeping.MOST_DAYS), (months, timekeeping.MOST_MONTHS))
    if not all(type(value) is int and 0 <= value <= most for value, most in bounds):
        raise CannotSwitch(
            f"days is a whole number up to {timekeeping.MOST_DAYS}, "
            f"months up to {timekeeping.MOST_MONTHS}"
        )
    timekeeping.put_ahead(books, days=days, months=months)


def end_retries_with(books: Books, value: Any) -> None:
    """What the last try of an invoice leaves of its subscription."""
    if value not in RETRIES_END:
        raise CannotSwitch("when_retries_end is cancel or unpaid")
    books.keep_setting("when_retries_end", value)


def decide(books: Books, dispute_id: str, outcome: str) -> None:
    """Decide an open dispute, or make one of an inquiry."""
    found = books.get("dispute", dispute_id)
    if found is None or found["status"] not in disputing.OPEN:
        raise CannotSwitch("there is no such dispute, or it is decided")
    is_inquiry = found["status"].startswith("warning")
    if outcome == "escalate" and is_inquiry:
        disputing.escalate(books, found)
    elif outcome == "warning_closed" and is_inquiry:
        disputing.decide(books, found, "warning_closed")
    elif outcome == "won" and not is_inquiry:
        disputing.decide(books, found, "won")
    elif outcome == "lost" and not is_inquiry:
        disputing.decide(books, found, "lost")
    else:
        raise CannotSwitch(
            "an inquiry is escalated or warning_closed"
            if is_inquiry
            else "a dispute is won or lost"
        )


def _answer(
    request: Request, body: bytes, act: Any, *, store: Store, configuration: Configuration
) -> Response:
    try:
        api.authenticate(request, secret_key=configuration.secret_key)
    except CannotAccept as refusal:
        return api.Content({"error": refusal.error}, status_code=refusal.status)
    try:
        if request.method != "POST":
            with store.read(configuration) as books:
                return api.Content(act(books, None))
        wanted = json.loads(body or b"{}")
        if not isinstance(wanted, dict):
            raise CannotSwitch("the body is a JSON object")
        with store.write(configuration) as books:
            return api.Content(act(books, wanted))
    except (ValueError, TypeError) as error:
        return api.failure(400, f"{error}", kind="invalid_request_error")
