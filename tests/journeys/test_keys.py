"""A key from its first request to its last: made, edited, given a new secret, stopped, revoked."""

import re
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import with_and_without_scripts
from tests.journeys.test_pages_look_right import NARROW, create_key, problems, sign_up
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]

# The sandbox of development sends mail within a second or two.
MAIL_SECONDS = 30


def ask(site: RunningSite, key: str) -> str:
    """What the API says to a chat with this key: "ok", or the code of the refusal."""
    answer = httpx.post(
        f"{site.address}/api/v1/chat",
        headers={"Authorization": f"Bearer {key}"},
        json={"messages": [{"role": "user", "content": "Hello!"}], "stream": False},
        timeout=30,
    )
    return "ok" if answer.status_code == 200 else str(answer.json()["code"])


def letters_to(page: Page, site: RunningSite, email: str, subject: re.Pattern[str]) -> None:
    """Wait until the inbox of development has a mail of this subject to somebody."""
    for _ in range(MAIL_SECONDS * 2):
        page.goto(f"{site.address}/dev/inbox")
        if page.get_by_role("row").filter(has_text=email).filter(has_text=subject).count():
            return
        page.wait_for_timeout(500)
    pytest.fail(f"nobody wrote {subject.pattern} to {email}")


@with_and_without_scripts
def test_a_key_is_made_edited_rotated_stopped_and_revoked(page: Page, site: RunningSite) -> None:
    email = sign_up(page, site)
    first = create_key(page, site, "laptop")
    assert ask(site, first) == "ok"

    page.goto(f"{site.address}/account/keys")
    page.get_by_role("link", name="Edit laptop").click()
    page.get_by_label("Name", exact=True).fill("build server")
    page.get_by_role("checkbox", name="Chats").uncheck()
    page.get_by_role("checkbox", name="Images").check()
    page.get_by_role("button", name="Save").click()
    assert ask(site, first) == "not_permitted"
    page.get_by_role("checkbox", name="Chats").check()
    page.get_by_role("button", name="Save").click()
    assert ask(site, first) == "ok"

    page.get_by_role("link", name="Rotate").click()
    page.locator("[name=stays]").select_option("1h")
    page.get_by_role("button", name="Make the new secret").click()
    expect(page.get_by_role("heading", name=re.compile("^The new secret"))).to_be_visible()
    found = re.search(r"sk_[0-9A-Za-z]{46}", page.locator("#new-key").inner_text())
    assert found
    second = found[0]
    assert (ask(site, first), ask(site, second)) == ("ok", "ok")
    page.goto(f"{site.address}/account/keys")
    page.get_by_role("button", name="End now the old secret of build server").click()
    expect(page.get_by_role("button", name=re.compile("^End now"))).to_have_count(0)
    assert (ask(site, first), ask(site, second)) == ("invalid_key", "ok")

    page.goto(f"{site.address}/account/keys")
    page.get_by_role("link", name="Edit build server").click()
    page.get_by_role("button", name="Switch off").click()
    assert ask(site, second) == "invalid_key"
    page.get_by_role("button", name="Switch on").click()
    assert ask(site, second) == "ok"

    page.goto(f"{site.address}/account/keys")
    page.get_by_role("link", name="Revoke build server").click()
    page.get_by_label("Why?").fill("The server is gone")
    page.get_by_role("button", name="Revoke key").click()
    assert ask(site, second) == "invalid_key"
    page.get_by_role("link", name=re.compile(r"^Revoked \(1\)")).click()
    page.get_by_role("link", name="build server").click()
    expect(page.get_by_role("main")).to_contain_text("The server is gone")
    page.goto(f"{site.address}/account/audit")
    for text in (first, second):
        assert text not in page.content()
    expect(page.get_by_role("main")).to_contain_text("build server")
    letters_to(page, site, email, re.compile("revoked", re.IGNORECASE))


def test_a_key_that_was_found_in_public_is_refused_and_its_owner_reads_why(
    page: Page, site: RunningSite
) -> None:
    email = sign_up(page, site)
    leaked = create_key(page, site, "in a notebook")
    kept = create_key(page, site, "in a safe")
    url = f"https://code.example/{uuid4().hex}"
    report = httpx.post(
        f"{site.address}/keys/v1/leaks",
        json=[{"token": leaked, "type": "sansxel_api_key", "url": url, "source": "content"}],
    )
    assert report.status_code == 202
    assert (ask(site, leaked), ask(site, kept)) == ("invalid_key", "ok")

    letters_to(page, site, email, re.compile("was found in public and is revoked"))
    page.goto(f"{site.address}/account/keys")
    page.get_by_role("link", name=re.compile(r"^Revoked \(1\)")).click()
    page.get_by_role("link", name="in a notebook").click()
    expect(page.get_by_role("main")).to_contain_text(url)
    page.set_viewport_size({"width": NARROW, "height": 800})
    assert problems(page) == []
    page.goto(f"{site.address}/account/audit")
    expect(page.get_by_role("main")).to_contain_text("found in public")
