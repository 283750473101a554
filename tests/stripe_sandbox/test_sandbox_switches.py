"""What a developer may have go wrong, and where events go."""

import time
from typing import Any

import pytest
import stripe

from stripe_sandbox.webhooks import sign
from tests.patience import until
from tests.stripe_sandbox.running_sandbox import KEY, Receiver, Running, receiving
from tests.stripe_sandbox.subscriber import put_ahead, switch


def expire_one(sandbox: Running) -> str:
    """Cause one event."""
    session = sandbox.session()
    sandbox.api.v1.checkout.sessions.expire(session.id)
    return session.id


def test_nothing_goes_wrong_until_it_is_told_to(shared_sandbox: Running) -> None:
    stands = shared_sandbox.raw("GET", "/developer/switches").json()
    assert stands == {
        "lose": None,
        "twice": None,
        "late": None,
        "hang": None,
        "refuse": None,
        "when_retries_end": "cancel",
    }


def test_events_can_be_lost_and_sent_after_all(sandbox: Running) -> None:
    switch(sandbox, lose={"times": 1, "only": ["checkout.session.*"]})
    first, second = expire_one(sandbox), expire_one(sandbox)
    until(lambda: len(sandbox.receiver.events) == 1)
    assert sandbox.receiver.events[0].data.object["id"] == second

    def failed() -> list[stripe.Event]:
        return sandbox.api.v1.events.list(params={"delivery_success": False}).data

    # What has arrived is noted as delivered a moment later.
    until(lambda: [event.data.object["id"] for event in failed()] == [first])
    (lost,) = failed()
    assert lost.pending_webhooks == 1
    answer = sandbox.raw("POST", f"/developer/events/{lost.id}/send", json={})
    assert answer.status_code == 200
    until(lambda: len(sandbox.receiver.events) == 2)
    assert sandbox.receiver.events[1].data.object["id"] == first
    assert sandbox.raw("POST", "/developer/events/evt_none/send", json={}).status_code == 400


def test_events_can_be_sent_twice_or_late(sandbox: Running) -> None:
    switch(sandbox, twice={"times": 1})
    expire_one(sandbox)
    until(lambda: len(sandbox.receiver.attempts) == 2)
    assert len(set(sandbox.receiver.attempts)) == 1
    switch(sandbox, late={"times": 1, "seconds": 60})
    expire_one(sandbox)
    time.sleep(0.7)
    assert len(sandbox.receiver.attempts) == 2
    sandbox.clock.ahead = 61
    until(lambda: len(sandbox.receiver.attempts) == 3)


def test_calls_can_hang_and_be_refused_by_their_path(sandbox: Running) -> None:
    switch(
        sandbox,
        hang={"times": 1, "seconds": 0.5, "only": ["/v1/events*"]},
        refuse={"times": 5, "status": 503, "only": ["/v1/refunds*"]},
    )
    sandbox.api.v1.customers.list()
    begun = time.monotonic()
    sandbox.api.v1.events.list()
    assert time.monotonic() - begun >= 0.5
    with pytest.raises(stripe.APIError) as failure:
        sandbox.api.v1.refunds.list()
    assert failure.value.http_status == 503
    switch(sandbox, refuse=None)
    assert sandbox.api.v1.refunds.list().data == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"explode": {"times": 1}},
        {"lose": {"times": 0}},
        {"lose": {"times": 1001}},
        {"lose": {"times": "many"}},
        {"lose": {"often": 1}},
        {"lose": {"times": 1, "only": "charge.*"}},
        {"hang": {"times": 1, "seconds": 601}},
        {"hang": {"times": 1, "seconds": "1"}},
        {"refuse": {"times": 1, "status": 200}},
        {"refuse": {"times": 1, "after_acting": "yes"}},
        {"refuse": {"times": 1, "after_acting": True, "status": 429}},
        {"when_retries_end": "explode"},
        ["lose"],
    ],
)
def test_switches_have_bounds(shared_sandbox: Running, wrong: Any) -> None:
    answer = shared_sandbox.raw("POST", "/developer/switches", json=wrong)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "wrong", [{"months": 13}, {"days": -1}, {"days": 1.5}, {"years": 1}, {"months": True}]
)
def test_the_clock_has_bounds(shared_sandbox: Running, wrong: Any) -> None:
    assert shared_sandbox.raw("POST", "/developer/clock", json=wrong).status_code == 400


