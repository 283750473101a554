"""The usage page as people walk through it: by keyboard, on a phone, without scripts, live."""

import csv
import io
import re

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys.test_lists import tab_to
from tests.journeys.test_pages_look_right import NARROW, WIDE, problems, sign_up
from tests.journeys.test_paid_chat import chat, new_key
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def with_a_quarter_of_use(page: Page, site: RunningSite) -> None:
    """Sign somebody up whose thirty keys were busy for a hundred days."""
    email = sign_up(page, site)
    site.manage("seed_usage", email, "--keys", "30", "--days", "100")
    page.goto(f"{site.address}/account/usage")


def press(page: Page, link: Locator) -> None:
    """Go to a link by Tab, and follow it."""
    tab_to(page, link)
    page.keyboard.press("Enter")
    page.wait_for_load_state()


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_view_is_reached_by_keyboard_and_looks_right(
    page: Page, site: RunningSite, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    with_a_quarter_of_use(page, site)
    assert problems(page) == []
    for words, heading in (
        ("A year", "A year"),
        ("90 days", "The last 90 days"),
        ("4 weeks", "The last 4 weeks"),
    ):
        press(page, page.get_by_role("link", name=words, exact=True))
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        assert problems(page) == []
    # A week opens into days, a day into hours.
    press(page, page.locator("a.bar").nth(3))
    expect(page.locator("ol.bars li")).to_have_count(24)
    assert problems(page) == []
    for words in ("What paid", "Endpoint", "Model", "Tag", "Member", "Key"):
        press(page, page.get_by_role("link", name=words, exact=True))
        expect(page.get_by_role("heading", name=f"By {words.lower()}")).to_be_visible()
        assert problems(page) == []
    press(page, page.get_by_role("link", name="Next"))
    expect(page.get_by_text("Page 2 of 2")).to_be_visible()
    first = page.locator("#by-list tbody a").first
    name = first.inner_text()
    press(page, first)
    chip = page.get_by_role("link", name=re.compile(f"Key: {name}"))
    expect(chip).to_be_visible()
    assert problems(page) == []
    press(page, chip)
    expect(chip).to_have_count(0)


def test_a_year_is_one_screen(page: Page, site: RunningSite) -> None:
    page.set_viewport_size({"width": WIDE, "height": 900})
    email = sign_up(page, site)
    site.manage("seed_usage", email, "--keys", "1", "--days", "365")
    page.goto(f"{site.address}/account/usage?span=year")
    box = page.locator("table.year").bounding_box()
    assert box is not None
    assert box["height"] <= 900
    expect(page.locator("table.year tbody tr")).to_have_count(53)


def test_everything_works_without_scripts(chromium: Browser, site: RunningSite) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    with_a_quarter_of_use(page, site)
    page.get_by_label("Times and days in the zone of").select_option("Asia/Kathmandu")
    page.get_by_role("button", name="Use this zone").click()
    expect(page.get_by_text("days of Asia/Kathmandu")).to_be_visible()
    page.get_by_label("From", exact=True).fill("2026-11-26")
    page.get_by_label("To, that day included").fill("2026-11-20")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("“to” is before “from”. Turn them round.")
    page.get_by_role("link", name="Show this week").click()
    page.get_by_role("link", name="Endpoint", exact=True).click()
    page.get_by_role("link", name="Images").click()
    narrowed = page.url
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export as CSV").click()
    with downloading.value.path().open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["meter"] for row in rows} == {"images"}
    # The address alone shows it again.
    page.goto(narrowed)
    total = sum(int(row["chats"]) for row in rows)
    expect(page.locator("#usage-now")).to_contain_text(f"{total:,} chats")
    context.close()


def updates(page: Page) -> tuple[list[str], list[int]]:
    """How often the page asks for what is new from now on, and what it is answered."""
    asked: list[str] = []
    statuses: list[int] = []
    page.on(
        "request",
        lambda request: asked.append(request.url) if "/usage/now" in request.url else None,
    )
    page.on(
        "response",
        lambda answer: statuses.append(answer.status) if "/usage/now" in answer.url else None,
    )
    return asked, statuses


def test_it_goes_on_by_itself_with_details_open_and_rests_while_nothing_happens(
    page: Page, site: RunningSite
) -> None:
    sign_up(page, site)
    key = new_key(page, site)
    assert chat(site, key).status_code == 200
    page.goto(f"{site.address}/account/usage")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_have_text("1 of 50 chats used")
    page.get_by_text("Show the numbers").click()
    asked, statuses = updates(page)
    assert chat(site, key).status_code == 200
    expect(heading).to_have_text("2 of 50 chats used", timeout=30_000)
    # Open details stay open, and who stands in the page stays there.
    expect(page.get_by_role("columnheader", name="Refused")).to_be_visible()
    year = page.get_by_role("link", name="A year", exact=True)
    year.focus()
    assert chat(site, key).status_code == 200
    expect(heading).to_have_text("3 of 50 chats used", timeout=30_000)
    expect(year).to_be_focused()
    while 304 not in statuses:
        page.wait_for_event("response", lambda answer: "/usage/now" in answer.url)
    # In a tab that nobody sees it asks for nothing.
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    before = len(asked)
    page.wait_for_timeout(11_000)
    assert len(asked) == before
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.wait_for_event("response", lambda answer: "/usage/now" in answer.url)


def test_what_it_says_is_what_programs_are_told(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    page.goto(f"{site.address}/account/keys")
    page.get_by_label("Name", exact=True).fill("dashboard")
    page.get_by_text("Limits:").click()
    page.get_by_label("May read this account’s usage").check()
    page.get_by_role("button", name="Create key").click()
    key = page.locator("code").filter(has_text="sk_").first.inner_text().strip()
    for _ in range(3):
        assert chat(site, key).status_code == 200
    answer = httpx.get(
        f"{site.address}/api/v1/usage", headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["chats"] == 3
    assert answer.json()["tokens"][0]["answers"] == 3
    page.goto(f"{site.address}/account/usage")
    expect(page.get_by_role("heading", level=1)).to_have_text("3 of 50 chats used")
    rows = page.evaluate("fetch('/account/usage/export.csv').then((answer) => answer.text())")
    assert sum(int(row["chats"]) for row in csv.DictReader(io.StringIO(rows))) == 3
