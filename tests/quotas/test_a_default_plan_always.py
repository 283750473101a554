"""A new account always has a plan to begin with: nothing can leave none, and the mark moves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from partitions.models import Partition
from quotas import catalogue, projection
from quotas.entitlements import plan_of
from quotas.models.plans import CannotRemove, Meter, Pack, Plan, QuotaPolicy
from quotas.seed import seed_catalogue
from tests import entitled
from tests.quotas.forms_of_the_admin import filled_in, post, saved

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("plans")]

PLANS = "/admin/quotas/plan/"


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def page_of(slug: str) -> str:
    return f"{PLANS}{plan(slug).pk}/change/"


def defaults() -> list[str]:
    return list(Plan.objects.filter(is_default=True).values_list("slug", flat=True))


# --- the mark moves ---------------------------------------------------------------------------


def test_choosing_another_plan_moves_the_mark_in_one_act(admin_client: Client) -> None:
    saved(admin_client, page_of("core"), is_default="on")
    assert defaults() == ["core"]
    user = User.objects.create_user("new@example.com")
    projection.entitlement_of(user.personal_account)
    assert plan_of(user.personal_account, at=timezone.now()).slug == "core"


def test_a_new_plan_may_be_the_default_from_the_start(admin_client: Client) -> None:
    saved(admin_client, f"{PLANS}add/", slug="hobby", name="Hobby", is_default="on")
    assert defaults() == ["hobby"]


def test_unticking_the_default_changes_nothing_and_the_page_says_why(admin_client: Client) -> None:
    page = admin_client.get(page_of("free")).content.decode()
    assert "Free is what new accounts begin with: make another plan the default first." in page
    saved(admin_client, page_of("free"), is_default=None, weekly_cap=49)
    assert defaults() == ["free"]
    assert plan("free").weekly_cap == 49


def test_a_page_that_was_opened_before_the_mark_moved_does_not_take_it_away(
    admin_client: Client,
) -> None:
    url = page_of("free")
    sent = filled_in(admin_client, url)
    saved(admin_client, page_of("core"), is_default="on")
    sent.pop("is_default")
    assert post(admin_client, url, sent).status_code == 302
    assert defaults() == ["core"]


def test_many_admins_who_choose_at_once_leave_one_default() -> None:
    def choose(slug: str) -> None:
        try:
            chosen = plan(slug)
            chosen.is_default = True
            chosen.save()
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(choose, ["free", "core", "plus", "pro", "teams", "enterprise"] * 3))
    assert len(defaults()) == 1


# --- and is never lost ------------------------------------------------------------------------


def test_deleting_the_default_is_refused_with_a_sentence(admin_client: Client) -> None:
    url = f"{PLANS}{plan('free').pk}/delete/"
    for answer in (admin_client.get(url), admin_client.post(url, {"post": "yes"})):
        page = answer.content.decode()
        assert "make another plan the default first" in page
    assert defaults() == ["free"]


@pytest.mark.parametrize("slugs", [["free"], ["free", "core"], ["free", "core", "plus", "pro"]])
def test_deleting_the_default_among_others_deletes_none(
    admin_client: Client, slugs: list[str]
) -> None:
    selected = [plan(slug).pk for slug in slugs]
    sent = {"action": "delete_selected", "_selected_action": selected, "post": "yes"}
    page = admin_client.post(PLANS, sent).content.decode()
    assert "make another plan the default first" in page
    assert Plan.objects.count() == 6


def test_deleting_it_in_code_is_refused_with_a_sentence() -> None:
    with pytest.raises(CannotRemove, match="make another plan the default first"):
        plan("free").delete()
    assert defaults() == ["free"]


def everything_deleted() -> None:
    Plan.objects.all().delete()


def one_deleted() -> None:
    Plan.objects.filter(is_default=True).delete()


def unmarked_in_bulk() -> None:
    Plan.objects.update(is_default=False)


def unmarked_in_code() -> None:
    free = plan("free")
    free.is_default = False
    free.save()


def unmarked_in_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE quotas_plan SET is_default = false")


@pytest.mark.parametrize(
    "lose", [everything_deleted, one_deleted, unmarked_in_bulk, unmarked_in_code, unmarked_in_sql]
)
def test_the_database_refuses_whatever_leaves_none(lose: Callable[[], None]) -> None:
    with (
        pytest.raises(IntegrityError, match="one plan must be the default"),
        transaction.atomic(),
    ):
        lose()
    assert defaults() == ["free"]


@pytest.mark.parametrize(
    "remove",
    [
        lambda: QuotaPolicy.objects.all().delete(),
        lambda: Partition.objects.filter(index=3).delete(),
        lambda: Meter.objects.filter(slug="chat").delete(),
        lambda: Meter.objects.filter(slug="chat").update(slug="talk"),
    ],
)
def test_rows_that_nothing_works_without_stay(remove: Callable[[], object]) -> None:
    with pytest.raises(IntegrityError, match="must stay"), transaction.atomic():
        remove()


def test_the_meter_that_the_api_asks_for_is_kept_with_a_sentence(admin_client: Client) -> None:
    meters = "/admin/quotas/meter/"
    chat, voice = Meter.objects.get(slug="chat"), Meter.objects.get(slug="voice")
    page = admin_client.post(f"{meters}{chat.pk}/delete/", {"post": "yes"}).content.decode()
    assert "Chat is what the API asks for" in page
    admin_client.post(f"{meters}{voice.pk}/delete/", {"post": "yes"})
    assert set(Meter.objects.values_list("slug", flat=True)) == {"chat", "images"}
    with pytest.raises(IntegrityError, match="must stay"), transaction.atomic():
        Meter.objects.filter(slug="chat").update(slug="talk")


def test_a_pack_that_was_ever_on_is_kept_with_a_sentence(admin_client: Client, owner: User) -> None:
    pack, unused = Pack.objects.get(), Pack.objects.create(slug="unused", name="Unused")
    entitled.move_to_plan(owner.personal_account, "plus")
    entitled.switch_pack(owner.personal_account, pack, on=True)
    entitled.switch_pack(owner.personal_account, pack, on=False)
    delete = f"/admin/quotas/pack/{pack.pk}/delete/"
    page = admin_client.post(delete, {"post": "yes"}).content.decode()
    assert "is or was on in 1 account" in page
    admin_client.post(f"/admin/quotas/pack/{unused.pk}/delete/", {"post": "yes"})
    assert list(Pack.objects.all()) == [pack]


def test_a_plan_that_somebody_has_or_had_is_kept_and_one_that_nobody_had_goes(
    admin_client: Client, owner: User
) -> None:
    entitled.move_to_plan(owner.personal_account, "core")
    entitled.move_to_plan(owner.personal_account, "plus")
    for slug in ("core", "plus", "teams"):
        admin_client.post(f"{PLANS}{plan(slug).pk}/delete/", {"post": "yes"})
    page = admin_client.get(f"{PLANS}{plan('core').pk}/delete/").content.decode()
    assert "1 account has or had Core" in page
    assert Plan.objects.filter(slug="plus").exists()
    assert not Plan.objects.filter(slug="teams").exists()


# --- an installation that has none ------------------------------------------------------------


def _lose_it_behind_the_triggers_back() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE quotas_plan DISABLE TRIGGER plan_default_always")
        cursor.execute("UPDATE quotas_plan SET is_default = false")
        cursor.execute("ALTER TABLE quotas_plan ENABLE TRIGGER plan_default_always")


@pytest.mark.parametrize(("gone", "expected"), [((), "free"), (("free",), "core")])
def test_preparing_an_installation_without_a_default_marks_the_plan_that_gives_least(
    gone: tuple[str, ...], expected: str
) -> None:
    _lose_it_behind_the_triggers_back()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE quotas_plan DISABLE TRIGGER plan_default_always")
        Plan.objects.filter(slug__in=gone).delete()
        cursor.execute("ALTER TABLE quotas_plan ENABLE TRIGGER plan_default_always")
    assert defaults() == []
    seed_catalogue(with_demo_prices=True)
    assert defaults() == [expected]
    assert catalogue.default_plan().slug == expected


def test_preparing_brings_back_the_rows_that_nothing_works_without() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE quotas_quotapolicy, accounts_partition")
    seed_catalogue(with_demo_prices=True)
    assert QuotaPolicy.objects.count() == 1
    assert Partition.objects.count() == 64
