"""Passkeys and apps in a real browser, whose authenticator is Chromium’s virtual one."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.accounts.test_second_factor import code_of
from tests.journeys.conftest import with_and_without_scripts
from tests.journeys.test_pages_look_right import PASSWORD, problems, sign_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def named_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A site with a name: a passkey belongs to one, and to no number."""
    running = RunningSite(tmp_path_factory.mktemp("named") / "data", named="localhost")
    try:
        running.until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


def authenticator_of(page: Page) -> tuple[CDPSession, str]:
    """A device with a fingerprint reader, as the browser sees it."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    added = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    return devtools, added["authenticatorId"]


def sign_out(page: Page, site: RunningSite) -> None:
    page.goto(f"{site.address}/auth/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.goto(f"{site.address}/auth/login/")


def give_password(page: Page, email: str) -> None:
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_a_passkey_signs_in_alone_stands_beside_the_password_and_is_removed(
    page: Page, named_site: RunningSite
) -> None:
    site = named_site
    devtools, device = authenticator_of(page)
    email = sign_up(page, site)
    page.goto(f"{site.address}/account/security")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have stored them").click()
    expect(page.get_by_role("main")).to_contain_text("Laptop")
    assert problems(page) == []
    sign_out(page, site)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url(f"{site.address}/account/keys")
    sign_out(page, site)
    give_password(page, email)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{site.address}/account/keys")
    # Asked again, it will do, too.
    page.goto(f"{site.address}/auth/2fa/webauthn/reauthenticate/?next=/account/security")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{site.address}/account/security")
    page.get_by_role("link", name=re.compile("Remove Laptop")).click()
    page.get_by_role("button", name="Remove passkey").click()
    expect(page.get_by_role("main")).to_contain_text("The passkey is removed.")
    sign_out(page, site)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("main")).to_contain_text("Incorrect code.")
    # Without one the browser gives none, and the page says so.
    devtools.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": device})
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Your browser gave no passkey")
    give_password(page, email)
    expect(page).to_have_url(f"{site.address}/account/keys")


@with_and_without_scripts
def test_an_app_is_added_asked_for_and_replaced_by_a_recovery_code(
    page: Page, named_site: RunningSite
) -> None:
    site = named_site
    email = sign_up(page, site)
    page.goto(f"{site.address}/account/security")
    page.get_by_role("link", name="Add an authenticator app").click()
    picture = page.get_by_role("img", name=re.compile("A picture for the app"))
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    page.get_by_text("I cannot scan it").click()
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Add the app").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    sign_out(page, site)
    give_password(page, email)
    page.get_by_label("Code").fill("123456")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Incorrect code.")
    page.get_by_label("Code").fill(code_of(secret, steps_later=1))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{site.address}/account/keys")
    sign_out(page, site)
    give_password(page, email)
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{site.address}/account/keys")
    page.goto(f"{site.address}/account/security")
    expect(page.get_by_role("main")).to_contain_text("9 codes left")


def test_without_a_name_the_page_says_why_there_are_no_passkeys(
    page: Page, site: RunningSite, chromium: Browser
) -> None:
    sign_up(page, site)
    page.goto(f"{site.address}/account/security")
    expect(page.get_by_role("main")).to_contain_text("no passkeys for an address of numbers")
