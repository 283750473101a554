"""Pages are light, stay still when faces come, and stand in narrow windows and few colours."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Route, expect

from tests.journeys.test_pages_look_right import OWN_PAGES, VISITOR_PAGES, problems, sign_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

REQUESTS_AT_MOST = 15
# Shows everything, also every file of the faces, some of which come late; only who works on pages
# sees it.
HEAVY = "/styleguide"
BYTES_AT_MOST = 100 * 1024
# Lines may break elsewhere. What browsers call good ends at 0.1.
SHIFT_AT_MOST = 0.05
FACES_LATE_SECONDS = 0.4

_WATCH_SHIFTS = """
    window.shifts = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shifts += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def context(chromium: Browser, width: int) -> Iterator[BrowserContext]:
    """A browser that has nothing of the site yet."""
    context = chromium.new_context(viewport={"width": width, "height": 844})
    yield context
    context.close()


def every_page(page: Page, site: RunningSite) -> Iterator[str]:
    """Go to each page in turn, signed in where that is needed."""
    for path in VISITOR_PAGES:
        page.goto(f"{site.address}{path}")
        yield path
    sign_up(page, site)
    for path in OWN_PAGES:
        page.goto(f"{site.address}{path}")
        yield path


class Wire:
    """What a page costs: requests, bytes as they came, and whom it asked."""

    def __init__(self, session: CDPSession) -> None:
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._came)
        self.forget()

    def forget(self) -> None:
        """Begin anew. What is still under way does not count."""
        self.asked: list[str] = []
        self.size = 0
        self._counted: set[str] = set()

    def _sent(self, told: dict[str, Any]) -> None:
        self._counted.add(told["requestId"])
        if not told["request"]["url"].startswith("data:"):
            self.asked.append(told["request"]["url"])

    def _came(self, told: dict[str, Any]) -> None:
        if told["requestId"] in self._counted:
            self.size += int(told["encodedDataLength"])


@pytest.mark.parametrize("width", [1280])
def test_pages_are_light_and_ask_nobody_else(context: BrowserContext, site: RunningSite) -> None:
    page = context.new_page()
    wire = Wire(context.new_cdp_session(page))
    too_much = {}
    for path in every_page(page, site):
        # Once more with an empty cache, by itself.
        wire.forget()
        page.reload(wait_until="networkidle")
        others = [url for url in wire.asked if not url.startswith(site.address)]
        is_light = len(wire.asked) <= REQUESTS_AT_MOST and wire.size <= BYTES_AT_MOST
        if others or not (is_light or path == HEAVY):
            too_much[path] = (len(wire.asked), wire.size, others)
    assert too_much == {}


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_do_not_move_when_their_faces_come(
    context: BrowserContext, site: RunningSite
) -> None:
    def come_late(route: Route) -> None:
        time.sleep(FACES_LATE_SECONDS)
        route.continue_()

    page = context.new_page()
    page.add_init_script(_WATCH_SHIFTS)
    moved = {}
    for path in every_page(page, site):
        page.route("**/*.woff2", come_late)
        page.reload()
        page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
        assert page.evaluate('document.fonts.check("16px Bricolage Grotesque")'), path
        if (shifts := page.evaluate("window.shifts")) > SHIFT_AT_MOST and path != HEAVY:
            moved[path] = shifts
        page.unroute("**/*.woff2")
    assert moved == {}


@pytest.mark.parametrize("width", [390])
def test_pages_can_be_used_without_their_faces(context: BrowserContext, site: RunningSite) -> None:
    page = context.new_page()
    page.route("**/*.woff2", lambda route: route.abort())
    found = {path: problems(page) for path in every_page(page, site)}
    assert {path: list_ for path, list_ in found.items() if list_} == {}


@pytest.mark.parametrize("width", [320])
def test_pages_fit_the_narrowest_windows_and_those_that_are_magnified(
    context: BrowserContext, site: RunningSite
) -> None:
    # 1,280 px at 400 % leave as much room.
    page = context.new_page()
    found = {
        path: page.evaluate("document.documentElement.scrollWidth - innerWidth")
        for path in every_page(page, site)
    }
    assert {path: wide for path, wide in found.items() if wide > 0} == {}


@pytest.mark.parametrize("width", [390])
def test_pages_stand_from_right_to_left(context: BrowserContext, site: RunningSite) -> None:
    page = context.new_page()
    found = {}
    for path in every_page(page, site):
        page.evaluate("document.documentElement.dir = 'rtl'")
        # What stands too far to the left is cut off there, and cannot be scrolled to.
        found[path] = page.evaluate("""
            Math.max(0, ...[...document.querySelectorAll("main *, header *, footer *")]
                .filter((it) => it.checkVisibility() && it.scrollWidth <= it.clientWidth + 1)
                .map((it) => -it.getBoundingClientRect().left))
        """)
    assert {path: beyond for path, beyond in found.items() if beyond > 1} == {}


def test_what_pays_can_be_told_apart_in_the_systems_few_colours(
    chromium: Browser, site: RunningSite
) -> None:
    context = chromium.new_context(forced_colors="active", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{site.address}/styleguide")
    drawn = page.locator(".strip svg").first
    expect(drawn).to_be_visible()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for kind in ("allowance", "boost", "credits"):
        cell = page.locator(f"#cell-{kind} .cell").evaluate("it => getComputedStyle(it).fill")
        assert re.fullmatch(r"rgb\(.*\)", cell)
        assert cell != ground
    signs = page.locator("#cell-boost .cell-sign, #cell-credits .cell-sign")
    for number in range(signs.count()):
        assert signs.nth(number).evaluate("it => getComputedStyle(it).stroke") == ground
    context.close()
