"""A key is made and chats are bought with the keyboard alone, and on a phone without scripts."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys.test_pages_look_right import NARROW, WIDE, sign_up
from tests.journeys.test_paid_chat import chat, use_up
from tests.patience import until
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# More than any page has places to stop at.
_STOPS = 80
_KEY = re.compile(r"sk_[0-9A-Za-z]{46}")


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until one stands there."""
    expect(wanted).to_be_visible()
    for _ in range(_STOPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


def test_a_key_is_made_limited_copied_and_put_away_by_keyboard(
    page: Page, site: RunningSite
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.address)
    sign_up(page, site)
    tab_to(page, page.get_by_label("Name", exact=True))
    page.keyboard.type("website")
    tab_to(page, page.locator("details.more summary"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Expires"))
    page.keyboard.type("In 30")
    tab_to(page, page.get_by_label("Chats a week"))
    page.keyboard.type("-5")
    tab_to(page, page.get_by_role("button", name="Create key"))
    # The browser itself would not send it: others do.
    page.locator("form:has(details.more)").evaluate("form => { form.noValidate = true }")
    page.keyboard.press("Enter")

    # The form is back, and one stands where it is wrong.
    cap = page.get_by_label("Chats a week")
    expect(cap).to_be_focused()
    expect(page.get_by_text("Give a whole number of chats, 0 to 1,000,000,000")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type("5")
    page.keyboard.press("Enter")

    heading = page.get_by_role("heading", name="Copy it now")
    expect(heading).to_be_visible()
    way_on = page.get_by_role("link", name="I have stored it")
    tab_to(page, way_on)
    page.keyboard.press("Enter")
    # Not before it is copied: what copies it has the focus instead.
    copy = page.locator("[data-copy='#new-key']")
    expect(copy).to_be_focused()
    expect(heading).to_be_visible()
    page.keyboard.press("Enter")
    expect(way_on).not_to_have_attribute("aria-disabled", "true")
    key = page.evaluate("navigator.clipboard.readText()")
    assert _KEY.fullmatch(key)

    tab_to(page, page.get_by_label("curl", exact=True))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#new-key-dotenv")).to_be_visible()
    expect(page.locator("#new-key-curl")).to_be_hidden()
    assert page.locator("#new-key-dotenv").inner_text() == f"SANSXEL_KEY={key}"

    page.keyboard.press("Shift+Tab")
    expect(way_on).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{site.address}/account/keys")
    expect(page.get_by_role("row", name=re.compile("website.*5 chats a week"))).to_be_visible()


def test_whoever_selects_and_copies_by_hand_may_go_on(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Create key").click()
    way_on = page.get_by_role("link", name="I have stored it")
    expect(way_on).to_have_attribute("aria-disabled", "true")
    page.locator("h1").click(click_count=3)
    page.keyboard.press("Control+c")
    expect(way_on).to_have_attribute("aria-disabled", "true")
    page.locator("#new-key").click()
    page.keyboard.press("Control+c")
    expect(way_on).not_to_have_attribute("aria-disabled", "true")


def test_a_boost_is_bought_by_keyboard(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    page.goto(f"{site.address}/account/billing")
    tab_to(page, page.get_by_role("button", name="Weekly Boost"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/sandbox/stripe/pay/"))
    tab_to(page, page.get_by_role("button", name=re.compile("4242")))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Payment received")).to_be_visible()
    expect(page.get_by_text("+500 chats")).to_be_visible()
    arrived = page.locator(".brought .arrived rect").first
    assert arrived.evaluate("cells => getComputedStyle(cells).animationDuration") == "0.3s"
    page.emulate_media(reduced_motion="reduce")
    assert arrived.evaluate("cells => getComputedStyle(cells).animationName") == "none"


def test_a_key_is_made_and_credits_are_bought_on_a_phone_without_scripts(
    chromium: Browser, site: RunningSite
) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": NARROW, "height": 844}
    )
    page = context.new_page()
    sign_up(page, site)
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Create key").click()
    # Nothing can know whether it was copied: the way on is there at once, and no button for that.
    expect(page.get_by_role("link", name="I have stored it")).to_be_visible()
    expect(page.get_by_role("button", name="Copy key")).to_have_count(0)
    key = page.locator("#new-key").inner_text().strip()
    assert _KEY.fullmatch(key)
    for label, name in (("Python", "python"), ("JavaScript", "javascript"), (".env", "dotenv")):
        page.get_by_text(label, exact=True).click()
        expect(page.locator(f"#new-key-{name}")).to_be_visible()
    page.get_by_role("link", name="I have stored it").click()
    page.goto(f"{site.address}/account/billing")
    page.get_by_role("button", name=re.compile("500 credits")).first.click()
    page.get_by_role("button", name=re.compile("4242")).click()
    expect(page.get_by_text("+250 chats")).to_be_visible()
    context.close()


@pytest.mark.parametrize(("width", "height", "screens"), [(WIDE, 900, 1), (NARROW, 844, 2)])
def test_buying_is_in_sight_and_before_all_else_once_the_week_is_used_up(
    page: Page, site: RunningSite, width: int, height: int, screens: int
) -> None:
    def lowest_edge() -> float:
        page.goto(f"{site.address}/account/billing")
        box = page.get_by_role("button", name=re.compile("Buy for")).first.bounding_box()
        assert box
        return float(box["y"] + box["height"])

    sign_up(page, site)
    page.set_viewport_size({"width": width, "height": height})
    page.get_by_label("Name", exact=True).fill("laptop")
    page.get_by_role("button", name="Create key").click()
    key = page.locator("#new-key").inner_text().strip()
    until(lambda: chat(site, key).status_code == 200)
    assert lowest_edge() <= height * screens
    use_up(site, key, 49)
    assert lowest_edge() <= height
    expect(page.get_by_role("heading", level=1)).to_have_text("Your week is used up")


def test_no_tab_moves_when_another_is_opened(page: Page, site: RunningSite) -> None:
    def places() -> list[float]:
        return [
            tab.bounding_box()["x"]  # type: ignore[index]
            for tab in page.get_by_role("navigation", name="Account pages")
            .get_by_role("link")
            .all()
        ]

    sign_up(page, site)
    found = []
    for name in ("API keys", "Billing", "Alerts"):
        tab = page.get_by_role("navigation", name="Account pages").get_by_role("link", name=name)
        tab.click()
        expect(tab).to_have_attribute("aria-current", "page")
        found.append(places())
    assert found[0] == found[1] == found[2]


def test_fields_and_buttons_are_of_one_height(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    page.locator("details.more summary").click()
    shown = page.locator("main").locator("input[type=text], input[type=number], select, .btn")
    boxes = [box for one in shown.all() if (box := one.bounding_box())]
    assert {box["height"] for box in boxes} == {44}
