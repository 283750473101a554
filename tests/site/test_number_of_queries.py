"""Pages ask PostgreSQL a bounded number of times, however much there is to show."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account, Membership, User
from alerts import raising
from alerts.models import WebhookEndpoint
from billing.models import Product, Purchase
from billing.seed import seed_products
from billing.subscriptions.models import PlanOrder
from gate.terms import week
from keys.models import ApiKey
from quotas import grants, projection
from quotas.models.ledger import CreditEntry
from quotas.models.plans import Pack, Plan
from quotas.models.used import RefusalRollup, UsageRollup
from tests import entitled
from tests.alerts.webhooks import endpoint_of
from tests.billing.orders import plan_order_of

# Signed in: session, user and account are three of them. None needs more than ten.
AT_MOST = {
    "home": 7,
    "pricing": 10,
    "quickstart": 4,
    "estimate": 7,
    "reference": 3,
    "quota_reference": 3,
    "leaked_keys": 3,
    "keys": 10,
    "key_edit": 10,
    "key_rotate": 4,
    "key_revoke": 4,
    "keys_several": 4,
    "key_spending": 5,
    "spending": 4,
    "usage": 10,
    "usage_now": 10,
    "usage_requests": 6,
    "billing": 10,
    "plan_choice": 9,
    "plan_order": 6,
    "top_up": 6,
    "alerts": 9,
    "audit": 4,
    "team": 7,
    "team_new": 3,
    "team_new_budget": 3,
    "team_leave": 5,
    "close_account": 10,
    "close_person": 14,
    "webhook": 4,
    "purchase": 7,
    "purchases": 4,
    "credits": 6,
    "security": 8,
    "account_email": 5,
    "account_change_password": 3,
    "account_reauthenticate": 9,
    "account_logout": 3,
}
FOR_STRANGERS = ("account_login", "account_signup", "account_reset_password")


def keys_of(account: Account, count: int) -> list[ApiKey]:
    return ApiKey.objects.bulk_create(
        ApiKey(
            account=account,
            name=f"key {number}",
            digest=uuid4().hex,
            pepper_id="1",
            last_four="0000",
            submission=uuid4(),
            revoked_at=timezone.now() if number % 3 == 2 else None,
        )
        for number in range(count)
    )


@pytest.fixture
def more(account: Account, owner: User) -> Callable[[int], None]:
    """More of everything that pages list."""
    seed_products()

    def adding(count: int) -> None:
        product = Product.objects.first()
        assert product
        hour = week.starts_at(week.week_of(week.to_ms(timezone.now())))
        for key in keys_of(account, count):
            UsageRollup.objects.create(
                account=account, key_id=key.pk, meter="chat", hour=hour, source="allowance", chats=1
            )
        for number in range(count):
            slug = uuid4().hex
            raising.raise_test(
                endpoint_of(account, owner, f"https://example.com/{slug}"), at=timezone.now()
            )
            Purchase.objects.create(
                account=account,
                user=owner,
                product=product,
                product_name=product.name,
                kind=product.kind,
                amount_cents=product.price_cents,
                submission=uuid4(),
            )
            grants.grant_credits(
                account=account,
                credits=1,
                kind=CreditEntry.Kind.GRANT,
                at=timezone.now(),
                source_ref=f"test:{slug}",
            )
            grants.grant_boost(
                account=account,
                chats=1,
                at=timezone.now(),
                expires_at=timezone.now() + timedelta(days=1),
                source_ref=f"test:boost:{slug}",
            )
            Product.objects.create(
                slug=slug, name=slug, kind="credits", price_cents=100, credits=100
            )
            plan = Plan.objects.create(slug=slug, name=slug, weekly_cap=number, position=50)
            plan.packs.set(Pack.objects.all())
        # Nothing is committed in a test; and no page is measured that has to load the account.
        assert projection.push(account)

    return adding


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def address_of(name: str, account: Account) -> str:
    """The page of this name; of one thing of the account, where it is a page of one."""
    if name == "purchase":
        bought = account.purchases.earliest("created_at")
        bought.mark(Purchase.Status.PAID, at=timezone.now())
        return reverse(name, args=[bought.pk])
    if name == "plan_choice":
        return reverse(name, args=["plus"])
    if name == "plan_order":
        owner = account.members.earliest("pk")
        order = PlanOrder.objects.filter(account=account).first() or plan_order_of(account, owner)
        return reverse(name, args=[order.pk])
    if name == "webhook":
        return reverse(
            name, args=[WebhookEndpoint.objects.filter(account=account).earliest("created_at").pk]
        )
    if name in {"key_edit", "key_rotate", "key_revoke", "key_spending"}:
        return reverse(name, args=[ApiKey.objects.filter(account=account).latest("pk").pk])
    keys = ApiKey.objects.filter(account=account).values_list("pk", flat=True)[:100]
    chosen = "?do=revoke" + "".join(f"&key={pk}" for pk in keys)
    return reverse(name) + (chosen if name == "keys_several" else "")


@pytest.mark.parametrize("name", AT_MOST)
def test_a_page_asks_as_often_for_thirty_things_as_for_one(
    owner_client: Client, account: Account, more: Callable[[int], None], name: str
) -> None:
    more(1)
    address = address_of(name, account)
    # At the first look allauth writes the address down that the user was made with.
    owner_client.get(reverse("account_email"))
    few = queries(owner_client, address)
    more(29)
    # A page about several things is about more of them now.
    many = queries(owner_client, address_of(name, account) if "?" in address else address)
    assert many == few
    assert many <= AT_MOST[name], f"{name} asks {many} times"


def test_liveness_asks_nothing(client: Client, plans: None) -> None:
    assert queries(client, reverse("healthz")) == 0


@pytest.mark.parametrize("name", FOR_STRANGERS)
def test_the_way_in_asks_nothing(client: Client, plans: None, name: str) -> None:
    assert queries(client, reverse(name)) == 0


# --- the admin --------------------------------------------------------------------------------

AT_MOST_IN_THE_ADMIN = 10
# The first page looks at every part and answers three questions; that of an account has six lists.
FIRST_PAGE_AT_MOST, ACCOUNT_PAGE_AT_MOST = 17, 14


def admin_page(thing: Model) -> str:
    name = f"{thing._meta.app_label}_{thing._meta.model_name}"
    return reverse(f"admin:{name}_change", args=[thing.pk])


def add_members(account: Account, count: int) -> None:
    """People who are members of the account, while its owner is a member of theirs."""
    owner = account.memberships.earliest("pk").user
    for _ in range(count):
        person = User.objects.create_user(f"{uuid4().hex}@example.com")
        Membership.objects.create(account=account, user=person, role=Membership.Role.DEVELOPER)
        Membership.objects.create(
            account=person.personal_account, user=owner, role=Membership.Role.DEVELOPER
        )
        keys_of(person.personal_account, 1)


def test_the_admin_asks_as_often_for_thirty_members_as_for_one(
    admin_client: Client, account: Account, owner: User, more: Callable[[int], None]
) -> None:
    more(1)
    add_members(account, 1)
    assert projection.push(account)
    pages = [admin_page(account), admin_page(owner)]
    for page in pages:
        # The first look of a process at all asks what kind of thing it is, once.
        queries(admin_client, page)
    few = [queries(admin_client, page) for page in pages]
    add_members(account, 28)
    assert projection.push(account)
    assert [queries(admin_client, page) for page in pages] == few


def test_the_admin_asks_as_often_whoever_depends_on_a_person(
    admin_client: Client, owner: User, more: Callable[[int], None]
) -> None:
    """Accounts that nobody else may act for are named with their keys."""
    more(1)
    queries(admin_client, admin_page(owner))
    few = queries(admin_client, admin_page(owner))
    for number in range(10):
        keys_of(Account.objects.open_for(owner, name=f"account {number}"), 2)
    assert queries(admin_client, admin_page(owner)) == few


def test_no_other_page_of_the_admin_asks_more_than_ten_times(
    admin_client: Client, account: Account, owner: User, more: Callable[[int], None]
) -> None:
    more(3)
    entitled.set_suspended(account, True)
    assert projection.push(account)
    pages = [reverse("admin:index"), admin_page(account), admin_page(owner)]
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages.append(reverse(f"{name}_changelist"))
        if model not in {Account, User} and (found := model._default_manager.first()):
            pages.append(admin_page(found))
    for page in pages:
        queries(admin_client, page)
    asked = {page: queries(admin_client, page) for page in pages}
    assert asked.pop(reverse("admin:index")) <= FIRST_PAGE_AT_MOST
    assert asked.pop(admin_page(account)) <= ACCOUNT_PAGE_AT_MOST
    assert {page: count for page, count in asked.items() if count > AT_MOST_IN_THE_ADMIN} == {}


def test_the_first_page_asks_as_often_for_ten_blocked_accounts_as_for_one(
    admin_client: Client, plans: None
) -> None:
    def refuse(count: int) -> None:
        for _ in range(count):
            account = User.objects.create_user(f"{uuid4().hex}@example.com").personal_account
            assert projection.push(account)
            RefusalRollup.objects.create(
                account=account, key_id=1, hour=timezone.now(), reason="suspended", refusals=1
            )
            entitled.set_suspended(account, True)

    refuse(1)
    index = reverse("admin:index")
    queries(admin_client, index)
    few = queries(admin_client, index)
    refuse(9)
    assert queries(admin_client, index) == few <= FIRST_PAGE_AT_MOST
