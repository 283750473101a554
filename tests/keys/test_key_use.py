"""The page of a key shows what it used this week and in 14 days."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Account
from keys.models import ApiKey
from quotas.models.used import UsageRollup
from quotas.usage.of_key import use_of_key
from tests.keys.test_key_list import make_key

WEDNESDAY = datetime(2026, 3, 25, 12, 30, tzinfo=UTC)


def used(key: ApiKey, chats: int, moment: datetime, source: str = "allowance") -> None:
    """Chats of a key, as the drain writes them."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    UsageRollup.objects.create(
        account=key.account, key_id=key.pk, meter="chat", hour=hour, source=source, chats=chats
    )


@pytest.fixture
def shop(account: Account) -> ApiKey:
    return make_key(account, "shop")


def test_the_week_and_the_days_are_those_of_this_key_alone(account: Account, shop: ApiKey) -> None:
    other = make_key(account, "other")
    monday = datetime(2026, 3, 23, tzinfo=UTC)
    used(shop, 5, WEDNESDAY)
    used(shop, 7, monday, "credits")
    used(shop, 100, monday - timedelta(hours=1))
    used(shop, 1_000, WEDNESDAY - timedelta(days=13))
    used(shop, 9_999, WEDNESDAY - timedelta(days=14))
    used(other, 9_999, WEDNESDAY)
    use = use_of_key(shop, at=WEDNESDAY)
    assert (use.this_week, use.in_all) == (12, 1_112)
    assert [bar.total for bar in use.bars] == [1_000, *[0] * 9, 100, 7, 0, 5]
    assert use.amounts is None


@pytest.mark.parametrize(("cap", "spent", "left"), [(20, 12, 8), (12, 12, 0), (5, 5, 0)])
def test_a_cap_of_its_own_is_counted_in_cells(
    shop: ApiKey, cap: int, spent: int, left: int
) -> None:
    used(shop, 12, WEDNESDAY)
    shop.weekly_cap = cap
    amounts = use_of_key(shop, at=WEDNESDAY).amounts
    assert amounts
    assert (amounts.spent, amounts.allowance) == (spent, left)


def test_the_page_says_it_and_leads_to_the_rest(owner_client: Client, shop: ApiKey) -> None:
    shop.weekly_cap = 2_000
    shop.save()
    used(shop, 1_234, timezone.now())
    page = owner_client.get(reverse("key_edit", args=[shop.pk])).content.decode()
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "This week 1,234 chats, of 2,000" in words
    assert "In 14 days 1,234 chats" in words
    assert page.count('class="bar"') == 14
    assert f'href="/account/usage?key={shop.pk}"' in page
    assert owner_client.get(f"/account/usage?key={shop.pk}").status_code == 200


def test_a_key_that_was_never_used_has_no_bars(owner_client: Client, shop: ApiKey) -> None:
    page = owner_client.get(reverse("key_edit", args=[shop.pk])).content.decode()
    assert "What it used" in page
    assert 'class="bar"' not in page
