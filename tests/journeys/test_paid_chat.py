"""The main job from end to end: sign up, get a key, chat until it is refused, pay, chat again."""

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.patience import LONGEST_SECONDS
from tests.running_site import RunningSite

PASSWORD = "correct horse battery staple"

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def sign_up(page: Page, site: RunningSite) -> str:
    """A new user in the browser; answers the e-mail address."""
    email = f"dev-{uuid4().hex[:8]}@example.com"
    page.goto(f"{site.address}/")
    page.get_by_role("link", name="Create account").first.click()
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button").first.click()
    expect(page).to_have_url(f"{site.address}/account/keys")
    return email


def new_key(page: Page, site: RunningSite, name: str = "laptop") -> str:
    """A new key, read off the page that shows it once."""
    page.goto(f"{site.address}/account/keys")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("heading", name=re.compile("shown this once"))).to_be_visible()
    found = re.search(r"sk_[0-9A-Za-z]{46}", page.content())
    assert found
    return found[0]


def chat(site: RunningSite, key: str) -> httpx.Response:
    return httpx.post(
        f"{site.address}/api/v1/chat",
        headers={"Authorization": f"Bearer {key}"},
        json={"messages": [{"role": "user", "content": "Hello!"}], "stream": False},
        timeout=LONGEST_SECONDS,
    )


def used_this_week(page: Page, site: RunningSite) -> int:
    page.goto(f"{site.address}/account/usage")
    found = re.search(r"([\d,]+) chats?[^\n]* days of", page.get_by_role("main").inner_text())
    assert found
    return int(found[1].replace(",", ""))


def use_up(site: RunningSite, key: str, chats: int) -> None:
    with ThreadPoolExecutor(10) as pool:
        statuses = [answer.status_code for answer in pool.map(chat, [site] * chats, [key] * chats)]
    assert statuses == [200] * chats


def sign_in_admin(page: Page, site: RunningSite) -> None:
    email, password = site.admin
    page.goto(f"{site.address}/admin/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").first.click()
    expect(page.get_by_role("heading", name="How things stand")).to_be_visible()


def test_from_sign_up_to_a_paid_chat(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    key = new_key(page, site)

    # Shown once: a reload submits the same form again and shows no key.
    page.reload()
    assert key not in page.content()
    expect(page.get_by_role("heading", name="This key was created already")).to_be_visible()

    answer = chat(site, key)
    assert answer.status_code == 200
    assert answer.json()["text"].startswith("Hello from the built-in demo model")
    assert answer.json()["usage"]["total_tokens"] > 0
    assert answer.headers["ratelimit"].startswith('"week";r=49;t=')
    use_up(site, key, 49)

    refused = chat(site, key)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert int(refused.headers["retry-after"]) <= 7 * 24 * 3600
    problem = refused.json()
    assert problem["code"] == "quota_exhausted"
    assert problem["billing_url"] == f"{site.address}/account/billing"
    assert problem["resets_at"].endswith("T00:00:00Z")
    assert "Weekly Boost" in problem["detail"]

    assert used_this_week(page, site) == 50
    expect(page.get_by_role("heading", name="Everything is used up")).to_be_visible()

    page.goto(problem["billing_url"])
    page.get_by_role("button", name="Weekly Boost").first.click()
    expect(page.get_by_text("No real money moves").first).to_be_visible()
    page.get_by_role("button", name=re.compile("4000 0000 0000 0002")).click()
    expect(page.get_by_text(re.compile("declined", re.IGNORECASE)).first).to_be_visible()
    assert chat(site, key).status_code == 429
    page.get_by_role("button", name=re.compile("4242")).click()

    expect(page).to_have_url(re.compile(r"/account/billing/purchases/"))
    expect(page.get_by_role("main")).to_contain_text(re.compile("next chat", re.IGNORECASE))
    assert chat(site, key).status_code == 200
    assert used_this_week(page, site) == 51
    expect(page.get_by_role("main")).to_contain_text("499")

    page.goto(f"{site.address}/account/keys")
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Requests with it are refused")).to_be_visible()
    assert chat(site, key).status_code == 401
    for name in ("gate", "site", "front", "worker", "worker-waiting", "beat"):
        assert key not in site.log(name), name


def test_credits_pay_past_allowance_and_boosts(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    key = new_key(page, site)
    use_up(site, key, 50)
    assert chat(site, key).status_code == 429

    page.goto(f"{site.address}/account/billing")
    page.get_by_role("button", name=re.compile("500 credits")).first.click()
    page.get_by_role("button", name=re.compile("4242")).click()

    expect(page.get_by_role("main")).to_contain_text(re.compile("next chat", re.IGNORECASE))
    use_up(site, key, 3)
    page.goto(f"{site.address}/account/usage")
    expect(page.get_by_role("main")).to_contain_text("494")


def test_what_an_admin_changes_counts_for_the_next_chat(page: Page, site: RunningSite) -> None:
    email = sign_up(page, site)
    key = new_key(page, site)
    use_up(site, key, 50)
    assert chat(site, key).status_code == 429
    page.context.clear_cookies()
    sign_in_admin(page, site)

    # The cap of everybody on Free.
    page.goto(f"{site.address}/admin/quotas/plan/?slug=free")
    page.get_by_role("link", name="Free", exact=True).click()
    page.get_by_label("Chats a week").fill("51")
    page.get_by_role("button", name="Save", exact=True).click()
    assert chat(site, key).status_code == 200
    assert chat(site, key).status_code == 429
    page.goto(f"{site.address}/admin/quotas/plan/?slug=free")
    page.get_by_role("link", name="Free", exact=True).click()
    page.get_by_label("Chats a week").fill("50")
    page.get_by_role("button", name="Save", exact=True).click()

    # A free boost.
    page.goto(f"{site.address}/admin/quotas/boost/add/")
    page.locator(".select2-selection").click()
    page.locator(".select2-search__field").fill(email)
    # Every account is listed until the search has answered.
    page.locator(".select2-results__option", has_text=email.partition("@")[0]).click()
    page.get_by_label("Chats").fill("1")
    page.locator("#id_expires_at_0").fill("2099-01-01")
    page.locator("#id_expires_at_1").fill("00:00:00")
    page.get_by_label("Reason").fill("Sorry for Tuesday")
    page.get_by_role("button", name="Save", exact=True).click()
    assert chat(site, key).status_code == 200
    assert chat(site, key).status_code == 429

    # Another plan.
    page.goto(f"{site.address}/admin/accounts/account/?q={email}")
    page.locator("#result_list tbody th a").click()
    page.get_by_role("link", name="Move to plan").click()
    page.get_by_label("Plan").select_option("Core")
    page.get_by_label("Reason").fill("Paid by invoice")
    page.get_by_role("button", name="Move to plan").click()
    assert chat(site, key).status_code == 200


def test_the_quota_check_service_decides_for_an_api_server(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    key = new_key(page, site)
    token = site.manage("issue_service_token", f"gateway {uuid4().hex[:6]}")
    decision = httpx.post(
        f"{site.address}/quota/v1/check",
        headers={"Authorization": f"Bearer {token}"},
        json={"key": key, "meter": "chat", "units": 3, "request_id": "order-1"},
    )
    assert decision.status_code == 200
    body = decision.json()
    assert body["allowed"] is True
    assert body["paid_by"] == {"allowance": 3, "boost": 0, "credits": 0}
    assert body["remaining"] == {"allowance": 47, "boost": 0, "credits": 0}
    refused = httpx.post(f"{site.address}/quota/v1/check", json={"key": key})
    assert refused.status_code == 401
