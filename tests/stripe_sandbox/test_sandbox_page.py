"""The hosted page itself, and what must never be on it or behind it."""

import re
import sqlite3

import pytest

from tests.stripe_sandbox.running_sandbox import CARD, KEY, MOUNT, WEBHOOK_SECRET, Running, pay_url


def test_the_page_is_labelled_guarded_and_loads_nothing_from_elsewhere(
    shared_sandbox: Running,
) -> None:
    session = shared_sandbox.session(customer_email="ada@example.com")
    page = shared_sandbox.browser.get(pay_url(session))
    assert page.status_code == 200
    assert "No real money moves" in page.text
    assert "Weekly Boost" in page.text
    assert "Pay $5.00" in page.text
    assert 'value="ada@example.com"' in page.text
    assert 'href="http://127.0.0.1:9/billing"' in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; style-src 'self'" in policy
    assert "form-action 'self' http://127.0.0.1:9" in policy
    assert page.headers["cache-control"] == "no-store"
    assert not re.search(r"<script|<style|style=|onclick=", page.text)
    for name in CARD:
        assert f'<label for="{name}">' in page.text
    css = re.findall(r'rel="stylesheet" href="([^"]+)"', page.text)
    assert css == [f"{MOUNT}/checkout.css"]
    sheet = shared_sandbox.browser.get(shared_sandbox.origin + css[0])
    assert sheet.headers["content-type"].startswith("text/css")
    assert "url(" not in sheet.text
    assert "@import" not in sheet.text


def test_what_callers_and_buyers_write_is_escaped(shared_sandbox: Running) -> None:
    evil = '"><script>alert(1)</script>'
    product = {"name": evil}
    data = {"currency": "usd", "unit_amount": 500, "product_data": product}
    session = shared_sandbox.session(line_items=[{"price_data": data, "quantity": 1}])
    answer = shared_sandbox.pay(session, name=evil + " {{ merchant }} {% raw %}", number="1")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "{{ merchant }} {% raw %}" in answer.text


def test_an_unknown_page_is_a_404_and_another_method_a_405(shared_sandbox: Running) -> None:
    assert (
        shared_sandbox.browser.get(f"{shared_sandbox.origin}{MOUNT}/pay/cs_test_none").status_code
        == 404
    )
    assert shared_sandbox.browser.get(f"{shared_sandbox.origin}{MOUNT}/nothing").status_code == 404
    assert shared_sandbox.browser.put(pay_url(shared_sandbox.session())).status_code == 405


def test_no_card_number_or_secret_is_kept_or_logged(
    sandbox: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="stripe_sandbox")
    sandbox.receiver.answers = [500]
    for number in ("4000000000000002", "4000002500003155", "4242424242424242"):
        sandbox.pay(sandbox.session(), number=number, cvc="987")
    sandbox.receiver.wait_for("checkout.session.completed")
    with sqlite3.connect(sandbox.store_path) as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "4242" in dump
    assert "attempt 1: HTTP 500" in caplog.text
    for secret in ("4000000000000002", "4000002500003155", "4242424242424242", "987", KEY):
        kept = re.findall(rf"(?<![0-9A-Za-z]){secret}(?![0-9A-Za-z])", dump + caplog.text)
        assert kept == []
    assert WEBHOOK_SECRET not in dump + caplog.text
