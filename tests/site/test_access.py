"""Who gets what from every address of the site. A new address without a decision here fails."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone

from accounts import roles
from accounts.current import act_of
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Act
from alerts import raising
from alerts.models import Delivery
from billing.models import Product, Purchase
from billing.seed import seed_products
from keys.models import ApiKey
from tests.alerts.webhooks import endpoint_of
from tests.billing.orders import plan_order_of
from tests.conftest import PASSWORD
from tests.signed_in import sign_in_at_once
from tests.site.answer import Answer
from tests.site.urls_of_the_site import every_address, every_url
from tests.team.conftest import acting_for

Role = Membership.Role
PEOPLE = ("anonymous", "owner", "outsider", "staff")
SIGN_IN = "→ account_login"


@dataclass(frozen=True)
class Access:
    """What a GET and a POST (without fields) answer, for each of PEOPLE in order."""

    get: tuple[str, str, str, str]
    post: tuple[str, str, str, str]


def everybody(answer: str) -> tuple[str, str, str, str]:
    return (answer, answer, answer, answer)


def users(answer: str) -> tuple[str, str, str, str]:
    return (SIGN_IN, answer, answer, answer)


def only_owner(answer: str) -> tuple[str, str, str, str]:
    return (SIGN_IN, answer, "404", "404")


def visitors(answer: str) -> tuple[str, str, str, str]:
    """Pages for people who are not signed in; others are sent to their keys."""
    return (answer, "→ keys", "→ keys", "→ keys")


PUBLIC_PAGE = Access(get=everybody("200"), post=everybody("405"))
OWN_PAGE = Access(get=users("200"), post=everybody("405"))

DECIDED = {
    "home": PUBLIC_PAGE,
    "pricing": PUBLIC_PAGE,
    "quickstart": PUBLIC_PAGE,
    "estimate": PUBLIC_PAGE,
    "reference": PUBLIC_PAGE,
    "quota_reference": PUBLIC_PAGE,
    "leaked_keys": PUBLIC_PAGE,
    # By anybody, with what they found: a POST without a body is no report.
    "leaks": Access(get=everybody("405"), post=everybody("415")),
    "language": Access(get=everybody("405"), post=everybody("400")),
    "healthz": PUBLIC_PAGE,
    "readyz": PUBLIC_PAGE,
    "dev_inbox": PUBLIC_PAGE,
    "styleguide": PUBLIC_PAGE,
    "dev_inbox_message": Access(get=everybody("404"), post=everybody("405")),
    "audit": OWN_PAGE,
    "audit_export": OWN_PAGE,
    "stripe_webhook": Access(get=everybody("405"), post=everybody("400")),
    "keys": OWN_PAGE,
    "usage": OWN_PAGE,
    "usage_now": OWN_PAGE,
    "usage_requests": OWN_PAGE,
    "usage_export": OWN_PAGE,
    "usage_zone": Access(get=everybody("405"), post=users("→ usage")),
    # By a key alone: nobody's session opens it.
    "usage_for_programs": Access(get=everybody("401"), post=everybody("405")),
    "keys_for_programs": Access(get=everybody("401"), post=everybody("401")),
    "key_for_programs": Access(get=everybody("401"), post=everybody("405")),
    "key_rotate_for_programs": Access(get=everybody("405"), post=everybody("401")),
    "key_revoke_for_programs": Access(get=everybody("405"), post=everybody("401")),
    "billing": OWN_PAGE,
    "purchases": OWN_PAGE,
    "credits": OWN_PAGE,
    "purchases_export": OWN_PAGE,
    "amount": OWN_PAGE,
    "credits_export": OWN_PAGE,
    "security": OWN_PAGE,
    "sessions_end": Access(get=everybody("405"), post=users("→ security")),
    "session_end": Access(get=everybody("405"), post=users("404")),
    "key_create": Access(get=users("→ keys"), post=users("422")),
    "key_edit": Access(get=only_owner("200"), post=only_owner("422")),
    "key_switch": Access(get=everybody("405"), post=only_owner("→ key_edit")),
    "key_rotate": Access(get=only_owner("200"), post=only_owner("422")),
    "key_former_end": Access(get=everybody("405"), post=only_owner("→ key_edit")),
    "key_revoke": Access(get=only_owner("200"), post=only_owner("→ keys")),
    # Without any that is chosen.
    "keys_several": Access(get=users("→ keys"), post=users("→ keys")),
    "spending": Access(get=users("200"), post=users("422")),
    "key_spending": Access(get=only_owner("200"), post=only_owner("422")),
    "purchase": Access(get=only_owner("200"), post=everybody("405")),
    "checkout": Access(get=everybody("405"), post=users("→ billing")),
    "purchase_continue": Access(get=everybody("405"), post=only_owner("→ billing")),
    "purchase_discard": Access(get=everybody("405"), post=only_owner("→ purchase")),
    "billing_cancelled": Access(get=users("→ billing"), post=everybody("405")),
    "plan_choice": Access(get=users("200"), post=users("→ plan_choice")),
    "plan_order": Access(get=only_owner("200"), post=everybody("405")),
    "plan_end": Access(get=users("→ billing"), post=users("→ billing")),
    "plan_resume": Access(get=everybody("405"), post=users("→ billing")),
    "customer_portal": Access(get=everybody("405"), post=users("→ billing")),
    "top_up": Access(get=users("200"), post=users("422")),
    "top_up_off": Access(get=everybody("405"), post=users("→ top_up")),
    "top_up_card": Access(get=everybody("405"), post=users("→ top_up")),
    "top_up_saved": Access(get=users("→ top_up"), post=users("→ top_up")),
    "pack_switch": Access(get=everybody("405"), post=users("→ billing")),
    "alerts": OWN_PAGE,
    "alerts_settings": Access(get=everybody("405"), post=users("422")),
    "alerts_mail": Access(get=everybody("405"), post=users("→ alerts")),
    "webhook_add": Access(get=everybody("405"), post=users("422")),
    "webhook": Access(get=only_owner("200"), post=only_owner("422")),
    "webhook_rotate": Access(get=only_owner("200"), post=only_owner("→ webhook")),
    "webhook_remove": Access(get=only_owner("200"), post=only_owner("→ alerts")),
    "webhook_test": Access(get=everybody("405"), post=only_owner("→ alerts")),
    "delivery_resend": Access(get=everybody("405"), post=users("→ alerts")),
    "team": OWN_PAGE,
    "team_rename": Access(get=everybody("405"), post=users("422")),
    "team_invite": Access(get=users("→ team"), post=users("422")),
    "team_invite_again": Access(get=everybody("405"), post=only_owner("→ team")),
    "team_withdraw": Access(get=everybody("405"), post=only_owner("→ team")),
    "team_member": Access(get=only_owner("200"), post=only_owner("422")),
    "team_budget": Access(get=only_owner("200"), post=only_owner("→ team")),
    "team_new_budget": Access(get=users("200"), post=users("→ team")),
    "team_remove": Access(get=only_owner("200"), post=only_owner("→ team")),
    "team_hand_over": Access(get=only_owner("200"), post=only_owner("→ team")),
    # Each is the last owner of their own.
    "team_leave": Access(get=users("200"), post=users("422")),
    "data_of_account": Access(get=everybody("405"), post=users("200")),
    "data_of_person": Access(get=everybody("405"), post=users("200")),
    # Without the address.
    "close_person": Access(get=users("200"), post=users("422")),
    # Without the name of the account.
    "close_account": Access(get=users("200"), post=users("422")),
    "team_new": Access(get=users("200"), post=users("422")),
    "team_switch": Access(get=everybody("405"), post=users("→ home")),
    "invitation_open": Access(get=everybody("→ invitation"), post=everybody("405")),
    "invitation": Access(get=everybody("404"), post=everybody("405")),
    "invitation_accept": Access(get=everybody("405"), post=users("404")),
    "invitation_decline": Access(get=everybody("405"), post=users("404")),
}

# What each role may do, said a second time: `accounts.roles` changes together with this, or is red.
EVERYBODY = frozenset(Role)
KEEPERS = frozenset({Role.OWNER, Role.ADMIN})
WHO_MAY: dict[Act, frozenset[str]] = {
    Act.SEE_USAGE: EVERYBODY,
    Act.SEE_KEYS: KEEPERS | {Role.DEVELOPER},
    Act.CHANGE_KEYS: KEEPERS | {Role.DEVELOPER},
    Act.SEE_ALL_KEYS: KEEPERS,
    Act.LET_KEYS_MANAGE: KEEPERS,
    Act.CHANGE_ALL_KEYS: KEEPERS,
    Act.SEE_MONEY: KEEPERS | {Role.BILLING},
    Act.SPEND_MONEY: KEEPERS | {Role.BILLING},
    Act.SWITCH_PACKS: KEEPERS | {Role.BILLING},
    Act.SEE_ALERTS: EVERYBODY,
    Act.CHOOSE_MAIL: EVERYBODY,
    Act.CHANGE_ALERTS: KEEPERS,
    Act.SEE_AUDIT: KEEPERS,
    Act.SEE_PEOPLE: EVERYBODY,
    Act.LEAVE: EVERYBODY,
    Act.CHANGE_PEOPLE: KEEPERS,
    Act.CHANGE_BUDGETS: KEEPERS,
    **dict.fromkeys((Act.CHANGE_OWNERS, Act.TAKE_DATA, Act.CLOSE), frozenset({Role.OWNER})),
}
# Where the thing is the owner's own, and whoever sees only theirs does not find it.
OF_A_KEY = frozenset(
    {"key_edit", "key_switch", "key_rotate", "key_former_end", "key_revoke", "key_spending"}
)
OF_AN_INVITATION = frozenset({"team_invite_again", "team_withdraw"})
OF_A_MEMBER = frozenset({"team_member", "team_budget", "team_remove", "team_hand_over"})
# Who asks somebody else’s server must not hold a transaction.
AT_STRIPE = frozenset({"customer_portal", "purchase_continue", "top_up_saved"})
# Where the role makes another difference than whether it may.
ANSWERS: dict[tuple[str, str], str] = {
    # Whoever is no last owner may go.
    **{("team_leave", role): "→ usage" for role in EVERYBODY - {Role.OWNER}},
}


# Things that are nobody's, for whom any will do.
_NOBODYS = "0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b"
ARGUMENTS: dict[str, list[object]] = {
    "session_end": ["1"],
    "key_edit": ["1"],
    "key_switch": ["1"],
    "key_rotate": ["1"],
    "key_former_end": ["1"],
    "key_revoke": ["1"],
    "key_spending": ["1"],
    "key_for_programs": ["1"],
    "key_rotate_for_programs": ["1"],
    "key_revoke_for_programs": ["1"],
    **{name: [_NOBODYS] for name in DECIDED if name.startswith("purchase_")},
    "purchase": [_NOBODYS],
    "plan_choice": ["plus"],
    "plan_order": [_NOBODYS],
    "pack_switch": ["copilot-pro"],
    "usage_export": ["csv"],
    **{name: [_NOBODYS] for name in DECIDED if name.startswith("webhook")},
    "webhook_add": [],
    "delivery_resend": ["1"],
    **{name: ["1"] for name in OF_AN_INVITATION | OF_A_MEMBER},
    "invitation_open": ["inv_made_up"],
}


@pytest.fixture
def browsers(
    owner_client: Client, outsider_client: Client, issued: tuple[ApiKey, str]
) -> dict[str, Client]:
    """Everybody's browser; the staff have no permission yet."""
    staff = User.objects.create_user("staff@example.com", PASSWORD, is_staff=True)
    staff_client = Client()
    sign_in_at_once(staff_client, staff)
    return {
        "anonymous": Client(),
        "owner": owner_client,
        "outsider": outsider_client,
        "staff": staff_client,
    }


