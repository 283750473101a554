"""Finding a key among many, in a narrow window by keyboard, and without scripts."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.journeys.test_pages_look_right import NARROW, WIDE, problems, sign_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

_MAKE_KEYS = """
from datetime import timedelta
from uuid import uuid4
from django.utils import timezone
from accounts.models import User
from keys.models import ApiKey
from quotas import grants
account = User.objects.get(email="{email}").personal_account
now = timezone.now()
ApiKey.objects.bulk_create(
    ApiKey(account=account, name=f"service {{number}}", digest=uuid4().hex, pepper_id="1",
           last_four=f"{{number:04}}", submission=uuid4(), pushed_version=1,
           created_at=now - timedelta(minutes=number),
           revoked_at=now if number % 2 else None)
    for number in range(1, 121)
)
for number in range(60):
    grants.grant_credits(account=account, credits=1, kind="grant",
                         at=now - timedelta(minutes=number), source_ref=str(uuid4()))
"""


def with_many_keys(page: Page, site: RunningSite) -> None:
    """Sign somebody up who has 120 keys, every second one revoked, and 60 lines of credits."""
    email = sign_up(page, site)
    site.manage("shell", "-v", "0", "-c", _MAKE_KEYS.format(email=email))
    page.goto(f"{site.address}/account/keys")


def names(page: Page) -> list[str]:
    """The keys in the list, by the numbers in their names."""
    found = page.locator("tbody th").all_inner_texts()
    return [re.sub(r"\D", "", text) for text in found]


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(300):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"{wanted} cannot be reached by Tab")


@pytest.fixture
def narrow(page: Page) -> Page:
    page.set_viewport_size({"width": NARROW, "height": 800})
    return page


def test_a_key_is_found_by_keyboard_in_a_narrow_window(narrow: Page, site: RunningSite) -> None:
    with_many_keys(narrow, site)
    narrow.evaluate("window.stays = true")
    tab_to(narrow, narrow.get_by_label("Name or last four"))
    narrow.keyboard.type("service 12")
    tab_to(narrow, narrow.get_by_label("State"))
    narrow.keyboard.press("A")
    narrow.keyboard.press("Shift+Tab")
    narrow.keyboard.press("Enter")
    expect(narrow.locator("tbody tr")).to_have_count(2)
    assert names(narrow) == ["12", "120"]
    # Only the part was swapped: the page is the same, and so is the place in it.
    assert narrow.evaluate("window.stays")
    expect(narrow.get_by_label("Name or last four")).to_be_focused()
    expect(narrow.locator("#live")).to_have_text("2 keys")
    expect(narrow).to_have_url(
        re.compile(r"/account/keys\?q=service(\+|%20)12&state=active&sort=$")
    )
    assert problems(narrow) == []
    narrow.go_back()
    expect(narrow.locator("tbody tr")).to_have_count(50)
    # No page of somebody who signed in is kept by the browser.
    assert "<" not in narrow.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")


def test_all_pages_are_read_by_keyboard(narrow: Page, site: RunningSite) -> None:
    with_many_keys(narrow, site)
    seen = names(narrow)
    tab_to(narrow, narrow.get_by_role("link", name="Older"))
    narrow.keyboard.press("Enter")
    narrow.wait_for_url(re.compile("after="))
    expect(narrow.locator("tbody th").first).to_contain_text("service 102")
    assert problems(narrow) == []
    seen += names(narrow)
    # Those that are revoked are a list of their own.
    assert seen == [str(number) for number in range(2, 121, 2)]
    tab_to(narrow, narrow.get_by_role("link", name="Newer"))
    narrow.keyboard.press("Enter")
    expect(narrow.locator("tbody th").first).to_contain_text("service 2")


def test_all_keys_of_a_page_are_ticked_by_keyboard_with_one_box(
    page: Page, site: RunningSite
) -> None:
    with_many_keys(page, site)
    all_of_them = page.get_by_role("checkbox", name="Tick all keys on this page")
    ticked = page.locator("tbody input:checked")
    tab_to(page, all_of_them)
    page.keyboard.press("Space")
    expect(ticked).to_have_count(50)
    page.locator("tbody input[type=checkbox]").nth(3).uncheck()
    # Some are ticked: it is read out as partly so, and ticks the rest.
    assert all_of_them.evaluate("box => box.indeterminate")
    all_of_them.press("Space")
    expect(ticked).to_have_count(50)
    page.get_by_role("button", name="Switch off", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Switch 50 keys off?")


def test_a_key_is_not_sent_to_search_for_it(page: Page, site: RunningSite) -> None:
    with_many_keys(page, site)
    page.get_by_label("Name or last four").fill("sk_AbCd1234" + "Zx9" * 12 + "Zx")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Name or last four").fill("0008")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.go_back()
    expect(page).to_have_url(f"{site.address}/account/keys")


@pytest.fixture
def without_scripts(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser with JavaScript switched off."""
    context = chromium.new_context(java_script_enabled=False)
    yield context
    context.close()


def test_a_key_is_found_without_scripts(without_scripts: BrowserContext, site: RunningSite) -> None:
    page = without_scripts.new_page()
    with_many_keys(page, site)
    page.get_by_role("link", name="Revoked (60)").click()
    assert names(page) == [str(number) for number in range(1, 100, 2)]
    page.get_by_role("link", name="Older").click()
    assert names(page) == [str(number) for number in range(101, 121, 2)]
    expect(page.get_by_label("State")).to_have_value("revoked")
    page.get_by_label("Sorted").select_option("By name")
    page.get_by_role("button", name="Search").click()
    by_name = sorted(str(number) for number in range(1, 121, 2))
    assert names(page) == by_name[:50]
    page.get_by_role("link", name="Next").click()
    assert names(page) == by_name[50:]
    expect(page.get_by_role("checkbox", name="Tick all keys on this page")).to_have_count(0)
    page.get_by_label("Name or last four").fill("nothing like it")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Show all keys").click()
    expect(page).to_have_url(f"{site.address}/account/keys")


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_lists_have_no_violations_and_fit(page: Page, site: RunningSite, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    with_many_keys(page, site)
    found = {}
    for path in (
        *("/account/keys", "/account/keys?q=none", "/account/keys?after=x"),
        *("/account/keys?state=x", "/account/billing/credits", "/account/billing/credits?after=x"),
        *("/account/billing/credits?from=2026-12-02&to=2026-11-01", "/account/billing/purchases"),
        "/account/billing/credits?kind=spend",
    ):
        page.goto(f"{site.address}{path}")
        found[path] = problems(page)
    assert {path: list_ for path, list_ in found.items() if list_} == {}
