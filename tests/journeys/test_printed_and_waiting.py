"""Pages on paper, and parts of pages that are on their way."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

from tests.journeys.test_pages_look_right import create_key, put_away, sign_up
from tests.patience import until
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# What a sheet of A4 leaves between the margins of our style, at 96 to the inch.
A4 = ViewportSize(width=718, height=1030)
PRESSED = "button, .btn, .copy, .site-nav, .tabs, .filters, .skip, .site-footer"
PAGES = ["/account/keys", "/account/usage", "/account/billing", "/pricing", "/docs/quickstart"]


@pytest.fixture
def sheet(chromium: Browser, site: RunningSite) -> Iterator[Page]:
    """A sheet for somebody who likes it dark, signed in and with a key."""
    context = chromium.new_context(color_scheme="dark", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sign_up(page, site)
    create_key(page, site, "laptop")
    put_away(page)
    page.set_viewport_size(A4)
    page.emulate_media(media="print", color_scheme="dark")
    yield page
    context.close()


def test_a_sheet_is_black_on_white_and_has_nothing_to_press(sheet: Page, site: RunningSite) -> None:
    for path in PAGES:
        sheet.goto(f"{site.address}{path}")
        body = "getComputedStyle(document.body)"
        assert sheet.evaluate(f"[{body}.backgroundColor, {body}.color]") == [
            "rgb(255, 255, 255)",
            "rgb(0, 0, 0)",
        ]
        seen = f"[...document.querySelectorAll('{PRESSED}')].filter((it) => it.checkVisibility())"
        assert sheet.evaluate(f"{seen}.map((it) => it.outerHTML)") == [], path
        expect(sheet.locator(".brand")).to_be_visible()
        assert sheet.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_a_row_is_whole_and_its_table_is_no_pile_of_blocks(sheet: Page, site: RunningSite) -> None:
    sheet.goto(f"{site.address}/account/keys")
    row = sheet.locator(".table tbody tr").first
    style = row.evaluate("it => [getComputedStyle(it).display, getComputedStyle(it).breakInside]")
    assert style == ["table-row", "avoid"]
    head = sheet.locator(".table thead").evaluate("it => getComputedStyle(it).display")
    assert head == "table-header-group"
    created = row.locator("time").first
    moment = created.evaluate("it => getComputedStyle(it, '::after').content")
    assert str(created.get_attribute("data-exact")) in moment


def test_what_is_folded_together_is_open_on_paper(sheet: Page, site: RunningSite) -> None:
    sheet.goto(f"{site.address}/pricing")
    answers = sheet.locator("main details:not([open]) > p")
    assert answers.count() > 3
    for number in range(answers.count()):
        expect(answers.nth(number)).to_be_visible()
    sheet.emulate_media(media="screen")
    expect(answers.first).to_be_hidden()


def test_the_cells_of_a_week_are_printed_with_their_colours(sheet: Page, site: RunningSite) -> None:
    sheet.goto(f"{site.address}/account/usage")
    drawn = sheet.locator("main .strip svg").first
    assert drawn.evaluate("it => getComputedStyle(it).printColorAdjust") == "exact"
    # Those of paper, whatever the theme of the screen is.
    fill = sheet.locator("#cell-allowance .cell").evaluate("it => getComputedStyle(it).fill")
    assert fill == "rgb(5, 67, 74)"


def test_where_a_link_to_another_site_leads_stands_behind_it(
    sheet: Page, site: RunningSite
) -> None:
    sheet.goto(f"{site.address}/styleguide")
    behind = "it => getComputedStyle(it, '::after').content"
    out = sheet.get_by_role("link", name="A link to another site")
    assert "https://example.com/terms" in out.evaluate(behind)
    assert sheet.locator("main a[href='#type']").evaluate(behind) == "none"


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_list_that_is_on_its_way_says_so_quietly(
    chromium: Browser, site: RunningSite, motion: str
) -> None:
    context: BrowserContext = chromium.new_context(
        reduced_motion="reduce" if motion == "reduce" else "no-preference"
    )
    page = context.new_page()
    sign_up(page, site)
    page.goto(f"{site.address}/account/usage/requests")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/requests?**", hold)
    form = page.locator("form[hx-get]")
    sign = "it => ['content', 'visibility'].map((name) => getComputedStyle(it, '::after')[name])"
    assert form.evaluate(sign)[0] == "none"
    page.get_by_role("button", name="Show", exact=True).click()
    until(lambda: form.evaluate(sign) == ['""', "visible"])
    moves = form.evaluate("it => getComputedStyle(it, '::after').animationName")
    assert ("cells-pass" in moves) == (motion == "no-preference")
    held[0].continue_()
    until(lambda: form.evaluate(sign)[0] == "none")
    context.close()