@pytest.fixture
def arguments(
    issued: tuple[ApiKey, str], account: Account, owner: User, team_mate: User
) -> dict[str, list[object]]:
    """What addresses are about: things of the owner."""
    seed_products()
    product = Product.objects.filter(kind="boost").first()
    assert product
    purchase = Purchase.objects.create(
        account=account,
        user=owner,
        product=product,
        product_name=product.name,
        kind=product.kind,
        amount_cents=product.price_cents,
        chats=product.chats,
        valid_days=product.valid_days,
        submission=uuid4(),
    )
    endpoint = endpoint_of(account, owner, "https://example.com/hook")
    raising.raise_test(endpoint, at=timezone.now())
    invitation = Invitation.objects.create(
        account=account,
        email="guest@example.com",
        role=Role.VIEWER,
        digest="d",
        invited_by=owner,
        sent_at=timezone.now() - timedelta(hours=1),
        expires_at=timezone.now() + timedelta(hours=1),
    )
    return {
        **{name: [invitation.pk] for name in OF_AN_INVITATION},
        **{name: [team_mate.pk] for name in OF_A_MEMBER},
        "invitation_open": ["inv_made_up"],
        **{name: [endpoint.pk] for name in DECIDED if name.startswith("webhook")},
        "webhook_add": [],
        "delivery_resend": [Delivery.objects.get().pk],
        "session_end": [1],
        "key_edit": [issued[0].pk],
        "key_switch": [issued[0].pk],
        "key_rotate": [issued[0].pk],
        "key_former_end": [issued[0].pk],
        "key_revoke": [issued[0].pk],
        "key_spending": [issued[0].pk],
        "key_for_programs": [issued[0].pk],
        "key_rotate_for_programs": [issued[0].pk],
        "key_revoke_for_programs": [issued[0].pk],
        "purchase": [purchase.pk],
        "purchase_continue": [purchase.pk],
        "purchase_discard": [purchase.pk],
        "plan_choice": ["plus"],
        "plan_order": [plan_order_of(account, owner).pk],
        "pack_switch": ["copilot-pro"],
        "usage_export": ["csv"],
        "dev_inbox_message": ["00001700000000000000-" + "0" * 32],
    }


