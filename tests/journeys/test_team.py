"""A team of three roles: made, asked in by mail, seen by each, and left again."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.test_pages_look_right import NARROW, problems, sign_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

_CONFIRMED = """
from allauth.account.models import EmailAddress
EmailAddress.objects.filter(email="{email}").update(verified=True)
"""


def tabs_of(page: Page) -> list[str]:
    return (
        page.get_by_role("navigation", name="Account pages").get_by_role("link").all_inner_texts()
    )


def newcomer(chromium: Browser, site: RunningSite) -> tuple[Page, str]:
    """Somebody who confirmed their address, in a browser of their own without scripts."""
    page = chromium.new_context(java_script_enabled=False).new_page()
    email = sign_up(page, site)
    site.manage("shell", "-v", "0", "-c", _CONFIRMED.format(email=email))
    return page, email


def join(page: Page, site: RunningSite, email: str) -> None:
    """Open the mail, follow its link, and accept."""
    for _ in range(60):
        page.goto(f"{site.address}/dev/inbox")
        letter = page.get_by_role("row").filter(has_text=email).filter(has_text="You are invited")
        if letter.count():
            break
        page.wait_for_timeout(500)
    letter.first.get_by_role("link").first.click()
    found = re.search(r"/invitations/inv_\w+", page.content())
    assert found
    page.goto(f"{site.address}{found[0]}")
    expect(page).to_have_url(f"{site.address}/invitation")
    page.get_by_role("button", name="Join").click()


def test_three_people_of_three_roles_share_an_account(
    chromium: Browser, page: Page, site: RunningSite
) -> None:
    sign_up(page, site)
    page.locator("header summary").click()
    page.get_by_role("link", name="New team").click()
    page.get_by_label("Name of the team").fill("Journey Inc")
    page.get_by_role("button", name="Make the team").click()
    making, developer = newcomer(chromium, site)
    paying, payer = newcomer(chromium, site)
    for email, role in ((developer, "developer"), (payer, "billing")):
        page.get_by_label("Email address").fill(email)
        page.get_by_label("Role", exact=True).select_option(role)
        page.get_by_role("button", name="Invite").click()
        expect(page.get_by_text(f"{email} is invited.")).to_be_visible()
    join(making, site, developer)
    join(paying, site, payer)

    assert tabs_of(making)[:4] == ["API keys", "Usage", "Alerts", "Team"]
    assert tabs_of(paying)[:4] == ["Usage", "Billing", "Alerts", "Team"]
    making.get_by_label("Name", exact=True).fill("robot arm")
    making.get_by_role("button", name="Create key").click()
    expect(making.get_by_role("main")).to_contain_text("robot arm")
    page.goto(f"{site.address}/account/keys")
    expect(page.get_by_role("main")).to_contain_text("robot arm")
    page.goto(f"{site.address}/account/team")
    assert problems(page) == []
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert problems(page) == []

    # Back home without scripts, and there again.
    making.goto(f"{site.address}/account/keys")
    making.locator("header summary").click()
    making.locator("header button[name=account]").click()
    expect(making.get_by_role("main")).not_to_contain_text("robot arm")
    making.locator("header summary").click()
    making.locator("header button[name=account]").click()
    expect(making.get_by_role("main")).to_contain_text("robot arm")

    row = page.get_by_role("row").filter(has_text=developer)
    row.get_by_role("link", name="Change").click()
    assert problems(page) == []
    page.get_by_role("link", name="Remove from the team").click()
    assert problems(page) == []
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="Keys of people who left")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("robot arm")
    making.reload()
    expect(making.get_by_role("main")).not_to_contain_text("robot arm")
    expect(making.get_by_text("You are no longer a member")).to_be_visible()
    making.context.close()
    paying.context.close()
