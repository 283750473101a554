"""From a refusal to its reason: the id that the answer bore finds it, with and without scripts."""

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.test_pages_look_right import NARROW, problems, sign_up
from tests.journeys.test_paid_chat import chat, new_key
from tests.patience import LONGEST_SECONDS
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

URL = "/account/usage/requests"


def refused_key(page: Page, site: RunningSite) -> str:
    """A key that may use nothing."""
    page.goto(f"{site.address}/account/keys")
    page.get_by_label("Name", exact=True).fill("website")
    page.get_by_text("Limits:").click()
    page.get_by_label("Chats a week").fill("0")
    page.get_by_role("button", name="Create key").click()
    return page.locator("code").filter(has_text="sk_").first.inner_text().strip()


def ask(site: RunningSite, key: str) -> httpx.Response:
    """A chat with an id of the customer's own."""
    return httpx.post(
        f"{site.address}/api/v1/chat",
        headers={"Authorization": f"Bearer {key}", "X-Request-Id": "order-17"},
        json={"messages": [{"role": "user", "content": "Hello!"}], "tag": "ann"},
        timeout=LONGEST_SECONDS,
    )


@pytest.mark.parametrize("scripts", [True, False])
def test_a_refused_request_is_found_by_its_id_on_a_phone(
    chromium: Browser, site: RunningSite, scripts: bool
) -> None:
    context = chromium.new_context(
        viewport={"width": NARROW, "height": 844}, java_script_enabled=scripts
    )
    page = context.new_page()
    sign_up(page, site)
    passed = ask(site, new_key(page, site))
    refused = chat(site, refused_key(page, site))
    assert (passed.status_code, refused.status_code) == (200, 403)

    page.goto(f"{site.address}{URL}")
    expect(page.get_by_text("The newest first")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(2)
    if scripts:
        assert problems(page) == []
    page.get_by_label("Request id").fill(refused.headers["x-request-id"])
    page.get_by_label("Request id").press("Enter")
    expect(page.get_by_role("heading", name="1 found")).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_text("It takes more than this key may ever use in a week.")).to_be_visible()
    assert "request_id=" in page.url

    page.goto(f"{site.address}{URL}?request_id=order-17")
    expect(page.locator("tbody").get_by_text("Passed")).to_be_visible()
    expect(page.get_by_text("for ann")).to_be_visible()
    page.goto(f"{site.address}{URL}?request_id=nowhere")
    expect(page.get_by_text("Not among the recent requests")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    if scripts:
        assert problems(page) == []
    context.close()
