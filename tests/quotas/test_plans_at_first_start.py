"""The seed: the plans of the design, and never anything over what an admin did."""

import pytest

from quotas.models.plans import Meter, Pack, Plan, QuotaPolicy
from quotas.seed import seed_catalogue

pytestmark = pytest.mark.django_db


def test_the_plans_and_their_caps_are_those_of_the_design(plans: None) -> None:
    caps = dict(Plan.objects.order_by("position").values_list("name", "weekly_cap"))
    assert list(caps.items()) == [
        ("Free", 50),
        ("Core", 500),
        ("Plus", 1500),
        ("Pro", None),
        ("Teams", None),
        ("Enterprise", None),
    ]


def test_free_is_what_a_new_account_begins_with(plans: None) -> None:
    assert Plan.objects.get(is_default=True).slug == "free"


def test_plus_alone_includes_the_copilot_pro_pack_which_has_no_cap(plans: None) -> None:
    pack = Pack.objects.get()
    assert (pack.name, pack.weekly_cap) == ("Copilot Pro Pack", None)
    assert [plan.slug for plan in pack.plans.all()] == ["plus"]


def test_every_meter_costs_one_chat_and_a_chat_two_credits(plans: None) -> None:
    assert dict(Meter.objects.values_list("slug", "chats")) == {"chat": 1, "images": 1, "voice": 1}
    assert QuotaPolicy.objects.get().credits_per_chat == 2


def test_prices_are_there_for_the_demo_only(plans: None) -> None:
    assert Plan.objects.get(slug="core").monthly_price_cents == 900
    Plan.objects.all().delete()
    seed_catalogue(with_demo_prices=False)
    assert set(Plan.objects.values_list("monthly_price_cents", flat=True)) == {None}


def test_a_second_start_changes_nothing(plans: None) -> None:
    before = list(Plan.objects.values()), list(Meter.objects.values()), list(Pack.objects.values())
    version = QuotaPolicy.objects.get().version
    seed_catalogue(with_demo_prices=True)
    after = list(Plan.objects.values()), list(Meter.objects.values()), list(Pack.objects.values())
    assert after == before
    assert QuotaPolicy.objects.get().version == version


def test_what_an_admin_changed_stays_after_a_second_start(plans: None) -> None:
    Plan.objects.filter(slug="free").update(weekly_cap=10, name="Hobby")
    Plan.objects.filter(slug="teams").delete()
    Meter.objects.filter(slug="images").update(chats=4)
    Pack.objects.update(weekly_cap=9000)
    QuotaPolicy.objects.update(credits_per_chat=3)
    Plan.objects.get(slug="plus").packs.clear()
    seed_catalogue(with_demo_prices=True)
    assert Plan.objects.filter(slug="free", weekly_cap=10, name="Hobby").exists()
    assert not Plan.objects.filter(slug="teams").exists()
    assert Meter.objects.get(slug="images").chats == 4
    assert Pack.objects.get().weekly_cap == 9000
    assert QuotaPolicy.objects.get().credits_per_chat == 3
    assert not Plan.objects.get(slug="plus").packs.exists()
