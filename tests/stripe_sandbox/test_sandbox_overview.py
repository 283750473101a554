"""The developer's page: what it shows, and what its buttons do."""

import re

import httpx
import stripe

from tests.patience import until
from tests.stripe_sandbox.running_sandbox import MOUNT, Running
from tests.stripe_sandbox.subscriber import fresh, invoices_of, new_price, subscribe


def page(sandbox: Running) -> str:
    answer = sandbox.browser.get(f"{sandbox.origin}{MOUNT}/")
    assert answer.status_code == 200
    return answer.text


def press(
    sandbox: Running, act: str, headers: dict[str, str] | None = None, **form: str
) -> httpx.Response:
    return sandbox.browser.post(
        f"{sandbox.origin}{MOUNT}/", data={"act": act, **form}, headers=headers or {}
    )


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    assert found is not None
    return found[0]


def charge_of(sandbox: Running) -> stripe.Charge:
    return sandbox.api.v1.charges.list(params={"limit": 1}).data[0]


def test_an_empty_sandbox_has_a_page_that_is_guarded(shared_sandbox: Running) -> None:
    answer = shared_sandbox.browser.get(f"{shared_sandbox.origin}{MOUNT}/")
    assert "Nothing was paid yet." in answer.text
    assert "default-src 'none'; style-src 'self'" in answer.headers["content-security-policy"]
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script|<style|style=|onclick=", answer.text)
    for field in re.findall(r'<input class="[^"]+"\s+id="([^"]+)"', answer.text):
        assert f'for="{field}"' in answer.text


def test_it_lists_what_was_paid_and_refunds_it(sandbox: Running) -> None:
    sandbox.pay(sandbox.session())
    sandbox.pay(sandbox.session(), number="4000000000000002")
    payments = section(page(sandbox), "payments")
    assert "$5.00" in payments
    assert "ada@example.com" in payments
    assert "Your card was declined." in payments
    (charge,) = [c for c in sandbox.api.v1.charges.list().data if c.paid]
    wrong = press(sandbox, "refund", charge=charge.id, amount="5.01")
    assert wrong.status_code == 400
    assert "so much is not left" in wrong.text
    assert press(sandbox, "refund", charge=charge.id, amount="1.50").status_code == 303
    assert "$1.50 refunded" in section(page(sandbox), "payments")
    assert press(sandbox, "refund", charge=charge.id).status_code == 303
    assert sandbox.api.v1.charges.retrieve(charge.id).refunded is True
    until(lambda: sandbox.receiver.types().count("charge.refunded") == 2)


def test_disputes_are_decided(sandbox: Running) -> None:
    for number in ("4000000000000259", "4000000000001976", "4000000000005423"):
        sandbox.pay(sandbox.session(), number=number)
    until(lambda: len(sandbox.api.v1.disputes.list().data) == 2)
    until(lambda: sandbox.api.v1.radar.early_fraud_warnings.list().data)
    disputes = section(page(sandbox), "disputes")
    assert "Early fraud warning" in disputes
    by_status = {one.status: one.id for one in sandbox.api.v1.disputes.list().data}
    press(sandbox, "dispute", dispute=by_status["needs_response"], outcome="lost")
    press(sandbox, "dispute", dispute=by_status["warning_needs_response"], outcome="escalate")
    press(sandbox, "dispute", dispute=by_status["warning_needs_response"], outcome="won")
    assert sorted(one.status for one in sandbox.api.v1.disputes.list().data) == ["lost", "won"]


def test_next_month_renews_what_is_subscribed(sandbox: Running) -> None:
    subscription = subscribe(sandbox, new_price(sandbox, 2000))
    assert "Plus" in section(page(sandbox), "subscriptions")
    moved = press(sandbox, "clock", months="1", section="clock")
    assert moved.headers["location"] == f"{MOUNT}/#clock"
    assert len(invoices_of(sandbox, subscription)) == 2
    assert "days ahead" in section(page(sandbox), "clock")
    press(sandbox, "retries", end="unpaid")
    assert "<strong>unpaid</strong>" in section(page(sandbox), "clock")
    assert fresh(sandbox, subscription).status == "active"


def test_events_are_told_with_their_state_and_sent_again(sandbox: Running) -> None:
    press(sandbox, "switch", switch="lose", times="1", only="checkout.session.expired")
    assert "on, 1 more" in section(page(sandbox), "switches")
    sandbox.api.v1.checkout.sessions.expire(sandbox.session().id)
    events = section(page(sandbox), "events")
    assert "lost on purpose" in events
    assert "on, 1 more" not in section(page(sandbox), "switches")
    (event_id,) = re.findall(r'name="event" value="(\w+)"', events)
    press(sandbox, "send", event=event_id)
    sandbox.receiver.wait_for("checkout.session.expired")
    until(lambda: "delivered" in section(page(sandbox), "events"))


def test_switches_are_set_within_their_bounds_and_off_again(sandbox: Running) -> None:
    assert press(sandbox, "switch", switch="hang", times="0").status_code == 400
    assert press(sandbox, "switch", switch="hang", times="x").status_code == 400
    press(sandbox, "switch", switch="refuse", times="3", status="503", after_acting="1")
    stands = sandbox.raw("GET", "/developer/switches").json()["refuse"]
    assert (stands["times"], stands["status"], stands["after_acting"]) == (3, 503, True)
    press(sandbox, "switch", switch="refuse", off="1")
    assert sandbox.raw("GET", "/developer/switches").json()["refuse"] is None
    assert press(sandbox, "explode").status_code == 400


def test_a_page_of_another_site_presses_nothing(sandbox: Running) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ):
        assert press(sandbox, "clock", headers, months="1").status_code == 403
    assert sandbox.raw("GET", "/developer/clock").json()["ahead_seconds"] == 0
    own = {"Origin": sandbox.origin, "Sec-Fetch-Site": "same-origin"}
    assert press(sandbox, "clock", own, days="1").status_code == 303
