"""The end of a session, and how it is announced."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import stripe

from stripe_sandbox.webhooks import send, sender, wait_before_retry
from tests.odd_servers import lying
from tests.patience import until
from tests.stripe_sandbox.running_sandbox import (
    CARD,
    WEBHOOK_SECRET,
    Receiver,
    Running,
    pay_url,
    receiving,
    running,
)


async def sent_to(url: str) -> int | None:
    event = {"id": "evt_1", "object": "event", "type": "checkout.session.expired"}
    async with sender() as client:
        return await send(event, url=url, secret=WEBHOOK_SECRET, client=client)


def test_an_expired_session_cannot_be_paid(sandbox: Running) -> None:
    session = sandbox.session()
    url = pay_url(session)
    sandbox.api.v1.checkout.sessions.expire(session.id)
    sandbox.receiver.wait_for("checkout.session.expired")
    request = sandbox.receiver.events[0].request
    assert request is not None
    assert request.id is not None
    assert request.id.startswith("req_")
    assert sandbox.browser.post(url, data=CARD).status_code == 410
    page = sandbox.browser.get(url)
    assert page.status_code == 410
    assert 'href="http://127.0.0.1:9/billing"' in page.text
    assert sandbox.fresh(session).payment_status == "unpaid"


def test_a_session_expires_by_itself_when_its_time_is_over(sandbox: Running) -> None:
    session = sandbox.session(expires_at=int(time.time()) + 1800)
    sandbox.clock.ahead = 1700
    time.sleep(0.6)
    assert sandbox.fresh(session).status == "open"
    sandbox.clock.ahead = 1801
    sandbox.receiver.wait_for("checkout.session.expired")
    assert sandbox.fresh(session).status == "expired"


def test_a_complete_session_cannot_be_expired_and_its_page_says_so(shared_sandbox: Running) -> None:
    session = shared_sandbox.session()
    shared_sandbox.pay(session)
    with pytest.raises(stripe.InvalidRequestError, match="`complete`"):
        shared_sandbox.api.v1.checkout.sessions.expire(session.id)
    page = shared_sandbox.browser.get(pay_url(session))
    assert page.status_code == 200
    assert "This payment is complete" in page.text
    assert f'href="http://127.0.0.1:9/thanks?session={session.id}"' in page.text


def test_a_webhook_is_retried_until_it_is_accepted(sandbox: Running) -> None:
    sandbox.receiver.answers = [500, 302, 404]
    sandbox.api.v1.checkout.sessions.expire(sandbox.session().id)
    sandbox.receiver.wait_for("checkout.session.expired")
    assert len(sandbox.receiver.attempts) == 4
    assert len(set(sandbox.receiver.attempts)) == 1


def test_the_wait_between_tries_doubles_up_to_an_hour() -> None:
    waits = [wait_before_retry(attempts, first_seconds=1) for attempts in (1, 2, 3, 12, 13, 500)]
    assert waits == [1, 2, 4, 2048, 3600, 3600]


def test_a_webhook_nobody_took_is_sent_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "stripe.sqlite3"
    with receiving() as away:
        away.answers = [503] * 1000
        with running(path, away) as sandbox:
            session = sandbox.session()
            sandbox.pay(session)
            until(lambda: len(set(away.attempts)) >= 3)
            listed = sandbox.api.v1.events.list(params={"delivery_success": False})
            assert len(listed.data) == 3
    with receiving() as back, running(path, back) as sandbox:
        # Nothing is asked of the new process: the lifespan alone resumes the retries, and what
        # the old one had claimed when it went away is free again once the lease is over.
        sandbox.clock.ahead = 60
        back.wait_for("charge.succeeded", "payment_intent.succeeded", "checkout.session.completed")


def test_two_processes_send_each_event_once(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "shared.sqlite3"
    with ExitStack() as stack:
        running_ones = [stack.enter_context(running(path, receiver)) for _ in range(2)]
        ids = [running_ones[0].session().id for _ in range(20)]
        for position, session_id in enumerate(ids):
            running_ones[position % 2].api.v1.checkout.sessions.expire(session_id)
        until(lambda: len(receiver.events) >= 20)
        time.sleep(0.2)
        assert len(receiver.attempts) == 20
        assert len(set(receiver.attempts)) == 20


async def test_a_redirect_is_no_acceptance_and_is_not_followed(receiver: Receiver) -> None:
    with lying() as moved:
        moved.status, moved.headers = 307, {"Location": receiver.url}
        assert await sent_to(moved.origin) == 307
    assert receiver.attempts == []


async def test_an_answer_counts_by_its_status_whatever_follows() -> None:
    with lying() as endless:
        endless.headers = {"Content-Length": "1000000"}
        assert await sent_to(endless.origin) == 200


async def test_where_nobody_listens_nothing_was_accepted() -> None:
    with lying() as gone:
        origin = gone.origin
    assert await sent_to(origin) is None


async def test_a_webhook_goes_straight_to_its_address_whatever_proxy_the_developer_uses(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert await sent_to(receiver.url) == 200
    assert receiver.types() == ["checkout.session.expired"]
