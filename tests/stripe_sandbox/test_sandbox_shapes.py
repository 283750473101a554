"""The sandbox's objects, held against what the official client and Stripe's own samples say."""

import json
import os
import re
import typing
from pathlib import Path
from typing import Any

import pytest
import stripe
from stripe._object_classes import get_object_class

from tests.patience import until
from tests.stripe_sandbox.running_sandbox import Running
from tests.stripe_sandbox.subscriber import (
    new_customer,
    new_price,
    save_card,
    subscribe,
)

# Stripe's own sample objects (openapi/fixtures3.json of stripe/openapi), where somebody has them.
SAMPLES = os.environ.get("STRIPE_FIXTURES", "")
# Fields that Stripe's samples have and live answers leave out, or the other way round.
ONLY_IN_SAMPLES = {
    "charge": {"refunds", "source"},
    "checkout.session": {
        "integration_identifier",
        "managed_payments",
        "origin_context",
        "payment_method_configuration_details",
    },
    "invoice": {"subscription"},
    "payment_intent": {"managed_payments"},
    "subscription": {"managed_payments"},
}

MAY_BE_MISSING = re.compile("Optional|NotRequired|ClassVar|None")


def class_of(name: str | None) -> type[stripe.StripeObject] | None:
    """The client's class of an object, by its name."""
    known = get_object_class("V1", name or "")
    return None if known is stripe.StripeObject else known


def problems(thing: Any, kind: type, where: str) -> list[str]:
    """What of an object the client's class does not know, or misses."""
    fields = {name: str(hint) for name, hint in vars(kind).get("__annotations__", {}).items()}
    inner = getattr(kind, "_inner_class_types", {})
    found = []
    for name, hint in fields.items():
        if not MAY_BE_MISSING.search(hint) and name not in thing:
            found.append(f"{where}.{name} is missing")
    for name, value in thing.items():
        if fields and name not in fields:
            found.append(f"{where}.{name} is not known")
            continue
        if value is None and fields and not MAY_BE_MISSING.search(fields[name]):
            found.append(f"{where}.{name} is null")
        for member in value if isinstance(value, list) else [value]:
            if isinstance(member, dict):
                found += inside(member, inner.get(name), f"{where}.{name}")
    return found


def inside(thing: dict[str, Any], kind: type | None, where: str) -> list[str]:
    name = thing.get("object")
    if name == "list":
        return [p for member in thing["data"] for p in inside(member, None, f"{where}.data")]
    known = class_of(str(name)) or kind
    return problems(thing, known, where) if known else []


@pytest.fixture(scope="module")
def everything(shared_sandbox: Running) -> dict[str, list[dict[str, Any]]]:
    """One of each object, by name, as the events and lists of a busy day have them."""
    sandbox, api = shared_sandbox, shared_sandbox.api.v1
    ada = new_customer(sandbox)
    method = save_card(sandbox, ada)
    api.payment_intents.create(
        params={
            "amount": 900,
            "currency": "usd",
            "customer": ada.id,
            "payment_method": method.id,
            "off_session": True,
            "confirm": True,
        }
    )
    price, dearer = new_price(sandbox, 1000), new_price(sandbox, 3000)
    subscription = subscribe(sandbox, price, customer=ada.id)
    item = subscription["items"]["data"][0]
    params: Any = {
        "items": [{"id": item["id"], "price": dearer.id}],
        "proration_behavior": "always_invoice",
    }
    api.subscriptions.update(subscription.id, params=params)
    for number in ("4000000000000259", "4000000000001976", "4000000000005423"):
        sandbox.pay(sandbox.session(), number=number)
    sandbox.pay(sandbox.session(), number="4000000000000002")
    sandbox.pay(sandbox.session(), number="9000000000000001")
    until(lambda: len(api.disputes.list().data) == 2)
    until(lambda: len(api.radar.early_fraud_warnings.list().data) == 1)
    charge = api.charges.list(params={"customer": ada.id}).data[0]
    api.refunds.create(params={"charge": charge.id, "amount": 100})
    api.webhook_endpoints.create(
        params={"url": "http://127.0.0.1:9/hook", "enabled_events": ["charge.refunded"]}
    )
    api.billing_portal.sessions.create(params={"customer": ada.id})
    found: dict[str, list[dict[str, Any]]] = {}
    for path in (
        "customers",
        "products",
        "prices",
        "checkout/sessions",
        "payment_intents",
        "setup_intents",
        f"customers/{ada.id}/payment_methods",
        "charges",
        "refunds",
        "disputes",
        "radar/early_fraud_warnings",
        "subscriptions",
        "invoices",
        "invoice_payments",
        "billing_portal/configurations",
        "events",
        "webhook_endpoints",
    ):
        for thing in sandbox.raw("GET", f"/v1/{path}?limit=100").json()["data"]:
            found.setdefault(thing["object"], []).append(thing)
    return found


def test_every_object_is_as_the_official_client_declares_it(
    everything: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(everything) == 17
    assert all(class_of(name) for name in everything)
    found = {
        problem
        for name, things in everything.items()
        for thing in things
        for problem in inside(thing, None, name)
    }
    assert sorted(found) == []


def test_every_event_carries_an_object_as_the_client_declares_it(
    everything: dict[str, list[dict[str, Any]]],
) -> None:
    kinds = set(typing.get_args(typing.get_type_hints(stripe.Event)["type"]))
    for event in everything["event"]:
        assert event["type"] in kinds
        assert inside(event["data"]["object"], None, event["type"]) == []


@pytest.mark.skipif(
    not SAMPLES, reason="STRIPE_FIXTURES names no file with Stripe's sample objects"
)
def test_every_object_has_the_fields_of_stripes_own_samples(
    everything: dict[str, list[dict[str, Any]]],
) -> None:
    samples = json.loads(Path(SAMPLES).read_text())["resources"]
    missing = {
        f"{name}.{field}"
        for name, things in everything.items()
        if name in samples
        for thing in things
        for field in set(samples[name]) - set(thing) - ONLY_IN_SAMPLES.get(name, set())
    }
    assert sorted(missing) == []


def test_a_wrong_shape_would_be_seen() -> None:
    found = problems({"id": None, "colour": 1}, stripe.Charge, "charge")
    assert "charge.colour is not known" in found
    assert "charge.id is null" in found
    assert "charge.amount is missing" in found
