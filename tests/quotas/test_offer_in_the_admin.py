"""Models and their providers in the admin: what is seen, changed, refused and remembered."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from quotas.models.offer import AIModel, Provider
from quotas.models.plans import Meter, Plan
from quotas.offer import offered
from tests.quotas.forms_of_the_admin import filled_in, refused, saved

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plans", "collected_static_files")]

MODELS = "/admin/quotas/aimodel/"
PROVIDERS = "/admin/quotas/provider/"
QUERIES_AT_MOST = 10


@pytest.fixture(autouse=True)
def _demo(settings: Settings) -> None:
    """Nothing is said by the environment, unless a test says it."""
    settings.MODEL_BASE_URL = settings.MODEL_API_KEY = ""
    settings.MODEL_NAME = settings.MODEL_IMAGE_NAME = settings.MODEL_VOICE_NAME = ""


def model(name: str = "sansxel-chat") -> AIModel:
    return AIModel.objects.get(name=name)


def house() -> Provider:
    return Provider.objects.get(name="House")


def page_of(row: AIModel | Provider) -> str:
    return f"/admin/quotas/{row._meta.model_name}/{row.pk}/change/"


def row_of(page: str, name: str) -> list[str]:
    """What a list says of one row, cell by cell; inputs by their value."""
    (row,) = [row for row in re.findall("<tr>.*?</tr>", page, re.DOTALL) if f">{name}</a>" in row]
    cells = re.findall(r"<t[dh] class=\"field-.*?</t[dh]>", row, re.DOTALL)
    shown = [re.sub(r'<(?:input[^>]*value|img[^>]*alt)="([^"]*)"[^>]*>', r"\1", c) for c in cells]
    return [re.sub("<[^>]*>", "", cell).strip() for cell in shown]


# --- lists ------------------------------------------------------------------------------------


def test_the_list_says_what_a_call_costs_who_answers_and_who_may_ask(
    admin_client: Client,
) -> None:
    Meter.objects.filter(slug="images").update(chats=4)
    AIModel.objects.filter(name="sansxel-image").update(units=300, for_all_plans=False)
    model("sansxel-image").plans.set(Plan.objects.filter(slug__in=["plus", "pro"]))
    page = admin_client.get(MODELS).content.decode()
    demo = "House: Built-in demo"
    assert row_of(page, "sansxel-image")[1:] == [
        *("Images", "0", demo, "1,200", "Plus, Pro", "True"),
    ]
    assert row_of(page, "sansxel-chat")[1:] == ["Chat", "0", demo, "1", "All", "True"]


def test_a_model_that_is_not_offered_says_why(admin_client: Client, settings: Settings) -> None:
    settings.MODEL_BASE_URL, settings.MODEL_NAME = "http://models.example/v1", "talks"
    AIModel.objects.filter(name="sansxel-chat").update(for_all_plans=False)
    Meter.objects.get(slug="images").delete()
    page = admin_client.get(MODELS).content.decode()
    assert "MODEL_VOICE_NAME is not set" in row_of(page, "sansxel-voice")[3]
    assert "there is no meter “images”" in row_of(page, "sansxel-image")[4]
    assert row_of(page, "sansxel-chat")[3] == "House: talks"
    assert row_of(page, "sansxel-chat")[5] == "Nobody"
    assert "MODEL_VOICE_NAME is not set" in (
        admin_client.get(page_of(model("sansxel-voice"))).content.decode()
    )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=image", {"sansxel-image"}),
        ("q=gpt-4o", {"mine"}),
        ("q=Elsewhere", {"mine", "stopped"}),
        ("endpoint__exact=voice", {"sansxel-voice", "stopped"}),
        ("is_offered__exact=0", {"stopped"}),
        ("plans=all", {"sansxel-chat", "sansxel-image", "sansxel-voice"}),
        ("plans=some", {"mine"}),
        ("plans=none", {"stopped"}),
        ("plans=nonsense", {"sansxel-chat", "sansxel-image", "sansxel-voice", "mine", "stopped"}),
    ],
)
def test_models_are_found(admin_client: Client, query: str, names: set[str]) -> None:
    elsewhere = Provider.objects.create(name="Elsewhere", base_url="http://elsewhere/v1")
    fields = {"provider": elsewhere, "for_all_plans": False}
    mine = AIModel.objects.create(name="mine", name_at_provider="gpt-4o-mini", **fields)
    mine.plans.set(Plan.objects.filter(slug__in=["core", "plus"]))
    AIModel.objects.create(name="stopped", endpoint="voice", is_offered=False, **fields)
    found = admin_client.get(f"{MODELS}?{query}").context["cl"].result_list
    assert sorted(each.name for each in found) == sorted(names)


def test_the_list_of_providers_says_where_by_which_key_and_for_how_many_models(
    admin_client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODEL_API_KEY", raising=False)
    monkeypatch.setenv("MODEL_THERE_KEY", "secret")
    there = {"base_url": "https://there.example/v1", "key_variable": "MODEL_THERE_KEY"}
    Provider.objects.create(name="There", **there)
    page = admin_client.get(PROVIDERS).content.decode()
    assert row_of(page, "House")[1:] == ["Built-in demo", "No key", "3"]
    assert row_of(page, "There")[1:] == [*there.values(), "0"]
    settings.MODEL_BASE_URL = "http://house.example/v1"
    page = admin_client.get(PROVIDERS).content.decode()
    assert row_of(page, "House")[1:] == [
        *("http://house.example/v1 (MODEL_BASE_URL)", "MODEL_API_KEY (not set)", "3"),
    ]


@pytest.mark.parametrize("query", ["q=there.example", "q=MODEL_THERE", "base_url__isempty=0"])
def test_providers_are_found(admin_client: Client, query: str) -> None:
    there = {"base_url": "https://there.example/v1", "key_variable": "MODEL_THERE_KEY"}
    Provider.objects.create(name="There", **there)
    found = admin_client.get(f"{PROVIDERS}?{query}").context["cl"].result_list
    assert [each.name for each in found] == ["There"]


@pytest.fixture
def more() -> Callable[[int], None]:
    """More of everything that these pages show."""

    def adding(count: int) -> None:
        for number in range(count):
            server = Provider.objects.create(name=f"server {Provider.objects.count()}")
            plan = Plan.objects.create(slug=f"{server.pk}", name=server.name, position=number)
            made = AIModel.objects.create(
                name=f"m{server.pk}", provider=server, for_all_plans=False
            )
            made.plans.set(Plan.objects.all())
            model().plans.add(plan)

    return adding


@pytest.mark.parametrize("name", ["models", "model", "new model", "providers", "provider"])
def test_a_page_asks_as_often_for_many_as_for_few(
    admin_client: Client, more: Callable[[int], None], name: str
) -> None:
    address = {
        "models": MODELS,
        "model": page_of(model()),
        "new model": f"{MODELS}add/",
        "providers": PROVIDERS,
        "provider": page_of(house()),
    }[name]

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert admin_client.get(address).status_code == 200
        return len(asked)

    more(1)
    # What Django remembers of its own is asked once in the life of a process.
    queries()
    few = queries()
    more(20)
    assert queries() == few
    assert few <= QUERIES_AT_MOST


# --- changes ----------------------------------------------------------------------------------


def added(client: Client, **fields: Any) -> None:
    saved(client, f"{MODELS}add/", name="mine", provider=house().pk, **fields)


def test_a_model_that_is_added_is_offered_to_the_plans_that_were_chosen(
    admin_client: Client,
) -> None:
    plus = Plan.objects.get(slug="plus")
    added(admin_client, for_all_plans=None, plans=[plus.pk], units=5)
    (mine,) = [each for each in offered() if each.name == "mine"]
    assert (mine.endpoint, mine.units, mine.plans) == ("chat", 5, frozenset({"plus"}))


def test_a_model_for_nobody_is_refused_with_words(admin_client: Client) -> None:
    page = refused(admin_client, page_of(model()), for_all_plans=None)
    assert "Choose who may use it: plans, or all of them." in page
    assert model().for_all_plans


def test_a_model_for_all_and_for_some_is_refused_with_words(admin_client: Client) -> None:
    plus = Plan.objects.get(slug="plus")
    page = refused(admin_client, page_of(model()), plans=[plus.pk])
    assert "Untick this, or choose no plan" in page
    assert not model().plans.exists()


def test_a_second_model_of_the_same_name_is_refused_with_words(admin_client: Client) -> None:
    page = refused(admin_client, f"{MODELS}add/", name="sansxel-chat", provider=house().pk)
    assert "Model with this Endpoint and Name already exists." in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "two words", "A name begins with a letter or digit"),
        ("units", 0, "Give 1 or more."),
        ("units", 10_001, "Give 10000 or less."),
        ("provider", "", "Fill this in."),
        ("position", -1, "Give 0 or more."),
    ],
)
def test_a_model_out_of_bounds_is_refused_with_words(
    admin_client: Client, field: str, value: Any, words: str
) -> None:
    assert words in refused(admin_client, page_of(model()), **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("key_variable", "SECRET_KEY", "It must begin with MODEL_"),
        ("base_url", "ftp://there.example", "An address begins with http://"),
        ("base_url", "http://there:0", "An address begins with http://"),
        ("name", "", "Fill this in."),
    ],
)
def test_a_provider_out_of_bounds_is_refused_with_words(
    admin_client: Client, field: str, value: str, words: str
) -> None:
    assert words in refused(admin_client, page_of(house()), **{field: value})


def test_which_is_asked_first_is_changed_in_the_list(admin_client: Client) -> None:
    AIModel.objects.create(name="another", provider=house())
    assert [each.name for each in offered()][:2] == ["another", "sansxel-chat"]
    rows = list(admin_client.get(MODELS).context["cl"].formset.forms)
    sent: dict[str, Any] = {"_save": "Save", "form-TOTAL_FORMS": 4, "form-INITIAL_FORMS": 4}
    for number, row in enumerate(rows):
        sent[f"form-{number}-id"] = row.instance.pk
        sent[f"form-{number}-position"] = 9 if row.instance.name == "another" else 0
    assert admin_client.post(MODELS, sent).status_code == 302
    assert [each.name for each in offered()][:2] == ["sansxel-chat", "another"]
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.get_change_message()) == ("another", "Changed Position.")


def test_selected_models_are_offered_no_more_and_again_and_it_is_kept_by_whom(
    admin_client: Client, admin_user: User
) -> None:
    AIModel.objects.filter(name="sansxel-voice").update(is_offered=False)
    everything = [each.pk for each in AIModel.objects.all()]

    def act(action: str) -> str:
        sent = {"action": action, "_selected_action": everything}
        return admin_client.post(MODELS, sent, follow=True).content.decode()

    assert "No longer offered. sansxel-chat, sansxel-image." in act("stop_offering")
    assert offered() == []
    assert "Nothing changed." in act("stop_offering")
    act("start_offering")
    assert len(offered()) == 3
    kept = [(e.user, e.object_repr, e.change_message) for e in LogEntry.objects.order_by("pk")]
    assert kept == [
        (admin_user, "sansxel-chat", "No longer offered."),
        (admin_user, "sansxel-image", "No longer offered."),
        (admin_user, "sansxel-chat", "Offered."),
        (admin_user, "sansxel-image", "Offered."),
        (admin_user, "sansxel-voice", "Offered."),
    ]
    history = admin_client.get(f"{MODELS}{model().pk}/history/").content.decode()
    assert "No longer offered." in history


def test_a_change_is_kept_with_who_made_it(admin_client: Client, admin_user: User) -> None:
    saved(admin_client, page_of(model()), units=2)
    saved(admin_client, page_of(house()), base_url="http://there.example/v1")
    kept = [(e.user, e.object_repr) for e in LogEntry.objects.order_by("pk")]
    assert kept == [(admin_user, "sansxel-chat"), (admin_user, "House")]


def test_a_provider_with_models_is_kept_with_a_sentence(admin_client: Client) -> None:
    for url, sent in [
        (f"{PROVIDERS}{house().pk}/delete/", {"post": "yes"}),
        (PROVIDERS, {"action": "delete_selected", "_selected_action": [house().pk], "post": "yes"}),
    ]:
        page = admin_client.post(url, sent).content.decode()
        assert "3 models are asked at House: move them to another provider first." in page
    assert Provider.objects.exists()


def test_a_provider_without_models_is_deleted(admin_client: Client) -> None:
    empty = Provider.objects.create(name="Empty")
    admin_client.post(f"{PROVIDERS}{empty.pk}/delete/", {"post": "yes"})
    assert [each.name for each in Provider.objects.all()] == ["House"]


# --- the key ----------------------------------------------------------------------------------

NOT_SET = "is not set in the environment of the process that shows this page"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_key_that_is_not_set_is_warned_of_when_it_is_saved_and_when_it_is_looked_at(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("MODEL_THERE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MODEL_THERE_KEY", value)
    there = {"base_url": "https://there.example/v1", "key_variable": "MODEL_THERE_KEY"}
    sent = {**filled_in(admin_client, f"{PROVIDERS}add/"), "name": "There", **there}
    page = admin_client.post(f"{PROVIDERS}add/", sent, follow=True).content.decode()
    assert f"MODEL_THERE_KEY {NOT_SET}" in page
    page = admin_client.get(page_of(Provider.objects.get(name="There"))).content.decode()
    assert page.count(f"MODEL_THERE_KEY {NOT_SET}") == 1


def test_a_key_that_is_set_is_warned_of_nowhere_and_shown_nowhere(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_THERE_KEY", "quite-a-secret")
    saved(
        admin_client,
        page_of(house()),
        base_url="https://there.example/v1",
        key_variable="MODEL_THERE_KEY",
    )
    for url in (PROVIDERS, page_of(house()), MODELS, page_of(model())):
        page = admin_client.get(url).content.decode()
        assert NOT_SET not in page
        assert "quite-a-secret" not in page


def test_the_demo_needs_no_key(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_API_KEY", raising=False)
    assert NOT_SET not in admin_client.get(page_of(house())).content.decode()


# --- who may only look ------------------------------------------------------------------------


@pytest.fixture
def reader_client(plans: None) -> Client:
    """Staff who may see models and providers, and change nothing."""
    reader = User.objects.create_user("reader@example.com", is_staff=True)
    names = ("view_aimodel", "view_provider")
    reader.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(reader)
    return client


def test_who_may_only_look_sees_all_and_changes_nothing(reader_client: Client) -> None:
    for url in (MODELS, PROVIDERS, page_of(model()), page_of(house())):
        page = reader_client.get(url).content.decode()
        assert 'name="_save"' not in page
        assert "stop_offering" not in page
    assert "Built-in demo" in reader_client.get(page_of(model())).content.decode()
    sent = {"action": "stop_offering", "_selected_action": [model().pk]}
    reader_client.post(MODELS, sent)
    assert reader_client.post(page_of(model()), {"name": "x"}).status_code == 403
    assert reader_client.post(f"{PROVIDERS}{house().pk}/delete/", {"post": 1}).status_code == 403
    assert len(offered()) == 3


def test_customers_do_not_get_in(owner_client: Client) -> None:
    for url in (MODELS, PROVIDERS, page_of(model()), f"{MODELS}add/"):
        assert owner_client.get(url).status_code == 302
