"""Plans, packs and prices as people read and type them: dollars, lines, “Unlimited”."""

import pytest
from django.test import Client

from quotas.models.plans import Pack, Plan, QuotaPolicy
from tests.quotas.forms_of_the_admin import filled_in, refused, saved

pytestmark = pytest.mark.django_db(transaction=True)


def page_of(plan: Plan) -> str:
    return f"/admin/quotas/plan/{plan.pk}/change/"


@pytest.fixture
def free(plans: None) -> Plan:
    """The default plan."""
    return Plan.objects.get(slug="free")


def test_a_monthly_price_is_typed_in_dollars(free: Plan, admin_client: Client) -> None:
    for typed, cents in (("19.50", 1950), ("", None), ("$1,200", 120_000)):
        saved(admin_client, page_of(free), monthly_price_cents=typed)
        free.refresh_from_db()
        assert free.monthly_price_cents == cents
    assert "Write an amount in USD" in refused(
        admin_client, page_of(free), monthly_price_cents="5,50"
    )


def test_features_are_typed_one_a_line(free: Plan, admin_client: Client) -> None:
    free.features = ["50 chats", "As many keys as you need"]
    free.save()
    form = filled_in(admin_client, page_of(free))
    page = admin_client.get(page_of(free)).content.decode()
    assert "50 chats\nAs many keys as you need" in page
    form["features"] = "  One \r\n\r\nTwo, “quoted” [and] {more}\n"
    assert admin_client.post(page_of(free), form).status_code == 302
    free.refresh_from_db()
    assert free.features == ["One", "Two, “quoted” [and] {more}"]
    saved(admin_client, page_of(free), features="")
    free.refresh_from_db()
    assert free.features == []


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("fine\n" + "x" * 121, "Line 2 has 121 characters; 120 fit."),
        ("x\n" * 21, "Write at most 20 lines, not 21."),
    ],
)
def test_features_that_do_not_fit_are_refused_in_words(
    free: Plan, admin_client: Client, typed: str, words: str
) -> None:
    assert words in refused(admin_client, page_of(free), features=typed)


def test_a_saved_plan_that_was_not_touched_stays_what_it_is(
    free: Plan, admin_client: Client
) -> None:
    before = Plan.objects.values().get(pk=free.pk)
    form = filled_in(admin_client, page_of(free))
    form["features"] = "\n".join(free.features)
    admin_client.post(page_of(free), form)
    assert Plan.objects.values().get(pk=free.pk) == before


def test_no_cap_reads_unlimited_and_no_price_contact_us(free: Plan, admin_client: Client) -> None:
    Plan.objects.update(weekly_cap=None, monthly_price_cents=None)
    Pack.objects.update(weekly_cap=None)
    plans = admin_client.get("/admin/quotas/plan/").content.decode()
    assert '<td class="field-cap">Unlimited</td>' in plans
    assert '<td class="field-price">Contact us</td>' in plans
    packs = admin_client.get("/admin/quotas/pack/").content.decode()
    assert '<td class="field-cap">Unlimited</td>' in packs
    assert 'placeholder="Unlimited"' in admin_client.get(page_of(free)).content.decode()


def test_how_quickly_its_accounts_may_ask_is_typed_and_listed(
    free: Plan, admin_client: Client
) -> None:
    page = page_of(free)
    assert '<td class="field-pace">Unlimited</td>' in listed(admin_client)
    saved(admin_client, page, requests_a_minute="1200", requests_at_once="1")
    free.refresh_from_db()
    assert (free.requests_a_minute, free.requests_at_once) == (1200, 1)
    words = "1,200 requests a minute, 1 request at once"
    assert f'<td class="field-pace">{words}</td>' in listed(admin_client)
    assert "Give 1 or more." in refused(admin_client, page, requests_a_minute="0")
    assert "Give 1000 or less." in refused(admin_client, page, requests_at_once="1001")
    saved(admin_client, page, requests_a_minute="", requests_at_once="")
    free.refresh_from_db()
    assert (free.requests_a_minute, free.requests_at_once) == (None, None)


def listed(admin_client: Client) -> str:
    return admin_client.get("/admin/quotas/plan/").content.decode()


def test_the_price_of_a_chat_stands_where_prices_are(free: Plan, admin_client: Client) -> None:
    policy = QuotaPolicy.objects.get()
    page = f"/admin/quotas/quotapolicy/{policy.pk}/change/"
    saved(admin_client, page, credits_per_chat="0.03")
    for name in ("quotas/plan", "quotas/meter", "billing/product"):
        shown = admin_client.get(f"/admin/{name}/").content.decode()
        assert "costs $0.03, which is 3 credits." in shown
        assert f'href="{page}"' in shown
    assert "It must be at least $0.01." in refused(admin_client, page, credits_per_chat="0")
