"""Which account a page is about, and who may do what there, is decided in one place."""

import re
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import reverse

from accounts import roles
from accounts.current import act_of, asks_again, is_of_a_person, membership_of
from accounts.models import Account, Membership, User
from accounts.roles import Act
from keys.models import ApiKey
from tests.alerts.webhooks import endpoint_of
from tests.site.urls_of_the_site import Address, every_address

# What each page of ours does for an account, or None where it is about none.
DOES = {
    "home": None,
    "pricing": None,
    "quickstart": None,
    "estimate": None,
    "reference": None,
    "quota_reference": None,
    "leaked_keys": None,
    "leaks": None,
    "language": None,
    "healthz": None,
    "readyz": None,
    "dev_inbox": None,
    "styleguide": None,
    "dev_inbox_message": None,
    "stripe_webhook": None,
    "keys": Act.SEE_KEYS,
    "key_create": Act.CHANGE_KEYS,
    "key_edit": Act.CHANGE_KEYS,
    "key_switch": Act.CHANGE_KEYS,
    "key_rotate": Act.CHANGE_KEYS,
    "key_former_end": Act.CHANGE_KEYS,
    "key_revoke": Act.CHANGE_KEYS,
    "keys_several": Act.CHANGE_KEYS,
    "key_spending": Act.CHANGE_KEYS,
    "audit": Act.SEE_AUDIT,
    "audit_export": Act.SEE_AUDIT,
    "spending": Act.SPEND_MONEY,
    "usage": Act.SEE_USAGE,
    "usage_now": Act.SEE_USAGE,
    "usage_requests": Act.SEE_USAGE,
    "usage_export": Act.SEE_USAGE,
    "usage_zone": Act.SEE_USAGE,
    # Of the account of a key, which is no visitor.
    "usage_for_programs": None,
    **dict.fromkeys(("mfa_index", "mfa_list_webauthn", "usersessions_list")),
    **dict.fromkeys(("security", "session_end", "sessions_end")),
    "keys_for_programs": None,
    "key_for_programs": None,
    "key_rotate_for_programs": None,
    "key_revoke_for_programs": None,
    "billing": Act.SEE_MONEY,
    "billing_cancelled": Act.SEE_MONEY,
    "purchase": Act.SEE_MONEY,
    "purchase_continue": Act.SPEND_MONEY,
    "purchase_discard": Act.SPEND_MONEY,
    "purchases": Act.SEE_MONEY,
    "credits": Act.SEE_MONEY,
    "amount": Act.SEE_MONEY,
    "purchases_export": Act.SEE_MONEY,
    "credits_export": Act.SEE_MONEY,
    "checkout": Act.SPEND_MONEY,
    "plan_choice": Act.SPEND_MONEY,
    "plan_order": Act.SEE_MONEY,
    "plan_end": Act.SPEND_MONEY,
    "plan_resume": Act.SPEND_MONEY,
    "customer_portal": Act.SPEND_MONEY,
    **dict.fromkeys(("top_up", "top_up_off", "top_up_card", "top_up_saved"), Act.SPEND_MONEY),
    "pack_switch": Act.SWITCH_PACKS,
    "alerts": Act.SEE_ALERTS,
    "alerts_mail": Act.CHOOSE_MAIL,
    "alerts_settings": Act.CHANGE_ALERTS,
    "webhook_add": Act.CHANGE_ALERTS,
    "webhook": Act.CHANGE_ALERTS,
    "webhook_rotate": Act.CHANGE_ALERTS,
    "webhook_remove": Act.CHANGE_ALERTS,
    "webhook_test": Act.CHANGE_ALERTS,
    "delivery_resend": Act.CHANGE_ALERTS,
    "team": Act.SEE_PEOPLE,
    **dict.fromkeys(
        (
            *("team_rename", "team_invite", "team_invite_again", "team_withdraw"),
            *("team_member", "team_remove"),
        ),
        Act.CHANGE_PEOPLE,
    ),
    "team_budget": Act.CHANGE_BUDGETS,
    "team_new_budget": Act.CHANGE_BUDGETS,
    "team_hand_over": Act.CHANGE_OWNERS,
    "team_leave": Act.LEAVE,
    "close_account": Act.CLOSE,
    "data_of_account": Act.TAKE_DATA,
    "data_of_person": None,
    "close_person": None,
    # About no account, or about the one that they name.
    **dict.fromkeys(
        (
            *("team_new", "team_switch", "invitation_open", "invitation"),
            *("invitation_accept", "invitation_decline"),
        )
    ),
}
# Pages about whoever is signed in, whatever account they act for.
OF_A_PERSON = {"security", "session_end", "sessions_end", "data_of_person", "close_person"}
# What is sent to them is done for who has shown just now that it is they.
ASK_AGAIN = {
    *("key_create", "team_invite", "team_member", "team_remove", "team_hand_over", "team_leave"),
    *("close_account", "data_of_account"),
    *("key_create", "key_rotate"),
    *("team_invite", "team_member", "team_remove", "team_hand_over", "team_leave"),
}
OURS = ("accounts", "alerts", "billing", "config", "dev", "keys", "partitions", "quotas")
# Words by which somebody else than `accounts.current` would choose the account of a visitor.
CHOOSING = re.compile(
    r"personal_account|personal_membership|\.places\(\)|\buser\.(accounts|memberships)\b"
    r"|(account__)?members(hips)?(__user)?=(request\.)?user"
)


