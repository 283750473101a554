"""From a refusal to a chat that is paid: two clicks and a card, with scripts and without."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import with_and_without_scripts
from tests.journeys.test_paid_chat import chat, new_key, sign_up, use_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@with_and_without_scripts
@pytest.mark.parametrize("begins", ["the refusal", "the usage page"])
def test_who_is_used_up_buys_what_helps_in_two_clicks(
    page: Page, site: RunningSite, begins: str
) -> None:
    sign_up(page, site)
    key = new_key(page, site)
    use_up(site, key, 50)
    refused = chat(site, key)
    assert refused.status_code == 429

    if begins == "the refusal":
        page.goto(refused.json()["billing_url"])
    else:
        page.goto(f"{site.address}/account/usage")
        page.get_by_role("link", name="Add a Weekly Boost or credits").click()
    first = page.locator(".offers > li").first
    expect(first).to_contain_text("The cheapest that lets your next chat go through.")
    first.get_by_role("button").click()
    page.get_by_role("button", name=re.compile("4242")).click()

    expect(page).to_have_url(re.compile(r"/account/billing/purchases/"))
    expect(page.get_by_role("main")).to_contain_text("Your next chat is paid by your boost.")
    assert chat(site, key).status_code == 200


@with_and_without_scripts
def test_an_amount_of_ones_own_is_bought(page: Page, site: RunningSite, scripts: bool) -> None:
    sign_up(page, site)
    page.goto(f"{site.address}/account/billing")
    field = page.get_by_label("Another amount")
    field.fill("7.50")
    if scripts:
        expect(page.get_by_role("main")).to_contain_text("$7.50 = 750 credits = 375 chats")
    field.fill("4")
    page.get_by_role("button", name=re.compile("Credits for this amount")).click()
    expect(page.get_by_role("main")).to_contain_text("It must be at least $5.")
    expect(field).to_be_focused()
    field.fill("7.50")
    page.get_by_role("button", name=re.compile("Credits for this amount")).click()
    page.get_by_role("button", name=re.compile("4242")).click()
    expect(page.get_by_role("main")).to_contain_text("+375 chats")
    expect(page.get_by_role("link", name="Receipt")).to_be_visible()
