"""A plan is bought, bettered, cancelled and taken up again; and credits buy themselves."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import with_and_without_scripts
from tests.journeys.test_paid_chat import chat, new_key, sign_up, use_up
from tests.patience import until
from tests.running_site import RunningSite

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def says(page: Page, text: str) -> None:
    expect(page.get_by_role("main")).to_contain_text(text)


@with_and_without_scripts
def test_from_a_refusal_to_a_plan_and_through_all_its_changes(
    page: Page, site: RunningSite
) -> None:
    sign_up(page, site)
    key = new_key(page, site)
    use_up(site, key, 50)
    assert chat(site, key).status_code == 429

    page.goto(f"{site.address}/pricing")
    page.get_by_role("link", name="Choose Core").first.click()
    page.get_by_role("button", name="Core for $9 a month").click()
    page.get_by_role("button", name=re.compile("4242")).click()
    says(page, "You are on Core")
    says(page, "The very next chat you send is accepted")
    assert chat(site, key).status_code == 200

    page.goto(f"{site.address}/account/billing/plans/pro")
    says(page, "You pay $40 now")
    page.get_by_role("button", name="Pro for $49 a month").click()
    says(page, "You are on Pro now. It counts for the very next chat.")

    page.goto(f"{site.address}/account/billing/plans/core")
    says(page, "Nothing is paid now. Pro stays until")
    page.get_by_role("button", name="Core for $9 a month").click()
    says(page, "then Core for $9")

    page.get_by_role("link", name="Cancel the subscription").click()
    page.get_by_role("button", name="Cancel the subscription").click()
    says(page, "Cancelled: it stays until")
    page.get_by_role("button", name="Go on after all").click()
    says(page, "The subscription goes on as before.")

    page.get_by_role("button", name="Cards and invoices").click()
    says(page, "Visa ending in 4242")


@with_and_without_scripts
def test_a_card_is_saved_and_credits_buy_themselves(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    key = new_key(page, site)
    use_up(site, key, 50)
    page.goto(f"{site.address}/account/billing")
    page.get_by_role("link", name="Auto top-up").click()
    page.get_by_role("button", name="Save a card").click()
    page.get_by_role("button", name=re.compile("4242")).click()
    says(page, "The card is saved.")
    page.get_by_label("At most, in a month").fill("4")
    page.get_by_role("button", name="Switch on").click()
    says(page, "nothing would ever be bought")
    page.get_by_label("At most, in a month").fill("20")
    page.get_by_role("button", name="Switch on").click()
    says(page, "Auto top-up is on.")

    def is_paid() -> bool:
        page.reload()
        return page.get_by_text("Paid", exact=True).count() > 0

    until(is_paid)
    assert chat(site, key).status_code == 200
    page.get_by_role("button", name="Switch off").click()
    says(page, "Auto top-up is off.")


@with_and_without_scripts
def test_a_plan_for_some_people_gets_more_seats_and_fewer(page: Page, site: RunningSite) -> None:
    sign_up(page, site)
    page.goto(f"{site.address}/pricing")
    page.get_by_role("link", name="Choose Teams").first.click()
    page.get_by_label("Seats").fill("3")
    page.get_by_role("button", name="Show the price").click()
    page.get_by_role("button", name="Teams, 3 seats for $177 a month").click()
    page.get_by_role("button", name=re.compile("4242")).click()
    says(page, "You are on Teams")
    says(page, "Teams, 3 seats")

    page.get_by_role("link", name="Back to billing").click()
    says(page, "1 of 3 seats are taken.")
    page.get_by_role("link", name="Change seats").click()
    page.get_by_label("Seats").fill("4")
    page.get_by_role("button", name="Show the price").click()
    says(page, "You pay $59 now")
    page.get_by_role("button", name="Teams, 4 seats for $236 a month").click()
    says(page, "1 of 4 seats are taken.")

    page.get_by_role("link", name="Change seats").click()
    page.get_by_label("Seats").fill("2")
    page.get_by_role("button", name="Show the price").click()
    says(page, "Nothing is paid now. Teams, 4 seats stays until")
    page.get_by_role("button", name="Teams, 2 seats for $118 a month").click()
    says(page, "then Teams, 2 seats for $118")


@with_and_without_scripts
def test_who_wants_to_spend_nothing_more_spends_nothing_and_says_when_they_do(
    page: Page, site: RunningSite
) -> None:
    sign_up(page, site)
    key = new_key(page, site)
    page.goto(f"{site.address}/account/billing")
    page.get_by_role("button", name="Buy for $5").nth(1).click()
    page.get_by_role("button", name=re.compile("4242")).click()
    says(page, "Payment received")
    use_up(site, key, 50)
    assert chat(site, key).status_code == 200

    page.goto(f"{site.address}/account/billing")
    page.get_by_role("link", name="Change spending").click()
    page.get_by_label("Stop: neither boosts nor credits pay").check()
    page.get_by_role("button", name="Save").click()
    says(page, "Saved. It counts for the very next request.")
    refused = chat(site, key)
    assert refused.status_code == 429
    assert refused.json()["code"] != "quota_exhausted"

    page.get_by_label("Boosts pay, then credits").check()
    page.get_by_role("button", name="Save").click()
    says(page, "Saved. It counts for the very next request.")
    assert chat(site, key).status_code == 200

    page.goto(f"{site.address}/account/billing/credits")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    assert "500" in download.value.path().read_text()