def does(addresses: Iterable[Address]) -> dict[str, Act | None]:
    """What each of them says that it does: those of our views, and all of the account area."""
    found = {}
    for address in addresses:
        ours = address.view.__module__.partition(".")[0] in OURS and "admin:" not in address.name
        if ours or address.pattern.startswith("account/"):
            found[address.name] = act_of(address.view)
    return found


def test_every_page_does_for_an_account_what_was_decided() -> None:
    assert does(every_address()) == DOES


def test_a_new_page_of_the_account_area_has_to_say_it() -> None:
    def forgetful(request: HttpRequest) -> HttpResponse:
        return HttpResponse("everybody's")

    assert does([Address("new", "account/new", forgetful)]) == {"new": None}
    in_the_area = [a for a in every_address() if a.pattern.startswith("account/")]
    assert {a.name for a in in_the_area if is_of_a_person(a.view)} == OF_A_PERSON
    assert None not in {DOES.get(a.name) for a in in_the_area if not is_of_a_person(a.view)}


def test_what_changes_who_has_access_asks_again_who_it_is() -> None:
    assert {a.name for a in every_address() if asks_again(a.view)} == ASK_AGAIN


def test_nobody_else_chooses_an_account() -> None:
    found = {
        str(file.relative_to(settings.BASE_DIR))
        for room in (*OURS, "api")
        for file in Path(settings.BASE_DIR, room).rglob("*.py")
        if "migrations" not in file.parts and CHOOSING.search(file.read_text())
    }
    # How people sign in is written down where they are at home.
    assert found == {"accounts/audit_sign_in.py", "accounts/current.py", "accounts/models.py"}


@pytest.mark.parametrize("act", Act)
def test_who_may_not_do_it_is_refused_by_every_page_that_does_it_and_by_no_other(
    owner_client: Client,
    owner: User,
    issued: tuple[ApiKey, str],
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
) -> None:
    webhook = endpoint_of(owner.personal_account, owner, "https://example.com/hook").pk
    arguments: dict[str, list[object]] = {
        # What removes it would hide it from what follows.
        **{name: [webhook] for name in ("webhook", "webhook_rotate", "webhook_test")},
        "webhook_remove": [uuid4()],
        "delivery_resend": [1],
        "key_edit": [issued[0].pk],
        "key_switch": [issued[0].pk],
        "key_rotate": [issued[0].pk],
        "key_former_end": [issued[0].pk],
        "key_revoke": [issued[0].pk],
        "key_spending": [issued[0].pk],
        **{name: [uuid4()] for name in ("purchase", "purchase_continue", "purchase_discard")},
        "plan_choice": ["plus"],
        "plan_order": [uuid4()],
        "pack_switch": ["copilot-pro"],
        "usage_export": ["csv"],
        **{name: [1] for name in ("team_invite_again", "team_withdraw")},
        **{
            name: [owner.pk]
            for name in ("team_member", "team_budget", "team_remove", "team_hand_over")
        },
    }
    monkeypatch.setitem(roles.MAY, Membership.Role.OWNER, frozenset(Act) - {act})
    for name, decided in DOES.items():
        if decided is None:
            continue
        url = reverse(name, args=arguments.get(name))
        answers = {owner_client.get(url).status_code, owner_client.post(url).status_code}
        assert (403 in answers) is (decided is act), name


def test_every_role_has_a_decision_and_an_unknown_one_may_nothing() -> None:
    assert set(roles.MAY) == set(Membership.Role)
    stranger = Membership(role="stranger")
    assert not any(roles.may(stranger, act) for act in Act)


def test_the_account_is_looked_up_once_and_with_the_role(
    owner: User, account: Account, django_assert_num_queries: object
) -> None:
    request = HttpRequest()
    request.user = owner
    with django_assert_num_queries(1):  # type: ignore[operator]
        first, again = membership_of(request), membership_of(request)
        assert first is not None
        assert (first.account, first.role) == (account, Membership.Role.OWNER)
    assert again is first


def test_a_visitor_has_no_account() -> None:
    assert membership_of(HttpRequest()) is None
