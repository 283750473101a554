"""Every page of the site, as its owner or a visitor sees it."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import invitations
from accounts.models import Account, Invitation, User
from alerts import raising
from billing.models import Product, Purchase
from billing.seed import seed_products
from gate.service.sightings import Sighting
from gate.terms import addresses, week
from keys import sightings
from keys.models import ApiKey
from tests.alerts.webhooks import endpoint_of
from tests.billing.orders import plan_order_of, subscriber_of_plus
from tests.site.answer import Answer

# Asked with more for the test client, if need be: `visit(headers={"Accept-Language": "de"})`.
Pages = dict[str, Callable[..., Answer]]

PUBLIC = (
    "home",
    "pricing",
    "quickstart",
    "estimate",
    "reference",
    "quota_reference",
    "leaked_keys",
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_reset_password_done",
    "account_email_verification_sent",
    "account_inactive",
    "dev_inbox",
    "styleguide",
)
OWN = (
    "keys",
    "usage",
    "billing",
    "purchases",
    "credits",
    "top_up",
    "spending",
    "alerts",
    "audit",
    "security",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_generate_recovery_codes",
    "team",
    "team_new",
    "team_new_budget",
    "team_leave",
    "close_account",
    "close_person",
    "account_email",
    "account_change_password",
    "account_reauthenticate",
    "account_logout",
)


@pytest.fixture
def purchase(owner: User) -> Purchase:
    """An order of the owner that was not paid yet."""
    seed_products()
    product = Product.objects.get(slug="weekly-boost")
    return Purchase.objects.create(
        account=owner.personal_account,
        user=owner,
        product=product,
        product_name=product.name,
        kind=product.kind,
        amount_cents=product.price_cents,
        chats=product.chats,
        valid_days=product.valid_days,
        submission=uuid4(),
    )


def invited(account: Account, owner: User) -> str:
    """The secret of an invitation that waits for an answer."""
    secret = f"inv_{uuid4().hex}"
    Invitation.objects.create(
        account=account,
        email="guest@example.com",
        role="viewer",
        digest=invitations.digest_of(secret),
        invited_by=owner,
        expires_at=timezone.now() + timedelta(days=7),
    )
    return secret


@pytest.fixture
def pages(
    owner_client: Client, issued: tuple[ApiKey, str], purchase: Purchase, team_mate: User
) -> Pages:
    """Every page, as its owner or a visitor sees it."""
    visitor = Client()
    key, _ = issued
    owner = purchase.user
    assert owner is not None
    where = addresses.to_hex("192.0.2.7")
    sightings.record_sightings([Sighting(key.pk, where, "bot/1", week.to_ms(timezone.now()))])
    endpoint = endpoint_of(purchase.account, owner, "https://example.com/hook")
    raising.raise_test(endpoint, at=timezone.now())
    subscribed = Client()
    subscribed.force_login(subscriber_of_plus())

    def get(client: Client, name: str, *arguments: object) -> Callable[..., Answer]:
        return lambda **more: client.get(reverse(name, args=arguments), **more)

    def post(
        client: Client,
        name: str,
        fields: Callable[[], dict[str, object]] = dict,
        *arguments: object,
    ) -> Callable[..., Answer]:
        return lambda **more: client.post(reverse(name, args=arguments), fields(), **more)

    guest = team_mate.pk
    secret = invited(purchase.account, owner)
    mate = Client()
    mate.force_login(team_mate)
    mate.get(reverse("invitation_open", args=[secret]))
    return {
        "invitation": get(mate, "invitation"),
        "no invitation": get(visitor, "invitation"),
        "meant for another account": post(
            owner_client, "key_create", lambda: {"for_account": "another0"}
        ),
        "member": get(owner_client, "team_member", guest),
        "budget of a member": get(owner_client, "team_budget", guest),
        "remove a member": get(owner_client, "team_remove", guest),
        "hand over": get(owner_client, "team_hand_over", guest),
        "refused team": post(owner_client, "team_new"),
        "refused invitation": post(owner_client, "team_invite"),
        **{f"{name} as a visitor": get(visitor, name) for name in PUBLIC},
        **{name: get(owner_client, name) for name in (*PUBLIC[:6], *OWN)},
        "refused sign-in": post(visitor, "account_login"),
        "refused sign-up": post(visitor, "account_signup"),
        "a key": get(owner_client, "key_edit", key.pk),
        "revoke": get(owner_client, "key_revoke", key.pk),
        "several keys": lambda **more: owner_client.get(
            f"{reverse('keys_several')}?do=revoke&key={key.pk}", **more
        ),
        "new secret": get(owner_client, "key_rotate", key.pk),
        "refused rotation": post(owner_client, "key_rotate", dict, key.pk),
        "rotated": post(
            owner_client, "key_rotate", lambda: {"stays": "7d", "submission": uuid4()}, key.pk
        ),
        "keys of which one has two secrets": get(owner_client, "keys"),
        "spending of a key": get(owner_client, "key_spending", key.pk),
        "refused spending": post(
            owner_client,
            "spending",
            lambda: {"past_allowance": "some", "credits_a_week": "-1", "units_a_request": "0"},
        ),
        "new key": post(
            owner_client, "key_create", lambda: {"name": "laptop", "submission": uuid4()}
        ),
        "repeated key": post(
            owner_client, "key_create", lambda: {"name": "laptop", "submission": key.submission}
        ),
        "refused key": post(
            owner_client, "key_create", lambda: {"name": "", "submission": uuid4()}
        ),
        "purchase": get(owner_client, "purchase", purchase.pk),
        "plan": get(owner_client, "plan_choice", "plus"),
        "plan order": get(owner_client, "plan_order", plan_order_of(purchase.account, owner).pk),
        "plan end": get(subscribed, "plan_end"),
        "billing of a subscriber": get(subscribed, "billing"),
        "webhook": get(owner_client, "webhook", endpoint.pk),
        "rotate": get(owner_client, "webhook_rotate", endpoint.pk),
        "remove": get(owner_client, "webhook_remove", endpoint.pk),
        "refused webhook": post(owner_client, "webhook_add"),
        "no such purchase": get(owner_client, "purchase", uuid4()),
        "no such page": lambda **more: visitor.get("/no/such/page", **more),
        "refused form": post(Client(enforce_csrf_checks=True), "account_login"),
    }
