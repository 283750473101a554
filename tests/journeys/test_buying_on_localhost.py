"""The Buy button works under whatever name of this machine the site is opened."""

import re
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_boost_is_bought(page: Page, site: RunningSite, host: str) -> None:
    here = f"http://{host}:{site.port}"
    page.goto(f"{here}/auth/signup/")
    page.get_by_label("Email").fill(f"dev-{uuid4().hex[:8]}@example.com")
    page.get_by_label("Password").fill("correct horse battery staple")
    page.get_by_role("main").get_by_role("button").first.click()
    expect(page).to_have_url(re.compile("/account/keys$"))

    page.get_by_role("link", name="Billing").first.click()
    page.get_by_role("button", name="Weekly Boost").first.click()
    expect(page.get_by_text("No real money moves").first).to_be_visible()
    page.get_by_role("button", name=re.compile("4242")).click()

    expect(page.get_by_role("heading", name="Payment received")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("500")
