"""What staff do to an account from its page: with a right, with a reason, once, and remembered."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from accounts.models import Account, User
from quotas import entitlements, grants
from quotas.models.entitlements import PlanGrant, Suspension
from quotas.models.ledger import Boost, CreditEntry
from quotas.models.plans import Plan
from quotas.standing import Standing
from tests.quotas.forms_of_the_admin import filled_in, refused, saved
from tests.quotas.live_gate import LiveGate

pytestmark = pytest.mark.django_db(transaction=True)

Now = Callable[[], Standing]
ACTS = ("boost", "credits", "plan", "suspend", "reinstate")
NEEDS = {
    "boost": "add_boost",
    "credits": "add_creditentry",
    "plan": "add_plangrant",
    "suspend": "add_suspension",
    "reinstate": "change_suspension",
}


def page_of(account: Account, act: str = "change") -> str:
    return f"/admin/accounts/account/{account.pk}/{act}/"


def fields_of(act: str) -> dict[str, Any]:
    """What makes each act's form whole."""
    core = Plan.objects.get(slug="core").pk
    more = {"boost": {"chats": 40, "days": 3}, "credits": {"credits": 250}, "plan": {"plan": core}}
    return {**more.get(act, {}), "reason": "Sorry for Tuesday"}


def done(account: Account) -> dict[str, int]:
    """How often each act was done."""
    return {
        "boost": Boost.objects.filter(account=account).count(),
        "credits": CreditEntry.objects.filter(account=account).count(),
        "plan": PlanGrant.objects.filter(account=account, source="admin").count(),
        "suspend": Suspension.objects.filter(account=account).count(),
        "reinstate": Suspension.objects.filter(account=account).exclude(ended_at=None).count(),
    }


def history(account: Account) -> list[str]:
    kept = LogEntry.objects.filter(object_id=str(account.pk), content_type__model="account")
    return [entry.get_change_message() for entry in kept.order_by("pk")]


def test_a_boost_is_granted_with_its_reason_and_counts_at_once(
    account: Account, key: str, gate: LiveGate, admin_client: Client, admin_user: User
) -> None:
    gate.use(key, 50)
    saved(admin_client, page_of(account, "boost"), **fields_of("boost"))
    gate.use(key, 40)
    assert not gate.check(key).allowed
    boost = Boost.objects.get()
    assert (boost.granted_by, boost.note) == (admin_user, "Sorry for Tuesday")
    assert boost.expires_at - boost.starts_at == timedelta(days=3)


def test_credits_are_granted_and_taken(
    account: Account, standing: Now, admin_client: Client
) -> None:
    page = page_of(account, "credits")
    saved(admin_client, page, credits=250, reason="Sorry for Tuesday")
    saved(admin_client, page, credits=-50, reason="That was too much")
    assert standing().credits_left == 200
    lines = CreditEntry.objects.order_by("pk").values_list("credits", "note")
    assert list(lines) == [(250, "Sorry for Tuesday"), (-50, "That was too much")]
    assert "50 credits ($0.50) are taken. Reason: That was too much." in history(account)[1]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_kept_in_the_history_with_who_and_why(
    account: Account, admin_client: Client, admin_user: User, act: str
) -> None:
    saved(admin_client, page_of(account, act), **fields_of(act))
    entry = LogEntry.objects.get()
    assert entry.user == admin_user
    assert "Reason: Sorry for Tuesday." in entry.get_change_message()
    page = admin_client.get(page_of(account, "history")).content.decode()
    assert "Sorry for Tuesday" in page


@pytest.mark.parametrize("act", ACTS)
def test_a_form_that_is_sent_twice_acts_once(
    account: Account, admin_client: Client, act: str
) -> None:
    page = page_of(account, act)
    sent = {**filled_in(admin_client, page), **fields_of(act)}
    admin_client.post(page, sent)
    once = done(account)
    answer = admin_client.post(page, sent, follow=True)
    assert "It was done already, and is not done twice." in answer.content.decode()
    assert done(account) == once
    assert len(history(account)) == 1


def test_an_old_form_does_not_suspend_an_account_again(
    account: Account, admin_client: Client
) -> None:
    page = page_of(account, "suspend")
    sent = {**filled_in(admin_client, page), "reason": "Spam"}
    admin_client.post(page, sent)
    saved(admin_client, page_of(account, "reinstate"), reason="It was not them")
    admin_client.post(page, sent)
    assert entitlements.suspension_of(account) is None


