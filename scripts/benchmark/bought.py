"""How soon a chat is paid by what was bought; and checks while Stripe hangs.

Buyers whose allowance is used up order on the pages of the site and pay at its sandbox of Stripe,
which is told to lose its events: we send them ourselves, so that we know when each was answered.
From then on the gate is asked without pause until it allows a chat.

After that checks are measured in turn: with nobody who buys, with eight who look at what another
plan would cost them, and with the same eight and events that wait while Stripe hangs.
"""

import argparse
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx

from benchmark.cast import make_cast
from benchmark.figures import columns
from benchmark.generator import Generator, GeneratorFailed
from benchmark.machine import Listening, Machine
from benchmark.pages import FRONT
from benchmark.sample import Sample, quantile
from benchmark.stage import Site
from benchmark.subjects import CHECK
from benchmark.target import GATE, Target

# Once the cast has made Django ready.
from django.conf import settings  # isort: skip
from django.test import Client  # isort: skip

from accounts.models import User  # isort: skip
from billing.models import Product, Purchase  # isort: skip
from billing.subscriptions import prices  # isort: skip
from billing.subscriptions.models import PlanOrder  # isort: skip
from keys.issue import issue_api_key  # isort: skip
from quotas.models.plans import Plan  # isort: skip
from stripe_sandbox.webhooks import sign  # isort: skip

PLAN = "plus"
# What is bought, and what pays then.
PAYS = {"weekly-boost": "boost", "credits-5": "credits", PLAN: "allowance"}
CARD = {"number": "4242424242424242", "expiry": "12 / 34", "cvc": "123", "name": "Ada Buyer"}
ALONE, ANSWERS, HANGS = "nobody buys", "8 look at plans", "8 look at plans, Stripe hangs"
STATES = (ALONE, ANSWERS, HANGS)
_LOOKERS = 8
_WAITING_EVENTS = 20
_CONNECTIONS = 32
_PATIENCE_SECONDS = 30.0
_ALLOWANCE = 50


class Failed(Exception):
    """A purchase did not go as it was to."""


@dataclass(frozen=True, slots=True)
class Bought:
    """One purchase: how long the webhook took, and then the first chat, in seconds."""

    webhook: float
    chat: float


class Buyer:
    """Somebody with a key whose allowance is used up."""

    def __init__(self, site: Site, target: Target) -> None:
        self._user = User.objects.create_user(f"buyer-{uuid4().hex}@example.com")
        self.account = self._user.personal_account
        _key, self._key = issue_api_key(
            account=self.account, name="bought", submission=uuid4(), by=self._user
        )
        browser = Client()
        browser.force_login(self._user)
        cookies: SimpleCookie = browser.cookies
        name = settings.SESSION_COOKIE_NAME
        self.pages = httpx.Client(
            base_url=settings.SITE_URL, cookies={name: cookies[name].value}, timeout=60.0
        )
        self._gate = httpx.Client(
            base_url=f"http://127.0.0.1:{site.gate_port}",
            headers={"Authorization": f"Bearer {target.service_token}"},
        )
        self._until_allowed(units=_ALLOWANCE)
        if self._paid_by():
            raise Failed("there is an allowance left")

    def _paid_by(self, units: int = 1) -> dict[str, int]:
        """What pays for a chat that the gate allows and charges; nothing where it allows none."""
        asked = {"key": self._key, "units": units}
        answer = self._gate.post("/quota/v1/check", json=asked).raise_for_status().json()
        paid_by: dict[str, int] = answer["paid_by"] if answer["allowed"] else {}
        return paid_by

    def order(self, what: str) -> str:
        """Order a product or the plan; answers where it is paid."""
        self.pages.get("/account/billing").raise_for_status()
        if what == PLAN:
            cost = prices.cost_of(Plan.objects.get(slug=PLAN), "month")
            assert cost
            path, sent = (
                f"/account/billing/plans/{PLAN}",
                {"interval": "month", "terms": cost.terms},
            )
        else:
            product = Product.objects.get(slug=what)
            path, sent = "/account/billing/checkout", {"product": what, "terms": product.terms}
        token = {"csrfmiddlewaretoken": self.pages.cookies["csrftoken"], "submission": str(uuid4())}
        referer = {"Referer": str(self.pages.base_url)}
        answer = self.pages.post(path, data=sent | token, headers=referer)
        if answer.status_code != 303:
            raise Failed(f"{what} was not ordered: {answer.status_code}")
        return answer.headers["Location"]

    def buy(self, what: str) -> Bought:
        """Order, pay, have the event delivered, and ask until a chat is allowed."""
        email = {"email": self._user.email}
        paid = httpx.post(self.order(what), data=CARD | email, timeout=60.0)
        if paid.status_code != 303:
            raise Failed(f"{what} was not paid: {paid.status_code}")
        rows: Any = PlanOrder.objects if what == PLAN else Purchase.objects
        session_id = rows.get(account=self.account).stripe_session_id
        event = completed(session_id)
        began = time.perf_counter()
        deliver(event)
        answered = time.perf_counter()
        paid_by = self._until_allowed()
        seconds = time.perf_counter() - answered
        if not paid_by[PAYS[what]]:
            raise Failed(f"{what} did not pay: {paid_by}")
        return Bought(webhook=answered - began, chat=seconds)

    def close(self) -> None:
        """Ask nothing any more."""
        self.pages.close()
        self._gate.close()

    def _until_allowed(self, units: int = 1) -> dict[str, int]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (paid_by := self._paid_by(units)):
            if time.monotonic() > deadline:
                raise Failed("no chat was allowed in time")
        return paid_by


