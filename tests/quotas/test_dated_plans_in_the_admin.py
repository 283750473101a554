"""Moving, granting, ending and suspending in the admin: with a reason, an end, and once."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account, User
from quotas import entitlements, grants, projection
from quotas.models.entitlements import PlanGrant, Suspension
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Plan
from tests import entitled
from tests.quotas.forms_of_the_admin import filled_in, refused, saved
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "/admin/quotas/plangrant/add/"
LATER = timezone.now().replace(microsecond=0) + timedelta(days=3)
UNTIL: dict[str, Any] = {"ends_at_0": f"{LATER:%Y-%m-%d}", "ends_at_1": f"{LATER:%H:%M:%S}"}


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def page_of(account: Account, act: str = "change") -> str:
    return f"/admin/accounts/account/{account.pk}/{act}/"


def page_of_grant(grant: PlanGrant) -> str:
    return f"/admin/quotas/plangrant/{grant.pk}/change/"


# --- the page of an account -------------------------------------------------------------------


def test_a_move_may_have_an_end(
    account: Account, key: str, gate: LiveGate, admin_client: Client, admin_user: User
) -> None:
    saved(admin_client, page_of(account, "plan"), plan=plan("core").pk, reason="A trial", **UNTIL)
    spans = entitlements.spans_of([account], since=timezone.now())[account.pk]
    assert [(span.plan.slug, span.ends_at) for span in spans] == [("core", LATER), ("free", None)]
    granted = PlanGrant.objects.get(source="admin")
    assert (granted.by, granted.note) == (admin_user, "A trial")
    assert gate.check(key, 51).allowed
    page = admin_client.get(page_of(account)).content.decode()
    assert f"Core until {LATER:%-d %b %Y %H:%M} UTC, then Free" in page


def test_another_end_of_the_same_plan_takes_the_place_of_the_first(
    account: Account, admin_client: Client
) -> None:
    entitled.move_to_plan(account, "core", ends_at=LATER)
    without = {"ends_at_0": "", "ends_at_1": "", "reason": "They stay"}
    saved(admin_client, page_of(account, "plan"), **without)
    spans = entitlements.spans_of([account], since=timezone.now())[account.pk]
    assert [(span.plan.slug, span.ends_at) for span in spans] == [("core", None)]


@pytest.mark.parametrize("act", ["plan", "suspend", "reinstate", "boost", "credits"])
def test_an_act_without_a_reason_is_refused(
    account: Account, admin_client: Client, act: str
) -> None:
    told = {"plan": plan("core").pk, "credits": 5}
    assert "Say why" in refused(admin_client, page_of(account, act), **told)
    assert not PlanGrant.objects.filter(source="admin").exists()
    assert not Suspension.objects.exists()
    assert not Boost.objects.exists()
    assert not CreditEntry.objects.exists()


def test_an_end_in_the_past_is_refused(account: Account, admin_client: Client) -> None:
    past = {"ends_at_0": "2020-01-01", "ends_at_1": "10:00:00", "reason": "x"}
    answer = refused(admin_client, page_of(account, "plan"), plan=plan("core").pk, **past)
    assert "must end in the future" in answer


def test_a_move_that_changes_nothing_is_refused(account: Account, admin_client: Client) -> None:
    assert "nothing would change" in refused(admin_client, page_of(account, "plan"), reason="x")


def test_a_form_that_is_sent_twice_moves_once(account: Account, admin_client: Client) -> None:
    page = page_of(account, "plan")
    form = {**filled_in(admin_client, page), "plan": plan("core").pk, "reason": "x"}
    admin_client.post(page, form)
    entitled.move_to_plan(account, "pro")
    admin_client.post(page, form)
    assert entitlements.plan_of(account, at=timezone.now()).slug == "pro"


def test_a_new_name_asks_for_no_reason(account: Account, admin_client: Client) -> None:
    saved(admin_client, page_of(account), name="Olga & Co")
    assert Account.objects.get(pk=account.pk).name == "Olga & Co"
    assert not PlanGrant.objects.filter(source="admin").exists()


def test_a_new_account_begins_with_the_default_plan(admin_client: Client, admin_user: User) -> None:
    member = {"memberships-0-user": admin_user.pk, "memberships-0-role": "owner"}
    one = {"memberships-TOTAL_FORMS": 1}
    saved(admin_client, "/admin/accounts/account/add/", name="New", **member, **one)
    account = Account.objects.get(name="New")
    assert entitlements.plan_of(account, at=timezone.now()).slug == "free"


def test_the_page_says_since_when_by_whom_and_why_an_account_is_suspended(
    account: Account, admin_client: Client, admin_user: User
) -> None:
    at = timezone.now()
    grants.suspend(account=account, at=at, by=admin_user, note="Sends <b>spam</b>")
    page = admin_client.get(page_of(account)).content.decode()
    assert f"Suspended since {at:%-d %b %Y %H:%M} UTC by {admin_user}" in page
    assert "Sends &lt;b&gt;spam&lt;/b&gt;" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [("plan={core}", True), ("plan={free}", False), ("suspended=yes", True), ("plan=x", True)],
)
def test_accounts_are_found_by_plan_and_suspension(
    account: Account, other_account: Account, admin_client: Client, query: str, found: bool
) -> None:
    entitled.move_to_plan(account, "core")
    entitled.set_suspended(account, suspended=True)
    query = query.format(core=plan("core").pk, free=plan("free").pk)
    page = admin_client.get(f"/admin/accounts/account/?{query}").content.decode()
    assert (account.handle in page) == found


# --- grants -----------------------------------------------------------------------------------


def test_a_plan_can_be_given_for_later(
    account: Account, admin_client: Client, admin_user: User
) -> None:
    begins = LATER - timedelta(days=1)
    sent = {
        "account": account.pk,
        "plan": plan("plus").pk,
        "starts_at_0": f"{begins:%Y-%m-%d}",
        "starts_at_1": f"{begins:%H:%M:%S}",
        "note": "From the contract",
        **UNTIL,
    }
    saved(admin_client, ADD, **sent)
    granted = PlanGrant.objects.get(source="admin")
    assert (granted.starts_at, granted.ends_at, granted.by) == (begins, LATER, admin_user)
    spans = entitlements.spans_of([account], since=timezone.now())[account.pk]
    assert [span.plan.slug for span in spans] == ["free", "plus", "free"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"note": ""}, "Say why"),
        ({"ends_at_0": "2020-01-01"}, "must end in the future"),
        ({"starts_at_0": "2100-01-01"}, "must end after it begins"),
        ({"plan": ""}, "Fill this in."),
        ({"account": "0"}, "none of the choices"),
    ],
)
def test_a_grant_that_makes_no_sense_names_the_field(
    account: Account, admin_client: Client, changes: dict[str, Any], error: str
) -> None:
    sent = {"account": account.pk, "plan": plan("plus").pk, "note": "x", **UNTIL, **changes}
    assert error in refused(admin_client, ADD, **sent)
    assert not PlanGrant.objects.filter(source="admin").exists()


def test_a_grant_is_ended_with_a_reason_and_then_only_shown(
    account: Account, key: str, gate: LiveGate, admin_client: Client, admin_user: User
) -> None:
    entitled.move_to_plan(account, "pro")
    assert gate.check(key, 51).allowed
    granted = PlanGrant.objects.get(source="admin")
    assert "Say why" in refused(admin_client, page_of_grant(granted), end_now="on")
    assert "Tick this" in refused(admin_client, page_of_grant(granted), end_note="Enough")
    saved(admin_client, page_of_grant(granted), end_now="on", end_note="Enough")
    granted.refresh_from_db()
    assert (granted.ended_by, granted.end_note) == (admin_user, "Enough")
    assert gate.check(key, 51).reason == "above_plan_cap"
    assert admin_client.post(page_of_grant(granted), {"end_now": "on"}).status_code == 403


def test_the_default_plan_is_only_shown(account: Account, admin_client: Client) -> None:
    projection.entitlement_of(account)
    granted = PlanGrant.objects.get()
    assert admin_client.get(page_of_grant(granted)).status_code == 200
    assert admin_client.post(page_of_grant(granted), {"end_now": "on"}).status_code == 403


def test_lists_of_grants_packs_and_suspensions_ask_little(
    account: Account,
    other_account: Account,
    admin_client: Client,
    django_assert_max_num_queries: Any,
) -> None:
    for one in (account, other_account):
        entitled.move_to_plan(one, "plus")
        entitled.switch_pack(one, plan("plus").packs.get(), on=True)
        entitled.set_suspended(one, suspended=True)
        entitled.choose_spending(one, credits_a_week=7)
    for name in ("plangrant", "packswitch", "suspension", "spendingchoice"):
        with django_assert_max_num_queries(10):
            page = admin_client.get(f"/admin/quotas/{name}/?q={account.handle}").content.decode()
        assert account.handle in page
        assert other_account.handle not in page