@pytest.mark.parametrize(
    ("act", "changes", "words"),
    [
        ("boost", {"chats": 0}, "Give 1 or more."),
        ("boost", {"days": 4_000}, "Give 3660 or less."),
        ("boost", {"chats": "many"}, "Write a whole number, in digits."),
        ("credits", {"credits": 0}, "0 changes nothing"),
        ("credits", {"credits": "1.5"}, "Write a whole number, in digits."),
        ("credits", {"reason": "x" * 201}, "Write 200 characters at most"),
        ("plan", {"plan": 0}, "This is none of the choices."),
        ("suspend", {"reason": "  "}, "Say why"),
        ("suspend", {"submission": "x"}, "This is no identifier"),
        ("suspend", {"submission": "\0"}, "This is no identifier"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(
    account: Account, admin_client: Client, act: str, changes: dict[str, Any], words: str
) -> None:
    before = done(account)
    answer = refused(admin_client, page_of(account, act), **{**fields_of(act), **changes})
    assert words in answer
    assert "Nothing is changed yet." in answer
    assert done(account) == before


def staff_with(client: Client, *rights: str) -> None:
    """Sign somebody in who has these rights and no other."""
    staff = User.objects.create_user(f"{'-'.join(rights)}@example.com", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(staff)


@pytest.mark.parametrize("act", ACTS)
def test_an_act_needs_its_own_right(account: Account, client: Client, act: str) -> None:
    others = [right for name, right in NEEDS.items() if name != act]
    staff_with(client, "view_account", "change_account", *others)
    assert client.get(page_of(account, act)).status_code == 403
    assert client.post(page_of(account, act), fields_of(act)).status_code == 403
    staff_with(client, "view_account", NEEDS[act])
    saved(client, page_of(account, act), **fields_of(act))


def offered(client: Client, account: Account) -> list[str]:
    page = client.get(page_of(account))
    assert page.status_code == 200
    return [act.slug for act in page.context["acts"]]


def test_the_page_offers_what_makes_sense_now(account: Account, admin_client: Client) -> None:
    assert offered(admin_client, account) == ["boost", "credits", "plan", "suspend"]
    grants.suspend(account=account, at=timezone.now())
    assert offered(admin_client, account) == ["boost", "credits", "plan", "reinstate"]


def test_the_page_offers_what_one_may_do(account: Account, client: Client) -> None:
    staff_with(client, "view_account", "add_creditentry")
    assert offered(client, account) == ["credits"]


def test_an_account_that_is_not_there_is_not_found(admin_client: Client, plans: None) -> None:
    for number in ("0", "x", "99999999999999999999999"):
        assert admin_client.get(f"/admin/accounts/account/{number}/boost/").status_code == 404


# --- what the page tells ----------------------------------------------------------------------


def told(client: Client, account: Account) -> str:
    page = client.get(page_of(account))
    assert page.status_code == 200
    return " ".join(strip_tags(page.content.decode()).split())


def test_the_page_tells_keys_boosts_credits_and_decisions(
    account: Account, boost: Boost, key: str, gate: LiveGate, admin_client: Client
) -> None:
    saved(admin_client, page_of(account, "credits"), credits=250, reason="Welcome")
    gate.use(key, 551)
    assert not gate.check(key, 2_000).allowed
    page = told(admin_client, account)
    assert f"laptop …{key[-4:]}" in page
    assert "Active" in page
    assert "Granted 250 Welcome" in page
    assert "500 0 –" in page
    assert "laptop chat Passed: 1 for 2 credits" in page
    assert "laptop chat Refused: Above the plan" in page
    for name in ("keys_apikey", "quotas_boost", "quotas_creditentry"):
        app, model = name.split("_")
        link = f'href="/admin/{app}/{model}/?account={account.pk}"'
        assert link in admin_client.get(page_of(account)).content.decode()


def test_the_page_hides_what_one_may_not_see(account: Account, key: str, client: Client) -> None:
    staff_with(client, "view_account")
    page = told(client, account)
    assert "What is left" in page
    assert "All keys" not in page
    assert "Credit ledger" not in page
    assert "Purchases" not in page


def test_the_page_is_there_while_the_gate_is_not(
    account: Account, key: str, admin_client: Client, valkey_away: Callable[[bool], None]
) -> None:
    valkey_away(True)
    page = told(admin_client, account)
    assert page.count("The gate gives no answer at the moment.") == 2
    assert "laptop" in page