def completed(session_id: str) -> dict[str, Any]:
    """The event that says that a session is paid."""
    wanted = {"type": "checkout.session.completed", "limit": "20"}
    for event in _ask_stripe("GET", "/v1/events", params=wanted)["data"]:
        if event["data"]["object"]["id"] == session_id:
            found: dict[str, Any] = event
            return found
    raise Failed("Stripe has no event of it")


def deliver(event: Mapping[str, Any]) -> None:
    """Send an event to the site, as Stripe does."""
    payload = json.dumps(event).encode()
    signature = sign(payload, secret=settings.STRIPE_WEBHOOK_SECRETS[0], at=int(time.time()))
    headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
    answer = httpx.post(f"{settings.SITE_URL}/stripe/webhook", content=payload, headers=headers)
    answer.raise_for_status()


def _ask_stripe(method: str, path: str, **request: Any) -> Any:
    headers = {"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"}
    url = f"{settings.STRIPE_API_BASE}{path}"
    answer = httpx.request(method, url, headers=headers, timeout=60.0, **request)
    return answer.raise_for_status().json()


@contextmanager
def switched(**switches: Any) -> Iterator[None]:
    """Things go wrong at the sandbox meanwhile."""
    _ask_stripe("POST", "/developer/switches", json=switches)
    try:
        yield
    finally:
        _ask_stripe("POST", "/developer/switches", json=dict.fromkeys(switches))


@contextmanager
def looking(buyers: list[Buyer]) -> Iterator[None]:
    """Each looks at another plan, again and again."""
    is_over = threading.Event()

    def look(buyer: Buyer) -> None:
        while not is_over.is_set():
            buyer.pages.get("/account/billing/plans/pro")

    threads = [threading.Thread(target=look, args=(buyer,)) for buyer in buyers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def measure_checks(
    target: Target, buyers: list[Buyer], *, rounds: int, seconds: float
) -> dict[str, list[Sample]]:
    """Checks in each state in each round, another one first each time."""
    found: dict[str, list[Sample]] = defaultdict(list)
    with Generator() as generator:
        for number in range(rounds):
            first = number % len(STATES)
            for state in (*STATES[first:], *STATES[:first]):
                with ExitStack() as stack:
                    if state == HANGS:
                        stack.enter_context(switched(hang={"times": 1000, "seconds": 600.0}))
                        for _ in range(_WAITING_EVENTS):
                            deliver(_some_event())
                    if state != ALONE:
                        stack.enter_context(looking(buyers))
                        time.sleep(1.0)
                    sample = generator.measure(
                        CHECK.name, target, connections=_CONNECTIONS, seconds=seconds
                    )
                found[state].append(sample)
    return found


def _some_event() -> dict[str, Any]:
    session = {"id": f"cs_test_{uuid4().hex}", "object": "checkout.session"}
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "data": {"object": session},
    }


def table(bought: Mapping[str, list[Bought]]) -> str:
    """For people."""
    rows = [["bought", "times", "webhook p50 ms", "then p50 ms", "p99 ms", "highest ms"]]
    for what, taken in bought.items():
        chats = [one.chat * 1000 for one in taken]
        numbers = (
            median(one.webhook for one in taken) * 1000,
            median(chats),
            quantile(chats, 0.99),
            max(chats),
        )
        rows.append([what, str(len(taken)), *(f"{number:.0f}" for number in numbers)])
    return columns(rows)


def checks_table(checks: Mapping[str, list[Sample]]) -> str:
    """The same of checks; ratios are taken within a round."""
    rows = [["checks beside", "a second", "p50 ms", "p99 ms", "of the rate with nobody", "failed"]]
    for state in STATES:
        taken = checks[state]
        ratios = [one.rate / alone.rate for one, alone in zip(taken, checks[ALONE], strict=True)]
        rows.append(
            [
                state,
                f"{median(one.rate for one in taken):,.0f}",
                f"{median(one.quantile(0.5) for one in taken) * 1000:.2f}",
                f"{median(one.quantile(0.99) for one in taken) * 1000:.1f}",
                f"{median(ratios):.2f}",
                str(sum(one.failures for one in taken)),
            ]
        )
    return columns(rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench --bought")
    parser.add_argument("--bought", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()
    times = 3 if given.quick else 30
    listening = Listening(os.getppid())
    site = Site(Path(os.environ["DATA_DIR"]), int(os.environ["PORT"]), int(os.environ["GATE_PORT"]))
    target = make_cast({GATE: site.gate_port, FRONT: site.port}, ())
    print(Machine.here(target.redis_url), flush=True)
    bought: dict[str, list[Bought]] = defaultdict(list)
    lookers: list[Buyer] = []
    try:
        for number in range(times):
            for what in PAYS:
                buyer = Buyer(site, target)
                with switched(lose={"times": 1000}):
                    bought[what].append(buyer.buy(what))
                if what == PLAN and len(lookers) < _LOOKERS:
                    lookers.append(buyer)
                else:
                    buyer.close()
            print(f"Purchase {number + 1} of {times} of each done", flush=True)
        print(f"\n{table(bought)}\n", flush=True)
        checks = measure_checks(
            target,
            lookers,
            rounds=given.rounds or (1 if given.quick else 5),
            seconds=given.seconds or (1.0 if given.quick else 4.0),
        )
    except (Failed, GeneratorFailed, httpx.HTTPError) as error:
        print(f"✗ {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"{checks_table(checks)}\n")
    print(
        "“webhook” is how long our 2xx took, “then” what passed from it to the first chat that was "
        "allowed, asked for without pause."
    )
    noise = listening.noise()
    print(*(() if noise is None else (noise,)))
    return 1 if any(one.failures for taken in checks.values() for one in taken) else 0


if __name__ == "__main__":
    sys.exit(main())
