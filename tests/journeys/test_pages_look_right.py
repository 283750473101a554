"""Pages in a real Chromium: accessible, within narrow windows, and working without scripts."""

import re
from collections.abc import Iterator
from typing import Literal
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.alerts.receiver import receiving
from tests.patience import until
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

_AXE = Axe()
# Once it has begun, which is when the next picture is drawn.
_END_TRANSITIONS = """async () => {
    await new Promise(requestAnimationFrame);
    for (const it of document.getAnimations()) if (it instanceof CSSTransition) it.finish();
}"""
OF_COLOURS = ["color-contrast", "link-in-text-block"]
PASSWORD = "correct horse battery staple"
NARROW, WIDE = 390, 1280
VISITOR_PAGES = [
    "/",
    "/pricing",
    "/pricing/estimate?chats=600",
    "/pricing/estimate?chats=none",
    "/docs/quickstart",
    "/docs/reference",
    "/docs/reference/quota",
    "/auth/login/",
    "/auth/signup/",
    "/auth/password/reset/",
    "/auth/password/reset/done/",
    "/dev/inbox",
    "/styleguide",
    "/no/such/page",
]
OWN_PAGES = [
    "/account/keys",
    "/account/usage",
    "/account/usage/requests",
    "/account/billing",
    "/account/billing/purchases",
    "/account/billing/credits",
    "/account/alerts",
    "/account/security",
    "/auth/2fa/totp/activate/",
    "/auth/2fa/webauthn/add/",
    "/auth/2fa/recovery-codes/generate/",
    "/auth/email/",
    "/auth/password/change/",
    "/auth/reauthenticate/",
    "/auth/logout/",
]


def sign_up(page: Page, site: RunningSite) -> str:
    email = f"look-{uuid4().hex[:8]}@example.com"
    page.goto(f"{site.address}/auth/signup/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button").first.click()
    expect(page).to_have_url(f"{site.address}/account/keys")
    return email


def create_key(page: Page, site: RunningSite, name: str) -> str:
    page.goto(f"{site.address}/account/keys")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create key").click()
    found = re.search(r"sk_[0-9A-Za-z]{46}", page.get_by_role("main").inner_text())
    assert found
    return found[0]


def put_away(page: Page) -> None:
    """Copy what is shown once, which opens the way on, and go."""
    page.get_by_role("button", name=re.compile("^Copy (key|secret)$")).click()
    # A page without TLS has no clipboard: what is copied is selected instead, and copied by hand.
    page.keyboard.press("Control+c")
    page.get_by_role("link", name="I have stored it").click()


def violations(page: Page, **options: list[str]) -> list[str]:
    """What axe finds: of all its rules, or of those of `runOnly`."""
    return [
        f"{violation['id']}: {[node['target'] for node in violation['nodes']]}"
        for violation in _AXE.run(
            page, options={"resultTypes": ["violations"], **options}
        ).response["violations"]
    ]


def problems(page: Page) -> list[str]:
    """What axe finds, and whether the page is wider than its window."""
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*violations(page), *([f"{wide} px too wide"] if wide > 0 else [])]


def problems_in_both_themes(page: Page) -> list[str]:
    """The same, and what is wrong with the colours of the dark theme: nothing else changes."""
    show(page, "light")
    found = problems(page)
    show(page, "dark")
    return [*found, *(f"dark: {one}" for one in violations(page, runOnly=OF_COLOURS))]


def show(page: Page, theme: Literal["light", "dark"]) -> None:
    """Show a page in a theme, without what fades from one colour to another."""
    page.emulate_media(color_scheme=theme)
    page.evaluate(_END_TRANSITIONS)


