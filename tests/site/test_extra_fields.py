"""What a form does not ask for has no effect."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Invitation, User
from billing.models import Product, Purchase
from billing.seed import seed_products
from keys.models import ApiKey
from quotas.models.ledger import Boost, CreditEntry
from quotas.standing import standing_of


@pytest.fixture
def greed(outsider: User) -> dict[str, str]:
    """Fields that somebody adds who wants more than the form gives."""
    return {
        "account": str(outsider.personal_account.pk),
        "account_id": str(outsider.personal_account.pk),
        "user": str(outsider.pk),
        "plan": "pro",
        "credits": "100000",
        "chats": "100000",
        "amount_cents": "1",
        "price_cents": "1",
        "status": "paid",
        "is_staff": "on",
        "is_superuser": "on",
        "digest": "d" * 43,
        "version": "99",
        "revoked_at": "2000-01-01",
    }


def test_a_key_is_made_for_the_account_of_the_maker(
    owner_client: Client, account: Account, owner: User, greed: dict[str, str]
) -> None:
    fields = {"name": "laptop", "submission": str(uuid4()), **greed}
    assert owner_client.post(reverse("key_create"), fields).status_code == 201
    key = ApiKey.objects.get()
    assert key.account == account
    assert key.created_by == owner
    assert key.digest != greed["digest"]
    assert key.version == 1
    assert key.is_active


def test_a_purchase_costs_what_the_product_costs(
    owner_client: Client, account: Account, owner: User, greed: dict[str, str]
) -> None:
    seed_products()
    terms = Product.objects.get(slug="weekly-boost").terms
    fields = {
        "product": "weekly-boost",
        "terms": terms,
        "submission": str(uuid4()),
        **greed,
    }
    owner_client.post(reverse("checkout"), fields)
    purchase = Purchase.objects.get()
    assert (purchase.account, purchase.user) == (account, owner)
    assert (purchase.amount_cents, purchase.chats, purchase.credits) == (500, 500, 0)
    assert purchase.status == Purchase.Status.PENDING


def test_what_is_not_on_sale_cannot_be_bought(owner_client: Client) -> None:
    seed_products()
    Product.objects.filter(slug="weekly-boost").update(is_active=False)
    for product in ("weekly-boost", "no-such-thing", ""):
        fields = {"product": product, "terms": "500-500-7-0", "submission": str(uuid4())}
        owner_client.post(reverse("checkout"), fields)
    assert not Purchase.objects.exists()


def test_of_people_only_what_is_asked_for_is_changed(
    owner_client: Client, account: Account, owner: User, team_mate: User, greed: dict[str, str]
) -> None:
    before = (account.handle, account.is_personal)
    more = {**greed, "handle": "aaaaaaaa", "is_personal": "", "owner": str(team_mate.pk)}
    owner_client.post(reverse("team_rename"), {"name": "Acme", **more})
    owner_client.post(
        reverse("team_invite"),
        {
            "state": "accepted",
            "invited_by": "0",
            "expires_at": "2100-01-01",
            **more,
            "email": "guest@example.com",
            "role": "viewer",
        },
    )
    owner_client.post(reverse("team_member", args=[team_mate.pk]), {"role": "viewer", **more})
    account.refresh_from_db()
    assert (account.name, account.handle, account.is_personal) == ("Acme", *before)
    invitation = Invitation.objects.get()
    assert (invitation.account, invitation.invited_by, invitation.state) == (account, owner, "open")
    assert invitation.expires_at < timezone.now() + timedelta(days=8)
    roles = dict(account.memberships.values_list("user", "role"))
    assert roles == {owner.pk: "owner", team_mate.pk: "viewer"}


def test_nothing_that_is_posted_changes_what_an_account_may_use(
    owner_client: Client, account: Account, owner: User, greed: dict[str, str]
) -> None:
    for name, arguments in (
        ("key_create", []),
        ("checkout", []),
        ("pack_switch", ["copilot-pro"]),
        ("account_email", []),
        ("account_change_password", []),
    ):
        owner_client.post(reverse(name, args=arguments), {"on": "true", **greed})
    owner.refresh_from_db()
    assert (owner.is_staff, owner.is_superuser) == (False, False)
    assert not Boost.objects.exists()
    assert not CreditEntry.objects.exists()
    standing = standing_of(account, at=timezone.now())
    assert standing is not None
    assert (standing.plan_name, standing.left, standing.credits_left) == ("Free", 50, 0)
