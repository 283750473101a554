"""Public pages as they are used: the calculator, one language at a time, contents that follow."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PHONE = ViewportSize(width=390, height=844)


@pytest.fixture
def plain(chromium: Browser) -> Iterator[Page]:
    """A phone with JavaScript switched off."""
    context = chromium.new_context(java_script_enabled=False, viewport=PHONE)
    yield context.new_page()
    context.close()


def test_a_visitor_reads_what_they_would_pay_without_scripts(
    plain: Page, site: RunningSite
) -> None:
    plain.goto(f"{site.address}/")
    plain.get_by_role("link", name="What would I pay?").click()
    field = plain.get_by_label("Chats a week")
    field.fill("0")
    plain.get_by_role("button", name="Work it out").click()
    expect(plain).to_have_url(f"{site.address}/pricing/estimate?chats=0#estimate")
    expect(plain.get_by_text("must be a whole number from 1 to 1,000,000")).to_be_visible()
    field.fill("2000")
    plain.get_by_role("button", name="Work it out").click()
    answer = plain.locator(".estimate-answer")
    expect(answer).to_contain_text("$19 a month")
    expect(answer).to_contain_text("With its Copilot Pro Pack switched on")
    plain.get_by_role("link", name="Pricing").last.click()
    expect(plain).to_have_url(f"{site.address}/pricing")


def test_an_answer_takes_the_place_of_the_one_before_and_has_an_address(
    page: Page, site: RunningSite
) -> None:
    page.goto(f"{site.address}/pricing")
    page.get_by_label("Chats a week").fill("30")
    page.get_by_label("Chats a week").press("Enter")
    expect(page.locator(".estimate-answer")).to_contain_text("$0 a month")
    expect(page).to_have_url(f"{site.address}/pricing/estimate?chats=30")
    # The rest of the page stays where it is, and so does the focus.
    expect(page.get_by_role("heading", name="What a call costs")).to_be_visible()
    expect(page.get_by_label("Chats a week")).to_be_focused()
    expect(page.locator("#live")).to_have_text("$0 a month with Free")
    page.reload()
    expect(page.locator(".estimate-answer")).to_contain_text("$0 a month")


def test_all_languages_are_there_without_scripts(plain: Page, site: RunningSite) -> None:
    plain.goto(f"{site.address}/docs/quickstart")
    for code in ("q-curl", "q-py", "q-js", "q-openai-py", "q-openai-js"):
        expect(plain.locator(f"#{code}")).to_be_visible()
    expect(plain.get_by_role("button", name="Python")).to_have_count(0)


def test_one_language_is_shown_and_remembered(page: Page, site: RunningSite) -> None:
    page.goto(f"{site.address}/docs/quickstart")
    expect(page.locator("#q-curl")).to_be_visible()
    expect(page.locator("#q-py")).to_be_hidden()
    choice = page.locator("section", has=page.locator("#images"))
    button = choice.get_by_role("button", name="Python", exact=True)
    button.scroll_into_view_if_needed()
    before = button.bounding_box()
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    # Also above, and what was clicked did not move.
    expect(page.locator("#q-py")).to_be_visible()
    expect(page.locator("#q-curl")).to_be_hidden()
    after = button.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2
    page.reload()
    expect(page.locator("#q-py")).to_be_visible()
    expect(page.locator("#q-openai-js")).to_be_hidden()


@pytest.mark.parametrize("path", ["/docs/quickstart", "/docs/reference"])
def test_the_contents_show_where_one_is(page: Page, site: RunningSite, path: str) -> None:
    page.goto(f"{site.address}{path}")
    contents = page.get_by_role("navigation", name="On this page")
    current = contents.locator("[aria-current]")
    first = contents.get_by_role("link").first.get_attribute("href")
    expect(current).to_have_attribute("href", first or "")
    link = contents.get_by_role("link").nth(4)
    link.click()
    expect(current).to_have_attribute("href", link.get_attribute("href") or "")
    expect(current).to_have_count(1)


def test_the_reference_is_read_without_scripts_on_a_phone(plain: Page, site: RunningSite) -> None:
    plain.goto(f"{site.address}/docs/quickstart")
    plain.get_by_role("link", name="the reference").click()
    plain.get_by_role("link", name="/api/v1/usage").click()
    expect(plain.get_by_role("heading", name="/api/v1/usage")).to_be_in_viewport()
    plain.get_by_role("link", name="The quota check of your own API").click()
    expect(plain.get_by_role("heading", name="/quota/v1/settle")).to_be_visible()
    assert plain.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