def test_what_a_developer_sets_wants_the_secret_key(shared_sandbox: Running) -> None:
    for path in ("clock", "switches"):
        answer = shared_sandbox.raw(
            "POST", f"/developer/{path}", json={}, headers={"Authorization": "Bearer sk_test_no"}
        )
        assert answer.status_code == 401
    assert shared_sandbox.raw("POST", "/developer/clock", content=b"{").status_code == 400


def test_a_developer_decides_disputes(sandbox: Running) -> None:
    sandbox.pay(sandbox.session(), number="4000000000000259")
    until(lambda: sandbox.api.v1.disputes.list().data)
    (dispute,) = sandbox.api.v1.disputes.list().data
    path = f"/developer/disputes/{dispute.id}"
    assert sandbox.raw("POST", path, json={"outcome": "warning_closed"}).status_code == 400
    assert sandbox.raw("POST", path, json={"outcome": "won"}).status_code == 200
    assert sandbox.raw("POST", path, json={"outcome": "won"}).status_code == 400
    assert sandbox.api.v1.disputes.retrieve(dispute.id).status == "won"
    sandbox.receiver.wait_for("charge.dispute.funds_reinstated")


def test_other_endpoints_have_secrets_of_their_own_and_get_what_they_want(
    sandbox: Running,
) -> None:
    endpoints = sandbox.api.v1.webhook_endpoints
    with receiving() as other:
        made = endpoints.create(
            params={"url": other.url, "enabled_events": ["checkout.session.expired"]}
        )
        assert made.secret is not None
        assert made.secret.startswith("whsec_")
        other.secret = made.secret
        assert "secret" not in endpoints.retrieve(made.id)
        sandbox.api.v1.customers.create()
        session_id = expire_one(sandbox)
        other.wait_for("checkout.session.expired")
        sandbox.receiver.wait_for("customer.created", "checkout.session.expired")
        assert other.types() == ["checkout.session.expired"]
        assert other.events[0].pending_webhooks == 2
        assert other.events[0].data.object["id"] == session_id
        changed = endpoints.update(made.id, params={"disabled": True})
        assert changed.status == "disabled"
        expire_one(sandbox)
        until(lambda: sandbox.receiver.types().count("checkout.session.expired") == 2)
        assert len(other.events) == 1
    assert [one.id for one in endpoints.list().data] == [made.id]
    assert endpoints.delete(made.id).deleted is True
    assert endpoints.list().data == []
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        endpoints.retrieve(made.id)
    assert refusal.value.http_status == 404


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"url": "nowhere", "enabled_events": ["*"]}, "url"),
        ({"url": "http://127.0.0.1:9/"}, "enabled_events"),
        ({"url": "http://127.0.0.1:9/", "enabled_events": ["everything"]}, "enabled_events"),
    ],
)
def test_an_endpoint_is_read_strictly(shared_sandbox: Running, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shared_sandbox.api.v1.webhook_endpoints.create(params=params)
    assert refusal.value.param == param


def test_events_are_listed_by_type_types_and_moment(sandbox: Running) -> None:
    expire_one(sandbox)
    sandbox.api.v1.customers.create()
    events = sandbox.api.v1.events

    def types(**params: Any) -> list[str]:
        wanted: Any = params
        return [event.type for event in events.list(params=wanted).data]

    assert types() == ["customer.created", "checkout.session.expired"]
    assert types(type="customer.created") == ["customer.created"]
    assert types(types=["checkout.session.expired", "charge.failed"]) == [
        "checkout.session.expired"
    ]
    assert types(created={"gt": int(time.time()) + 5}) == []
    with pytest.raises(stripe.InvalidRequestError):
        types(type="customer.created", types=["charge.failed"])
    sandbox.clock.ahead = 31 * 24 * 3600
    assert types() == []


def test_moving_the_clock_of_subscriptions_moves_nothing_else(sandbox: Running) -> None:
    session = sandbox.session()
    put_ahead(sandbox, months=2)
    assert sandbox.api.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert abs(sandbox.session().created - time.time()) < 60


def test_the_secret_of_an_endpoint_signs_as_the_configured_one_does(receiver: Receiver) -> None:
    payload = b'{"id": "evt_1", "object": "event", "type": "charge.failed"}'
    header = sign(payload, secret=receiver.secret, at=int(time.time()))
    event = stripe.Webhook.construct_event(payload, header, receiver.secret)
    assert event.id == "evt_1"
    assert KEY not in receiver.secret
