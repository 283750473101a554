"""Which models are offered, where they are asked, and what the database refuses."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from quotas.models.offer import AIModel, Provider
from quotas.models.plans import CannotRemove, Meter, Plan
from quotas.offer import OfferedModel, offered
from quotas.seed import seed_catalogue

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plans")]

HOUSE = "http://models.example/v1"


@pytest.fixture(autouse=True)
def _demo(settings: Settings) -> None:
    """Nothing is said by the environment, unless a test says it."""
    settings.MODEL_BASE_URL = settings.MODEL_API_KEY = ""
    settings.MODEL_NAME = settings.MODEL_IMAGE_NAME = settings.MODEL_VOICE_NAME = ""


def provider(**fields: Any) -> Provider:
    return Provider.objects.create(**{"name": "Elsewhere", **fields})


def model(name: str = "mine", **fields: Any) -> AIModel:
    if "provider" not in fields:
        fields["provider"] = Provider.objects.get(name="House")
    return AIModel.objects.create(name=name, **fields)


def offered_as(name: str) -> OfferedModel | None:
    return next((each for each in offered() if each.name == name), None)


def asked(name: str) -> tuple[str, str, str, bool] | None:
    """Where and as what a model is asked, by which key, and whether it is the demo."""
    found = offered_as(name)
    if found is None:
        return None
    return found.base_url, found.key_variable, found.name_at_provider, found.is_demo


# --- the first models -------------------------------------------------------------------------


def test_a_first_start_offers_one_demo_for_each_endpoint_for_one_unit_to_every_plan() -> None:
    assert [(each.endpoint, each.name) for each in offered()] == [
        ("chat", "sansxel-chat"),
        ("images", "sansxel-image"),
        ("voice", "sansxel-voice"),
    ]
    assert {(each.units, each.plans, each.is_demo) for each in offered()} == {(1, None, True)}


def test_models_that_an_admin_deleted_do_not_come_back() -> None:
    AIModel.objects.all().delete()
    Provider.objects.all().delete()
    seed_catalogue(with_demo_prices=True)
    assert not Provider.objects.exists()


def test_what_an_admin_changed_of_the_first_models_stays() -> None:
    AIModel.objects.filter(name="sansxel-chat").update(name="talker", units=3)
    seed_catalogue(with_demo_prices=True)
    assert set(AIModel.objects.values_list("name", "units")) == {
        ("talker", 3),
        ("sansxel-image", 1),
        ("sansxel-voice", 1),
    }


# --- what is offered --------------------------------------------------------------------------


def test_a_model_says_all_that_the_api_needs() -> None:
    server = provider(base_url="https://api.example/v1/", key_variable="MODEL_EXAMPLE_KEY")
    mine = model(
        provider=server,
        endpoint="images",
        name_at_provider="big picture",
        units=25,
        for_all_plans=False,
        description="Large.",
        created_at=datetime(2026, 11, 28, tzinfo=UTC),
    )
    mine.plans.set(Plan.objects.filter(slug__in=["plus", "pro"]))
    assert offered_as("mine") == OfferedModel(
        name="mine",
        endpoint="images",
        units=25,
        chats=25,
        plans=frozenset({"plus", "pro"}),
        plan_names="Plus, Pro",
        base_url="https://api.example/v1",
        key_variable="MODEL_EXAMPLE_KEY",
        name_at_provider="big picture",
        is_demo=False,
        description="Large.",
        created=1_795_824_000,
    )


def test_models_stand_by_endpoint_then_position_then_name() -> None:
    for name, endpoint, position in [("b", "chat", 0), ("z", "chat", 7), ("a", "chat", 7)]:
        model(name, endpoint=endpoint, position=position)
    model("first", endpoint="voice")
    names = [each.name for each in offered()]
    assert names == ["b", "sansxel-chat", "a", "z", "sansxel-image", "first", "sansxel-voice"]


def test_a_model_that_is_not_offered_is_not_there() -> None:
    AIModel.objects.filter(name="sansxel-image").update(is_offered=False)
    assert offered_as("sansxel-image") is None


def test_a_model_without_a_meter_to_count_it_is_not_there() -> None:
    Meter.objects.get(slug="voice").delete()
    assert [each.endpoint for each in offered()] == ["chat", "images"]


def test_deleting_the_last_plan_of_a_model_opens_it_to_nobody() -> None:
    mine = model(for_all_plans=False)
    mine.plans.set(Plan.objects.filter(slug__in=["core", "teams"]))
    Plan.objects.get(slug="teams").delete()
    assert offered_as("mine").plans == {"core"}  # type: ignore[union-attr]
    Plan.objects.get(slug="core").delete()
    assert offered_as("mine").plans == frozenset()  # type: ignore[union-attr]


def test_a_model_for_all_plans_is_for_those_that_come_later() -> None:
    Plan.objects.create(slug="later", name="Later")
    assert offered_as("sansxel-chat").plans is None  # type: ignore[union-attr]


def test_thirty_models_of_ten_providers_are_read_by_two_queries() -> None:
    for number in range(10):
        server = provider(name=f"server {number}", base_url=HOUSE)
        for endpoint in AIModel.Endpoint:
            made = model(
                f"model-{number}",
                provider=server,
                endpoint=endpoint,
                name_at_provider="x",
                for_all_plans=False,
            )
            made.plans.set(Plan.objects.all())
    with CaptureQueriesContext(connection) as asked_for:
        assert len(offered()) == 33
    assert len(asked_for) == 2


# --- what is left empty -----------------------------------------------------------------------


def test_an_empty_provider_is_the_demo_where_no_server_is_named() -> None:
    assert asked("sansxel-chat") == ("", "", "", True)


def test_the_demo_is_sent_no_key_whatever_is_set(settings: Settings) -> None:
    settings.MODEL_API_KEY = "secret"
    Provider.objects.update(key_variable="MODEL_OTHER_KEY")
    assert asked("sansxel-chat") == ("", "", "", True)


def test_an_empty_provider_is_the_server_of_the_house(settings: Settings) -> None:
    settings.MODEL_BASE_URL = HOUSE
    settings.MODEL_NAME, settings.MODEL_IMAGE_NAME = "talks", "paints"
    settings.MODEL_VOICE_NAME = "speaks"
    assert asked("sansxel-chat") == (HOUSE, "MODEL_API_KEY", "talks", False)
    assert asked("sansxel-image") == (HOUSE, "MODEL_API_KEY", "paints", False)
    assert asked("sansxel-voice") == (HOUSE, "MODEL_API_KEY", "speaks", False)


def test_a_house_without_a_model_for_an_endpoint_offers_none(settings: Settings) -> None:
    settings.MODEL_BASE_URL, settings.MODEL_NAME = HOUSE, "talks"
    assert [each.name for each in offered()] == ["sansxel-chat"]
    AIModel.objects.filter(name="sansxel-voice").update(name_at_provider="tts")
    assert [each.name for each in offered()] == ["sansxel-chat", "sansxel-voice"]


def test_the_server_of_the_house_may_have_a_key_of_another_name(settings: Settings) -> None:
    settings.MODEL_BASE_URL, settings.MODEL_NAME = HOUSE, "talks"
    Provider.objects.update(key_variable="MODEL_OTHER_KEY")
    assert asked("sansxel-chat") == (HOUSE, "MODEL_OTHER_KEY", "talks", False)


def test_a_provider_with_an_address_gets_no_key_of_the_house(settings: Settings) -> None:
    settings.MODEL_BASE_URL, settings.MODEL_API_KEY = HOUSE, "secret"
    model(provider=provider(base_url="http://ollama:11434/v1"), name_at_provider="llama")
    assert asked("mine") == ("http://ollama:11434/v1", "", "llama", False)


def test_a_model_elsewhere_without_a_name_is_asked_by_that_of_the_house_or_not_at_all(
    settings: Settings,
) -> None:
    model(provider=provider(base_url="http://ollama:11434/v1"))
    assert asked("mine") is None
    settings.MODEL_NAME = "talks"
    assert asked("mine") == ("http://ollama:11434/v1", "", "talks", False)


# --- what is refused --------------------------------------------------------------------------

ADDRESSES = [
    "ftp://example.com",
    "javascript:alert(1)",
    "example.com/v1",
    "http://",
    "http:///v1",
    "https://user:secret@example.com/v1",
    "https://example.com/v1?key=secret",
    "https://example.com/v1#here",
    "https://example.com/v 1",
    "https://example.com/v1\n",
]
KEY_VARIABLES = [
    "SECRET_KEY",
    "KEY_PEPPERS",
    "STRIPE_SECRET_KEY",
    "MODEL_",
    "model_api_key",
    "MODEL_API-KEY",
    "XMODEL_API_KEY",
    "MODEL_API_KEY\n",
    " MODEL_API_KEY",
]
NAMES = ["", "-x", ".x", "a b", "ä", "a\n", "x" * 129, "a\\b", "a?b"]
NAMES_AT_PROVIDER = [" x", "x ", "x\n", "a\tb", "ä"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("base_url", value) for value in ADDRESSES),
        *(("key_variable", value) for value in KEY_VARIABLES),
    ],
)
def test_a_provider_that_nobody_should_ask_is_refused_by_form_and_database(
    field: str, value: str
) -> None:
    refused = Provider(name="Elsewhere", **{field: value})
    with pytest.raises(ValidationError) as words:
        refused.full_clean()
    assert set(words.value.message_dict) == {field}
    with pytest.raises(IntegrityError, match="provider_"), transaction.atomic():
        refused.save()


@pytest.mark.parametrize("value", ["https://example.com:99999", "http://[::1", "http://a:b/v1"])
def test_an_address_that_only_looks_like_one_is_refused_with_words(value: str) -> None:
    with pytest.raises(ValidationError, match="An address begins with"):
        Provider(name="Elsewhere", base_url=value).full_clean()


@pytest.mark.parametrize(
    "value",
    ["http://ollama:11434/v1", "https://api.example.com", "http://[::1]:8080/v1", "http://a/b/"],
)
def test_addresses_of_every_network_are_accepted(value: str) -> None:
    Provider(name="Elsewhere", base_url=value, key_variable="MODEL_X").full_clean()
    provider(base_url=value, key_variable="MODEL_X")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in NAMES if len(value) <= 128),
        *(("name_at_provider", value) for value in NAMES_AT_PROVIDER),
        ("endpoint", "video"),
        ("units", 0),
        ("units", 10_001),
    ],
)
def test_a_model_out_of_bounds_is_refused_by_form_and_database(field: str, value: Any) -> None:
    fields = {"name": "mine", "provider": Provider.objects.get(), field: value}
    with pytest.raises(ValidationError) as words:
        AIModel(**fields).full_clean()
    assert set(words.value.message_dict) == {field}
    with pytest.raises(IntegrityError, match="ai_model_"), transaction.atomic():
        AIModel(**fields).save()


@pytest.mark.parametrize("name", ["gpt-4o", "meta-llama/Llama-3.3:free", "7", "x" * 128])
def test_names_that_are_usual_are_accepted(name: str) -> None:
    AIModel(name=name, provider=Provider.objects.get(), units=10_000).full_clean()
    assert model(name, units=10_000, name_at_provider="a b").pk


def test_a_name_stands_for_one_model_of_each_endpoint() -> None:
    model("sansxel-chat", endpoint="voice")
    with pytest.raises(IntegrityError, match="ai_model_one_name"), transaction.atomic():
        model("sansxel-chat", endpoint="chat")


def other_sql(statement: str) -> Callable[[], None]:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    return run


@pytest.mark.parametrize(
    ("remove", "error"),
    [
        (lambda: Provider.objects.get().delete(), CannotRemove),
        (lambda: Provider.objects.all().delete(), IntegrityError),
        (other_sql("DELETE FROM quotas_provider"), IntegrityError),
    ],
)
def test_a_provider_that_models_need_stays(
    remove: Callable[[], object], error: type[Exception]
) -> None:
    with pytest.raises(error), transaction.atomic():
        remove()
    assert Provider.objects.exists()


def test_a_provider_without_models_can_be_deleted() -> None:
    provider().delete()
    assert [each.name for each in Provider.objects.all()] == ["House"]