def answer_of(response: Answer) -> str:
    """The status, or the name of the page that it leads to."""
    if response.status_code not in {301, 302, 303}:
        return str(response.status_code)
    try:
        return f"→ {resolve(response['Location'].partition('?')[0]).view_name}"
    except Resolver404:
        return f"→ {response['Location']}"


def test_roles_may_what_was_decided() -> None:
    decided = {role: {act for act in Act if role in WHO_MAY[act]} for role in Role}
    assert {role: set(roles.MAY[role]) for role in Role} == decided


def acts_by_address() -> dict[str, Act]:
    """What each address of the account area does."""
    found = {address.name: act_of(address.view) for address in every_address()}
    return {name: act for name, act in found.items() if act is not None}


def expected_of(name: str, role: str, answer_to_the_owner: str) -> str:
    """What this role gets from an address of the owner’s account."""
    act = acts_by_address()[name]
    if answer_to_the_owner == "405":
        # Nobody gets that far.
        return "405"
    if role not in WHO_MAY[act]:
        return "403"
    if name in OF_A_KEY and role not in WHO_MAY[Act.SEE_ALL_KEYS]:
        return "404"
    return answer_to_the_owner


@pytest.mark.parametrize("name", sorted(acts_by_address()))
def test_every_role_gets_what_was_decided(
    account: Account, owner: User, arguments: dict[str, list[object]], name: str
) -> None:
    url = reverse(name, args=arguments.get(name, []))
    decided = DECIDED[name]
    for role in Role:
        user = owner
        if role != Role.OWNER:
            user = User.objects.create_user(f"{role}.role@example.com", PASSWORD)
            Membership.objects.create(account=account, user=user, role=role)
        browser = acting_for(user, account)
        got = answer_of(whole(browser.get(url)))
        assert got == expected_of(name, role, decided.get[1]), role
        # What one does is undone for the next.
        keeps = contextlib.nullcontext() if name in AT_STRIPE else undone()
        with keeps:
            got = answer_of(browser.post(url, {"for_account": account.handle}))
        of_post = expected_of(name, role, decided.post[1])
        assert got == (of_post if of_post == "405" else ANSWERS.get((name, role), of_post)), role


