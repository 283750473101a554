"""What an administrator changes in the admin counts for the very next chat."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import Account, User
from quotas import entitlements, grants, projection
from quotas.models.entitlements import Entitlement, PlanGrant, Suspension
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Meter, Plan, QuotaPolicy
from quotas.standing import Standing
from tests import entitled
from tests.quotas.forms_of_the_admin import filled_in, post, refused, saved
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

Now = Callable[[], Standing]


def boost_form(client: Client, account: Account, *, chats: int, ends: datetime) -> dict[str, Any]:
    return {
        **filled_in(client, "/admin/quotas/boost/add/"),
        "account": account.pk,
        "chats": chats,
        "expires_at_0": f"{ends:%Y-%m-%d}",
        "expires_at_1": f"{ends:%H:%M:%S}",
        "note": "sorry",
    }


# --- grants -----------------------------------------------------------------------------------


def test_a_free_boost_pays_for_the_next_chat(
    account: Account, key: str, gate: LiveGate, admin_client: Client
) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    ends = timezone.now() + timedelta(days=30)
    sent = boost_form(admin_client, account, chats=3, ends=ends)
    assert post(admin_client, "/admin/quotas/boost/add/", sent).status_code == 302
    gate.use(key, 3)
    assert not gate.check(key).allowed
    boost = Boost.objects.get()
    assert (boost.note, str(boost.granted_by)) == ("sorry", "admin@example.com")
    assert boost.expires_at == ends.replace(microsecond=0)


def test_a_double_click_gives_one_boost(
    account: Account, standing: Now, admin_client: Client
) -> None:
    ends = timezone.now() + timedelta(days=1)
    sent = boost_form(admin_client, account, chats=3, ends=ends)
    for _ in range(2):
        assert post(admin_client, "/admin/quotas/boost/add/", sent).status_code == 302
    assert Boost.objects.count() == 1
    assert standing().boost_left == 3


def test_the_form_opened_again_gives_another_boost(
    account: Account, standing: Now, admin_client: Client
) -> None:
    ends = timezone.now() + timedelta(days=1)
    for _ in range(2):
        sent = boost_form(admin_client, account, chats=3, ends=ends)
        post(admin_client, "/admin/quotas/boost/add/", sent)
    assert standing().boost_left == 6


@pytest.mark.parametrize(
    ("chats", "ends_in", "words"),
    [
        (3, timedelta(minutes=-1), "A boost must end in the future."),
        (0, timedelta(days=1), "Give 1 or more."),
        (-5, timedelta(days=1), "Give 0 or more."),
    ],
)
def test_a_boost_that_cannot_pay_is_refused_with_words(
    account: Account, admin_client: Client, chats: int, ends_in: timedelta, words: str
) -> None:
    sent = boost_form(admin_client, account, chats=chats, ends=timezone.now() + ends_in)
    answer = post(admin_client, "/admin/quotas/boost/add/", sent)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Boost.objects.exists()


def test_credits_are_given_once_and_taken_back_by_another_line(
    account: Account, standing: Now, admin_client: Client
) -> None:
    url = "/admin/quotas/creditentry/add/"
    why = {"account": account.pk, "note": "Sorry"}
    sent = {**filled_in(admin_client, url), **why, "credits": 100}
    for _ in range(2):
        assert post(admin_client, url, sent).status_code == 302
    assert standing().credits_left == 100
    saved(admin_client, url, account=account.pk, credits=-30, note="That was too much")
    assert standing().credits_left == 70
    notes = CreditEntry.objects.values_list("kind", "credits", "note")
    assert sorted(notes) == [("grant", -30, "That was too much"), ("grant", 100, "Sorry")]


def test_a_line_of_no_credits_is_refused_with_words(account: Account, admin_client: Client) -> None:
    url = "/admin/quotas/creditentry/add/"
    why = {"account": account.pk, "note": "x"}
    sent = {**filled_in(admin_client, url), **why, "credits": 0}
    answer = post(admin_client, url, sent)
    assert answer.status_code == 200
    assert not CreditEntry.objects.exists()


ADDED: dict[str, dict[str, Any]] = {
    "boost": {"chats": 3, "expires_at_0": "2099-01-01", "expires_at_1": "00:00:00"},
    "creditentry": {"credits": 100},
    "plangrant": {"ends_at_0": "2099-01-01", "ends_at_1": "00:00:00"},
}


def add_form(model: str, account: Account) -> tuple[str, dict[str, Any]]:
    """Where something is given, and all that it takes but the reason."""
    plan = {"plan": Plan.objects.get(slug="core").pk} if model == "plangrant" else {}
    return f"/admin/quotas/{model}/add/", {"account": account.pk, **ADDED[model], **plan}


def given() -> list[int]:
    return [model.objects.count() for model in (Boost, CreditEntry, PlanGrant)]


@pytest.mark.parametrize("model", ADDED)
@pytest.mark.parametrize("reason", ["", "   "])
def test_nothing_is_given_without_a_reason(
    account: Account, admin_client: Client, model: str, reason: str
) -> None:
    before = given()
    url, sent = add_form(model, account)
    page = refused(admin_client, url, **sent, note=reason)
    assert "Say why in “Reason”: it is kept with what you give." in page
    assert ">Reason:</label>" in page
    assert given() == before


@pytest.mark.parametrize("model", ADDED)
def test_the_history_keeps_what_was_given_with_its_reason(
    account: Account, admin_client: Client, admin_user: User, model: str
) -> None:
    url, sent = add_form(model, account)
    saved(admin_client, url, **sent, note="Sorry for Tuesday")
    entry = LogEntry.objects.get(content_type__model=model)
    assert (entry.user, entry.action_flag) == (admin_user, ADDITION)
    assert entry.get_change_message() == "Added. Reason: Sorry for Tuesday."


@pytest.mark.parametrize("model", ["boost", "creditentry"])
def test_a_grant_can_be_seen_and_neither_changed_nor_deleted(
    account: Account, boost: Boost, admin_client: Client, model: str
) -> None:
    entry = grants.grant_credits(
        account=account,
        credits=5,
        kind=CreditEntry.Kind.GRANT,
        at=timezone.now(),
        source_ref="test:1",
    )
    page = f"/admin/quotas/{model}/{boost.pk if model == 'boost' else entry.pk}"
    assert admin_client.get(f"{page}/change/").status_code == 200
    assert admin_client.post(f"{page}/change/", {"chats": 9, "credits": 9}).status_code == 403
    assert admin_client.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    assert (Boost.objects.get().chats, CreditEntry.objects.get().credits) == (500, 5)


# --- the catalogue ----------------------------------------------------------------------------


def change_page(instance: Plan | Meter | QuotaPolicy) -> str:
    return f"/admin/quotas/{instance._meta.model_name}/{instance.pk}/change/"


def test_the_cap_of_a_plan_reaches_the_gate(key: str, gate: LiveGate, admin_client: Client) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    free = change_page(Plan.objects.get(slug="free"))
    saved(admin_client, free, weekly_cap=52)
    gate.use(key, 2)
    assert not gate.check(key).allowed
    saved(admin_client, free, weekly_cap="")
    assert gate.check(key, 1000).allowed


def test_a_slug_stays_what_it_is(admin_client: Client) -> None:
    saved(admin_client, change_page(Plan.objects.get(slug="free")), slug="gratis", weekly_cap=49)
    assert Plan.objects.get(is_default=True).slug == "free"


def test_the_cost_of_a_meter_and_of_a_chat_reach_the_gate(
    account: Account, key: str, gate: LiveGate, standing: Now, admin_client: Client
) -> None:
    for slug, chats, used in (("images", 25, 25), ("chat", 2, 27)):
        saved(admin_client, change_page(Meter.objects.get(slug=slug)), chats=chats)
        gate.check(key, meter=slug)
        assert standing().used == used
    saved(admin_client, change_page(QuotaPolicy.objects.get()), credits_per_chat="0.07")
    assert standing().credits_per_chat == 7


def test_there_is_no_second_policy_and_none_less(admin_client: Client) -> None:
    assert admin_client.get("/admin/quotas/quotapolicy/add/").status_code == 403
    assert admin_client.post("/admin/quotas/quotapolicy/1/delete/").status_code == 403


# --- accounts ---------------------------------------------------------------------------------


def account_page(account: Account, act: str = "change") -> str:
    return f"/admin/accounts/account/{account.pk}/{act}/"


def test_moving_an_account_to_another_plan_counts_for_the_next_chat(
    account: Account, key: str, gate: LiveGate, admin_client: Client
) -> None:
    gate.use(key, 50)
    assert not gate.check(key).allowed
    core = Plan.objects.get(slug="core")
    saved(admin_client, account_page(account, "plan"), plan=core.pk, reason="Paid by invoice")
    gate.use(key, 450)
    assert not gate.check(key).allowed


def test_moving_an_account_off_plus_switches_the_pack_off(
    account: Account, admin_client: Client
) -> None:
    plus, core = Plan.objects.get(slug="plus"), Plan.objects.get(slug="core")
    entitled.move_to_plan(account, plus)
    entitled.switch_pack(account, plus.packs.get(), on=True)
    saved(admin_client, account_page(account, "plan"), plan=core.pk, reason="Asked for it")
    assert entitlements.plan_of(account, at=timezone.now()) == core
    assert not entitlements.packs_on(account).exists()


def test_suspending_an_account_counts_for_the_next_chat_until_it_is_undone(
    account: Account, key: str, gate: LiveGate, admin_client: Client, admin_user: User
) -> None:
    gate.check(key)
    saved(admin_client, account_page(account, "suspend"), reason="Spam")
    assert gate.check(key).reason == "suspended"
    assert entitlements.plan_of(account, at=timezone.now()).slug == "free"
    saved(admin_client, account_page(account, "reinstate"), reason="It was not them")
    assert gate.check(key).allowed
    suspension = Suspension.objects.get(account=account)
    assert (suspension.by, suspension.note) == (admin_user, "Spam")
    assert (suspension.ended_by, suspension.end_note) == (admin_user, "It was not them")


def test_saving_an_account_unchanged_changes_nothing(
    account: Account, admin_client: Client
) -> None:
    before = projection.entitlement_of(account)
    saved(admin_client, account_page(account))
    assert Entitlement.objects.get(account=account).version == before.version
    assert PlanGrant.objects.count() == 1


def test_the_account_page_says_where_it_stands(
    account: Account, boost: Boost, key: str, gate: LiveGate, admin_client: Client
) -> None:
    gate.use(key, 51)
    page = admin_client.get(account_page(account)).content.decode()
    told = " ".join(strip_tags(page).split())
    assert "Used of this week’s allowance 50 of 50 Left in boosts 499 chats Credits 0" in told


def test_an_account_is_never_deleted(account: Account, admin_client: Client) -> None:
    url = f"/admin/accounts/account/{account.pk}/delete/"
    assert admin_client.post(url, {"post": "yes"}).status_code == 403


def test_nobody_else_gets_in(account: Account, owner_client: Client) -> None:
    for url in (account_page(account), "/admin/quotas/boost/add/"):
        assert owner_client.get(url).status_code == 302
        assert owner_client.post(url, {}).status_code == 302
    assert not Boost.objects.exists()