@pytest.fixture(params=[NARROW, WIDE])
def window(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of some width."""
    context = chromium.new_context(
        viewport={"width": request.param, "height": 900}, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


def test_public_pages_have_no_violations_and_fit(window: Page, site: RunningSite) -> None:
    found = {}
    for path in VISITOR_PAGES:
        window.goto(f"{site.address}{path}")
        found[path] = problems_in_both_themes(window)
    assert {path: list_ for path, list_ in found.items() if list_} == {}


def test_account_pages_have_no_violations_and_fit(window: Page, site: RunningSite) -> None:
    found = {}
    sign_up(window, site)
    found["keys, empty"] = problems_in_both_themes(window)
    create_key(window, site, "a name as long as names may be, " + "n" * 48)
    found["new key"] = problems_in_both_themes(window)
    window.reload()
    found["repeated key"] = problems_in_both_themes(window)
    for path in OWN_PAGES:
        window.goto(f"{site.address}{path}")
        found[path] = problems_in_both_themes(window)
    window.goto(f"{site.address}/account/keys")
    window.get_by_role("link", name="Revoke").click()
    found["revoke"] = problems_in_both_themes(window)
    window.get_by_role("button", name="Revoke key").click()
    found["keys, one revoked"] = problems_in_both_themes(window)
    window.goto(f"{site.address}/account/alerts")
    window.get_by_label("Address of a new webhook").fill("http://127.0.0.1:9/" + "n" * 100)
    window.get_by_role("button", name="Add webhook").click()
    found["webhook secret"] = problems_in_both_themes(window)
    put_away(window)
    window.get_by_role("button", name="Send a test").click()
    found["alerts, with a log"] = problems_in_both_themes(window)
    window.get_by_role("link", name="Change").click()
    found["webhook"] = problems_in_both_themes(window)
    window.get_by_role("link", name="Rotate secret").click()
    found["rotate"] = problems_in_both_themes(window)
    window.go_back()
    window.get_by_role("link", name="Remove webhook").click()
    found["remove"] = problems_in_both_themes(window)
    window.goto(f"{site.address}/auth/logout/")
    window.get_by_role("main").get_by_role("button").first.click()
    window.goto(f"{site.address}/auth/login/")
    window.get_by_label("Email").fill("nobody@example.com")
    window.get_by_label("Password").fill("wrong")
    window.get_by_role("main").get_by_role("button").first.click()
    found["refused sign-in"] = problems_in_both_themes(window)
    window.goto(f"{site.address}/dev/inbox")
    window.locator("main table a").first.click()
    found["mail"] = problems_in_both_themes(window)
    assert {path: list_ for path, list_ in found.items() if list_} == {}


def test_a_purchase_page_has_no_violations_and_fits(window: Page, site: RunningSite) -> None:
    sign_up(window, site)
    window.goto(f"{site.address}/account/billing")
    window.get_by_role("button", name="Weekly Boost").first.click()
    expect(window).to_have_url(re.compile("/sandbox/stripe/pay/"))
    assert problems_in_both_themes(window) == []
    window.get_by_role("button", name=re.compile("4242")).click()
    expect(window).to_have_url(re.compile("/account/billing/purchases/"))
    expect(window.get_by_role("main")).to_contain_text(re.compile("next chat", re.IGNORECASE))
    assert problems_in_both_themes(window) == []


def test_pages_have_no_violations_and_fit_in_german_on_a_small_phone(
    chromium: Browser, site: RunningSite
) -> None:
    context = chromium.new_context(viewport={"width": 320, "height": 640}, reduced_motion="reduce")
    page = context.new_page()
    sign_up(page, site)
    create_key(page, site, "laptop")
    found = {}
    context.set_extra_http_headers({"Accept-Language": "de"})
    for path in (*VISITOR_PAGES, *OWN_PAGES):
        page.goto(f"{site.address}{path}")
        found[path] = problems(page)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert {path: list_ for path, list_ in found.items() if list_} == {}
    context.close()


def test_a_language_is_chosen_without_scripts_and_goes_on_where_one_was(
    without_scripts: BrowserContext, site: RunningSite
) -> None:
    page = without_scripts.new_page()
    page.goto(f"{site.address}/pricing")
    page.get_by_role("button", name="Deutsch").click()
    expect(page).to_have_url(f"{site.address}/pricing")
    expect(page.get_by_role("heading", level=1)).to_have_text("Preise")
    page.goto(f"{site.address}/docs/quickstart")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Quickstart")


def test_the_check_itself_finds_what_it_looks_for(window: Page) -> None:
    dark = "@media (prefers-color-scheme: dark) { p { background: #222; color: #333 } }"
    window.set_content(
        f'<style>{dark}</style><img src="x"><p style="width: 3000px">wide in some colour</p>'
    )
    found = " ".join(problems_in_both_themes(window))
    assert "image-alt" in found
    assert "too wide" in found
    assert "dark: color-contrast" in found
    assert "dark: image-alt" not in found


@pytest.fixture
def without_scripts(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser with JavaScript switched off."""
    context = chromium.new_context(java_script_enabled=False)
    yield context
    context.close()


def test_keys_are_made_and_revoked_without_scripts(
    without_scripts: BrowserContext, site: RunningSite
) -> None:
    page = without_scripts.new_page()
    sign_up(page, site)
    key = create_key(page, site, "laptop")
    expect(page.get_by_role("button", name=re.compile("^Copy"))).to_have_count(0)
    page.get_by_role("link", name="I have stored it").click()
    expect(page.get_by_role("cell", name=f"…{key[-4:]}")).to_be_visible()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Requests with it are refused")).to_be_visible()


def test_a_webhook_is_added_tested_rotated_and_removed_without_scripts_on_a_phone(
    chromium: Browser, site: RunningSite
) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": NARROW, "height": 844}
    )
    page = context.new_page()
    sign_up(page, site)
    page.goto(f"{site.address}/account/alerts")
    page.get_by_label("50 % of").first.uncheck()
    page.get_by_role("button", name="Save what the account is told").click()
    expect(page.get_by_label("50 % of").first).not_to_be_checked()
    address = page.get_by_label("Address of a new webhook")
    address.fill("https://169.254.169.254/latest")
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_text("There is no server 169.254.169.254 on the public")).to_be_visible()
    address.fill("https://no-such-host.invalid/hook")
    page.get_by_role("button", name="Add webhook").click()
    expect(
        page.get_by_text("There is no server no-such-host.invalid on the public")
    ).to_be_visible()
    with receiving() as receiver:
        address.fill(f"{receiver.origin}/hook")
        page.get_by_role("button", name="Add webhook").click()
        secret = page.locator("#webhook-secret").inner_text()
        page.get_by_role("link", name="I have stored it").click()
        page.get_by_role("button", name="Send a test").click()
        until(lambda: len(receiver.received) == 1)
        assert receiver.received[0].is_signed_with(secret)
    page.get_by_role("link", name="Change").click()
    page.get_by_role("link", name="Rotate secret").click()
    page.get_by_role("button", name="Rotate secret").click()
    assert page.locator("#webhook-secret").inner_text() != secret
    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("link", name="Change").click()
    page.get_by_role("link", name="Remove webhook").click()
    page.get_by_role("button", name="Remove webhook").click()
    expect(page.get_by_text("The webhook is removed")).to_be_visible()
    context.close()


@pytest.mark.parametrize("path", ["/account/usage", "/account/billing"])
def test_account_pages_show_their_content_without_scripts(
    without_scripts: BrowserContext, site: RunningSite, path: str
) -> None:
    page = without_scripts.new_page()
    sign_up(page, site)
    page.goto(f"{site.address}{path}")
    expect(page.get_by_role("main")).to_contain_text("50")


def test_the_copy_button_copies_the_key(page: Page, site: RunningSite) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.address)
    sign_up(page, site)
    key = create_key(page, site, "laptop")
    page.locator("[data-copy='#new-key']").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == key
    page.get_by_role("button", name="Copy: Paste it into a terminal").click()
    assert f"Bearer {key}" in page.evaluate("navigator.clipboard.readText()")


def test_the_theme_can_be_switched_and_is_remembered(page: Page, site: RunningSite) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"{site.address}/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Switch to dark theme").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert after != before
    page.goto(f"{site.address}/pricing")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after