def whole(response: Answer) -> Answer:
    """An answer that was read to its end: an account has one export at a time."""
    if response.streaming:
        b"".join(response)
    return response


@contextlib.contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_every_address_has_a_decision() -> None:
    ours = {name for name in every_url() if not name.startswith(("admin:", *OF_ALLAUTH))}
    assert ours == set(DECIDED)


@pytest.mark.parametrize("name", DECIDED)
def test_everybody_gets_what_was_decided(
    browsers: dict[str, Client], arguments: dict[str, list[object]], name: str
) -> None:
    url = reverse(name, args=arguments.get(name, []))
    gets = tuple(answer_of(browsers[person].get(url)) for person in PEOPLE)
    assert gets == DECIDED[name].get
    # The owner last: what a POST changes must not hide what it answers to the others.
    posts = {person: answer_of(browsers[person].post(url)) for person in reversed(PEOPLE)}
    assert tuple(posts[person] for person in PEOPLE) == DECIDED[name].post


@pytest.mark.parametrize(
    "name", [name for name, access in DECIDED.items() if "405" not in access.post]
)
def test_a_form_of_another_site_is_refused(
    owner: User, arguments: dict[str, list[object]], name: str
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    url = reverse(name, args=arguments.get(name, []))
    # Stripe has no cookie of ours: its signature is judged instead. A find is its own proof, and no
    # form can send one.
    without_cookie = {
        "stripe_webhook": 400,
        "leaks": 415,
        **dict.fromkeys(("keys_for_programs", "key_rotate_for_programs"), 401),
        "key_revoke_for_programs": 401,
    }
    assert browser.post(url).status_code == without_cookie.get(name, 403)


# --- the pages of allauth -------------------------------------------------------------------

ALLAUTH = {
    "account_login": visitors("200"),
    "account_signup": visitors("200"),
    "account_logout": ("→ home", "200", "200", "200"),
    "account_inactive": everybody("200"),
    "account_reauthenticate": users("200"),
    "account_email": users("200"),
    "account_email_verification_sent": everybody("200"),
    "account_change_password": users("200"),
    "account_set_password": users("→ account_change_password"),
    "account_reset_password": everybody("200"),
    "account_reset_password_done": everybody("200"),
    "account_reset_password_from_key": everybody("200"),
    "account_reset_password_from_key_done": everybody("200"),
    "account_confirm_email": everybody("200"),
    "account_confirm_login_code": visitors(SIGN_IN),
    "mfa_index": everybody("→ security"),
    "mfa_list_webauthn": everybody("→ security"),
    "usersessions_list": everybody("→ security"),
    "mfa_authenticate": visitors(SIGN_IN),
    "mfa_reauthenticate": users("→ account_reauthenticate"),
    "mfa_reauthenticate_webauthn": users("→ account_reauthenticate"),
    "mfa_activate_totp": users("200"),
    "mfa_deactivate_totp": users("404"),
    "mfa_view_recovery_codes": users("404"),
    "mfa_download_recovery_codes": users("404"),
    "mfa_generate_recovery_codes": users("200"),
    "mfa_add_webauthn": users("200"),
    "mfa_edit_webauthn": users("404"),
    "mfa_remove_webauthn": users("404"),
    "mfa_login_webauthn": visitors(SIGN_IN),
}
OF_ALLAUTH = ("account_", "mfa_", "usersessions_")
ALLAUTH_ARGUMENTS: dict[str, list[object]] = {
    "account_confirm_email": ["made-up"],
    "account_reset_password_from_key": ["0", "made-up"],
    "mfa_edit_webauthn": [1],
    "mfa_remove_webauthn": [1],
}


def test_every_address_of_allauth_has_a_decision() -> None:
    assert {name for name in every_url() if name.startswith(OF_ALLAUTH)} == set(ALLAUTH)


@pytest.mark.parametrize("name", ALLAUTH)
def test_everybody_gets_from_allauth_what_was_decided(
    browsers: dict[str, Client], name: str
) -> None:
    url = reverse(name, args=ALLAUTH_ARGUMENTS.get(name))
    assert tuple(answer_of(browsers[person].get(url)) for person in PEOPLE) == ALLAUTH[name]
    for person in PEOPLE:
        assert browsers[person].post(url).status_code < 500


# --- the admin ------------------------------------------------------------------------------

OPEN_TO_STAFF = {
    "admin:index": "200",
    "admin:login": "→ admin:index",
    "admin:logout": "405",
    "admin:password_change": "200",
    "admin:password_change_done": "200",
    "admin:jsi18n": "200",
    "admin:autocomplete": "403",
    "admin:view_on_site": "404",
    "admin:app_list": "404",
}


def admin_urls() -> dict[str, str]:
    """Addresses of the admin, about a row that may or may not exist."""
    urls = {}
    for name, pattern in every_url().items():
        if name.startswith("admin:"):
            path = pattern.replace(
                "^(?P<app_label>auth|accounts|keys|quotas|billing|account)/$", "keys/"
            )
            for placeholder in ("<path:object_id>", "<path:content_type_id>", "<id>"):
                path = path.replace(placeholder, "1")
            urls[name] = "/" + path.replace("(?P<url>.*)$", "nothing/")
    return urls


def answer_to_staff(response: Answer) -> str:
    """Where they end; Django leads from a row that does not exist to the index."""
    at_index = response.request["PATH_INFO"] == reverse("admin:index")
    return "→ admin:index" if at_index else str(response.status_code)


def test_the_admin_is_closed_to_everybody_else(browsers: dict[str, Client]) -> None:
    for name, url in admin_urls().items():
        for person in ("anonymous", "owner", "outsider"):
            got = {answer_of(browsers[person].get(url)), answer_of(browsers[person].post(url))}
            if name == "admin:login":
                # The site’s own sign-in, which has throttles; others who signed in are refused.
                assert got == {"→ account_login" if person == "anonymous" else "403"}
            elif name == "admin:logout":
                assert got <= {"405", "→ admin:index", "→ admin:login"}
                # It did what it says.
                browsers = {**browsers, person: Client()}
            else:
                assert got == {"→ admin:login"}, (name, person)


def test_staff_without_permissions_see_nothing_in_the_admin(browsers: dict[str, Client]) -> None:
    staff = browsers["staff"]
    for name, url in admin_urls().items():
        if name in OPEN_TO_STAFF:
            assert answer_of(staff.get(url)) == OPEN_TO_STAFF[name], name
        else:
            shown = {
                answer_to_staff(staff.get(url, follow=True)),
                answer_to_staff(staff.post(url, follow=True)),
            }
            assert shown <= {"403", "404", "→ admin:index"}, name
