"""The developer's page: what was paid, given back, disputed and subscribed, and what was sent."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stripe_sandbox import developer, switches
from stripe_sandbox.acts import disputing, refunding
from stripe_sandbox.books import Books, Json, Page
from stripe_sandbox.configuration import Configuration
from stripe_sandbox.objects.aftermath import left_of
from stripe_sandbox.pages import frame
from stripe_sandbox.pages.checkout import every
from stripe_sandbox.pages.frame import form_of, see_other
from stripe_sandbox.sendings import CONFIGURED
from stripe_sandbox.store import Store
from stripe_sandbox.switches import CannotSwitch

SHOWN = 20
EVENTS_SHOWN = 30
STATES = {
    "pending": "waits",
    "delivered": "delivered",
    "given_up": "given up",
    "lost": "lost on purpose",
}


def overview(
    request: Request, body: bytes, *, store: Store, configuration: Configuration
) -> Response:
    """Everything at a glance, or what one of its buttons does."""
    if request.method != "POST":
        with store.read(configuration) as books:
            return _show(books)
    with store.write(configuration) as books:
        if frame.is_from_elsewhere(request):
            return _show(books, problem="Only the buttons of this page do that.", status=403)
        form = form_of(body)
        act = ACTS.get(form.get("act", ""))
        if act is None:
            return _show(books, problem="There is no such button.", status=400)
        try:
            with books.undone_by(CannotSwitch):
                act(books, form)
        except CannotSwitch as refusal:
            return _show(books, problem=f"That does not work: {refusal}.", status=400)
        section = form.get("section", "")
        anchor = f"#{section}" if section in SECTIONS else ""
        return see_other(configuration.path("") + anchor)


def _clock(books: Books, form: dict[str, str]) -> None:
    developer.put_ahead(books, days=_whole(form, "days"), months=_whole(form, "months"))


def _refund(books: Books, form: dict[str, str]) -> None:
    charge = books.get("charge", form.get("charge", ""))
    if charge is None or charge["status"] != "succeeded":
        raise CannotSwitch("there is no such charge")
    for dispute in books.children("dispute", charge["id"]):
        if not dispute["is_charge_refundable"]:
            raise CannotSwitch("the charge is disputed")
    cents = _cents(form.get("amount", "")) or left_of(charge)
    if not 0 < cents <= left_of(charge):
        raise CannotSwitch("so much is not left of that charge")
    refunding.refund(books, charge, amount=cents, reason="requested_by_customer", metadata={})


def _dispute(books: Books, form: dict[str, str]) -> None:
    developer.decide(books, form.get("dispute", ""), form.get("outcome", ""))


def _send(books: Books, form: dict[str, str]) -> None:
    if not books.sendings.send_again(form.get("event", "")):
        raise CannotSwitch("there is no such event")


def _switch(books: Books, form: dict[str, str]) -> None:
    name = form.get("switch", "")
    if form.get("off"):
        switches.put(books, name, None)
        return
    wanted: dict[str, Any] = {"times": _whole(form, "times")}
    if form.get("seconds"):
        wanted["seconds"] = float(_whole(form, "seconds"))
    if form.get("status"):
        wanted["status"] = _whole(form, "status")
    if form.get("after_acting"):
        wanted["after_acting"] = True
    if form.get("only"):
        wanted["only"] = form["only"].split()
    switches.put(books, name, wanted)


def _retries(books: Books, form: dict[str, str]) -> None:
    developer.end_retries_with(books, form.get("end", ""))


ACTS: dict[str, Callable[[Books, dict[str, str]], None]] = {
    "clock": _clock,
    "refund": _refund,
    "dispute": _dispute,
    "send": _send,
    "switch": _switch,
    "retries": _retries,
}
SECTIONS = ("clock", "payments", "disputes", "subscriptions", "events", "switches")


def _show(books: Books, *, problem: str = "", status: int = 200) -> Response:
    on = switches.every(books)
    return frame.page(
        "overview.html",
        status=status,
        configuration=books.configuration,
        path=books.configuration.path(""),
        problem=problem,
        now=_moment(books.billing_now),
        days_ahead=round(books.ahead_seconds / 86400),
        sessions=_newest(books, "checkout.session", status="open"),
        charges=[_told_charge(charge) for charge in _newest(books, "charge")],
        disputes=[
            {**one, "is_open": one["status"] in disputing.OPEN, "at": _moment(one["created"])}
            for one in _newest(books, "dispute")
        ],
        warnings=[
            {**one, "at": _moment(one["created"])}
            for one in _newest(books, "radar.early_fraud_warning")
        ],
        subscriptions=[_told_subscription(books, one) for one in _newest(books, "subscription")],
        events=[_told_event(books, event) for event in _newest(books, "event", EVENTS_SHOWN)],
        switches=[
            {"name": name, "title": title, "on": on.get(name)}
            for name, title in switches.TITLES.items()
        ],
        event_switches=switches.EVENT_SWITCHES,
        timed=("late", "hang"),
        statuses=switches.STATUSES,
        retries_end=books.setting("when_retries_end") or "cancel",
    )


def _newest(books: Books, kind: str, shown: int = SHOWN, **matching: str) -> list[Json]:
    conditions = [(f"$.{name}", value) for name, value in matching.items()]
    return books.page(kind, Page(limit=shown, matching=conditions))[0]


def _told_charge(charge: Json) -> Json:
    details = charge["payment_method_details"]
    told = details[details["type"]]
    return {
        **charge,
        "at": _moment(charge["created"]),
        "card": f"{str(told.get('brand', 'bank account')).title()} {told['last4']}",
        "left": left_of(charge) if charge["status"] == "succeeded" else 0,
        "whose": charge["billing_details"]["email"] or charge["customer"] or "",
    }


def _told_subscription(books: Books, subscription: Json) -> Json:
    item = subscription["items"]["data"][0]
    product = books.get("product", item["price"]["product"]) or {"name": item["price"]["id"]}
    customer = books.get("customer", subscription["customer"]) or {}
    invoice = books.get("invoice", subscription["latest_invoice"])
    return {
        **subscription,
        "name": product["name"],
        "amount": item["price"]["unit_amount"] * item["quantity"],
        "every": every(item["price"]["recurring"]),
        "until": _moment(item["current_period_end"]),
        "whose": customer.get("email") or subscription["customer"],
        "invoice": invoice,
    }


def _told_event(books: Books, event: Json) -> Json:
    sendings = [
        {
            "endpoint": "" if endpoint == CONFIGURED else endpoint,
            "state": state,
            "words": STATES[state],
            "attempts": attempts,
        }
        for endpoint, state, attempts in books.sendings.states(event["id"])
    ]
    about = event["data"]["object"].get("id", "")[:32]
    return {**event, "at": _moment(event["created"]), "about": about, "sendings": sendings}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%-d %b %Y, %H:%M")


def _whole(form: dict[str, str], name: str) -> int:
    text = form.get(name, "").strip() or "0"
    if not text.isdecimal() or len(text) > 6:
        raise CannotSwitch(f"{name} is a whole number")
    return int(text)


def _cents(text: str) -> int:
    """An amount as it is typed, in hundredths; nothing is 0."""
    whole, _, part = text.strip().partition(".")
    if not text.strip():
        return 0
    if not f"{whole or '0'}{part}".isdecimal() or len(part) > 2 or len(whole) > 7:
        raise CannotSwitch("an amount is written like 1.50")
    return int(whole or "0") * 100 + int(part.ljust(2, "0"))
