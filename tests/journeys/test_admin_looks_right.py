"""The admin in a real Chromium: accessible, within narrow windows, in both themes."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.journeys.test_pages_look_right import (
    NARROW,
    WIDE,
    problems_in_both_themes,
    window,
    without_scripts,
)
from tests.running_site import RunningSite

__all__ = ["window", "without_scripts"]

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PAGES = [
    "/admin/",
    "/admin/quotas/plan/",
    "/admin/quotas/plan/1/change/",
    "/admin/quotas/plan/1/history/",
    "/admin/quotas/pack/add/",
    "/admin/quotas/pack/1/delete/",
    "/admin/quotas/aimodel/",
    "/admin/quotas/quotapolicy/1/change/",
    "/admin/quotas/boost/add/",
    "/admin/quotas/creditentry/",
    "/admin/quotas/plangrant/add/",
    "/admin/accounts/account/",
    "/admin/accounts/account/add/",
    "/admin/accounts/account/1/change/",
    "/admin/accounts/account/1/boost/",
    "/admin/accounts/account/1/credits/",
    "/admin/accounts/account/1/plan/",
    "/admin/accounts/account/1/suspend/",
    "/admin/accounts/user/1/change/",
    "/admin/auth/group/add/",
    "/admin/billing/product/1/change/",
    "/admin/billing/purchase/",
    "/admin/keys/servicetoken/add/",
    "/admin/partitions/partition/",
    "/admin/password_change/",
]


def sign_in(page: Page, site: RunningSite) -> None:
    email, password = site.admin
    page.goto(f"{site.address}/admin/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").first.click()
    expect(page).to_have_url(f"{site.address}/admin/")


# What Django adds to pages of a language that is written from right to left.
_TURN = """
    document.documentElement.dir = "rtl";
    const ours = document.querySelector("link[href*='css/faces']");
    Promise.all(["rtl", "responsive_rtl"].map((name) => new Promise((came, failed) => {
        const sheet = document.createElement("link");
        sheet.rel = "stylesheet";
        sheet.onload = came;
        sheet.onerror = failed;
        sheet.href = `/static/admin/css/${name}.css`;
        ours.before(sheet);
    })))
"""
# Where boxes stand, counted from where lines begin.
_STANDS = """
    const isTurned = document.documentElement.dir === "rtl";
    [...document.querySelectorAll(
        "#header, #nav-sidebar, #content, #content h1, .panel, .panel table, .module, #changelist, "
        + "#changelist .results, #changelist-filter, .submit-row, .form-row, .acts, .object-tools a"
    )].filter((it) => it.checkVisibility()).map((it) => {
        const box = it.getBoundingClientRect();
        const start = isTurned ? innerWidth - box.right : box.left;
        return [`${it.tagName} ${it.id || it.className}`, Math.round(start), Math.round(box.width)];
    })
"""
# Of a number within a panel, and of what it counts: at the end of its cell, and at the beginning.
_NUMBERS = """
    [...document.querySelectorAll(".panel td")].filter((it) => it.checkVisibility()).map((it) => {
        const style = getComputedStyle(it);
        const said = { start: "right", end: "left" };
        return [it.classList.contains("number"), said[style.textAlign] || style.textAlign];
    })
"""


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_admin_is_its_own_picture_in_a_mirror_from_right_to_left(
    page: Page, site: RunningSite, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, site)
    page.goto(f"{site.address}/admin/accounts/account/1/credits/")
    grant_credits(page)
    askew = {}
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for path in PAGES:
        page.goto(f"{site.address}{path}")
        before = page.evaluate(_STANDS)
        page.evaluate(_TURN)
        after = page.evaluate(_STANDS)
        assert [name for name, *_ in before] == [name for name, *_ in after]
        # Words may be a little wider by where lines break.
        askew[path] = [
            (there, here)
            for there, here in zip(before, after, strict=True)
            if max(abs(there[1] - here[1]), abs(there[2] - here[2])) > 8
        ]
        for is_number, side in page.evaluate(_NUMBERS):
            sides[is_number].add(side)
    # In a narrow window every cell stands at the end of its line, behind its name.
    assert sides == {True: {"left"}, False: {"left" if width < WIDE else "right"}}
    assert {path: found for path, found in askew.items() if found} == {}


def test_the_admin_has_no_violations_and_fits(window: Page, site: RunningSite) -> None:
    found = {}
    window.goto(f"{site.address}/admin/")
    found["sign-in"] = problems_in_both_themes(window)
    sign_in(window, site)
    for path in PAGES:
        answer = window.goto(f"{site.address}{path}")
        assert answer is not None
        assert answer.status == 200, path
        found[path] = problems_in_both_themes(window)
    window.goto(f"{site.address}/admin/accounts/account/1/boost/")
    window.get_by_role("button", name="Grant boost").click()
    expect(window.get_by_text("Nothing is changed yet.")).to_be_visible()
    found["refused"] = problems_in_both_themes(window)
    window.goto(f"{site.address}/admin/keys/servicetoken/add/")
    window.get_by_label("Name").fill(f"gateway {window.viewport_size}")
    window.get_by_role("button", name="Save", exact=True).click()
    expect(window.locator("#token")).to_contain_text("svc_")
    found["token"] = problems_in_both_themes(window)
    assert {path: list_ for path, list_ in found.items() if list_} == {}


def grant_credits(page: Page) -> None:
    page.get_by_label("Credits").fill("250")
    page.get_by_label("Reason").fill("Welcome")
    page.get_by_role("button", name="Grant credits").click()
    expect(page.get_by_text("250 credits ($2.50) are granted.")).to_be_visible()


def test_a_service_token_is_copied_by_a_key(page: Page, site: RunningSite) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.address)
    sign_in(page, site)
    page.goto(f"{site.address}/admin/keys/servicetoken/add/")
    page.get_by_label("Name").fill("copied")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Copy the token").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copy the token")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#token").inner_text()


def test_staff_act_on_an_account_without_scripts(
    without_scripts: BrowserContext, site: RunningSite
) -> None:
    page = without_scripts.new_page()
    sign_in(page, site)
    page.goto(f"{site.address}/admin/accounts/account/1/change/")
    page.get_by_role("link", name="Grant credits").click()
    grant_credits(page)
    expect(page.get_by_role("region", name="Credit ledger")).to_contain_text("Welcome")
    page.get_by_role("link", name="History", exact=True).first.click()
    expect(page.get_by_role("main")).to_contain_text("Reason: Welcome.")


def test_a_token_is_text_to_select_where_scripts_are_off(
    without_scripts: BrowserContext, site: RunningSite
) -> None:
    page = without_scripts.new_page()
    sign_in(page, site)
    page.goto(f"{site.address}/admin/keys/servicetoken/add/")
    page.get_by_label("Name").fill("selected")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#token")).to_have_text(re.compile(r"^svc_\w+$"))
    expect(page.get_by_role("button", name=re.compile("Copy"))).to_have_count(0)


def test_the_theme_of_the_site_is_that_of_the_admin(page: Page, site: RunningSite) -> None:
    page.emulate_media(color_scheme="light")
    sign_in(page, site)
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_role("button", name="Switch to dark theme").click()
    after = page.evaluate(ground)
    assert after != before
    page.goto(f"{site.address}/account/keys")
    assert page.evaluate(ground) == after
