"""Which models a customer may name, and what they cost."""

import pytest

from tests.api.conftest import Api, offered


def test_a_model_costs_what_it_says(api: Api) -> None:
    api.models = [offered("large", units=5)]
    assert api.chat().status_code == 200
    assert api.used == 5


def test_without_a_name_the_first_that_the_plan_may_use_is_asked(api: Api) -> None:
    api.models = [
        offered("of-plus", plans=frozenset({"plus"}), units=9),
        offered("of-free", plans=frozenset({"free"}), units=2),
        offered("of-all", units=3),
    ]
    assert api.complete().json()["model"] == "of-free"


def test_only_a_model_that_is_offered_can_be_named(api: Api) -> None:
    answer = api.chat(model="hause")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
    assert "Did you mean “house”?" in answer.json()["detail"]
    assert api.chat(model="picture").status_code == 404
    assert api.model_server.requests == []
    assert api.used == 0


def test_a_model_of_another_plan_is_not_permitted(api: Api) -> None:
    api.models = [offered("of-plus", plans=frozenset({"plus"}))]
    named = api.chat(model="of-plus")
    assert (named.status_code, named.json()["code"]) == (403, "not_permitted")
    assert api.chat().status_code == 403
    assert api.used == 0


def test_the_list_has_what_the_key_may_use(api: Api) -> None:
    api.models = [
        offered("small", chats=1, description="Quick.", created_at=1_700_000_000),
        offered("of-plus", plans=frozenset({"plus"})),
        offered("picture", endpoint="images", chats=4),
    ]
    answer = api.request(method="GET", path="/api/v1/models").json()
    assert answer["object"] == "list"
    assert [model["id"] for model in answer["data"]] == ["small", "picture"]
    assert answer["data"][0] == {
        "id": "small",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "sansxel",
        "endpoint": "chat",
        "chats": 1,
        "description": "Quick.",
    }
    assert api.used == 0


def test_a_key_for_some_endpoints_sees_only_their_models(api: Api) -> None:
    api.world.grant(keys=(api.world.key_state(version=2, scopes=("images",)),))
    answer = api.request(method="GET", path="/api/v1/models").json()
    assert [model["id"] for model in answer["data"]] == ["picture"]
    assert api.chat().status_code == 403


def test_a_key_of_some_models_sees_and_asks_only_those(api: Api) -> None:
    api.models = [offered("small"), offered("big"), offered("picture", endpoint="images", chats=4)]
    api.world.grant(keys=(api.world.key_state(version=2, models=("big",)),))
    answer = api.request(method="GET", path="/api/v1/models").json()
    assert [model["id"] for model in answer["data"]] == ["big"]
    # Without a name it is one that the key may ask.
    assert api.complete().json()["model"] == "big"
    used = api.used
    for refused in (api.chat(model="small"), api.chat(model="small", stream=True)):
        assert (refused.status_code, refused.json()["code"]) == (403, "model_not_permitted")
        assert "the model “small”" in refused.json()["detail"]
    assert api.chat(model="big").status_code == 200
    assert api.used == used + 1


def test_an_endpoint_without_any_of_the_models_of_a_key_is_refused_there(api: Api) -> None:
    api.models = [offered("small"), offered("big")]
    api.world.grant(keys=(api.world.key_state(version=2, models=("elsewhere",)),))
    refused = api.chat()
    assert (refused.status_code, refused.json()["code"]) == (403, "model_not_permitted")
    assert "the model “small”" in refused.json()["detail"]
    assert api.used == 0


@pytest.mark.parametrize(("name", "status"), [("house", 200), ("a/b:c", 200), ("none", 404)])
def test_one_model_can_be_looked_at(api: Api, name: str, status: int) -> None:
    api.models = [offered("house"), offered("a/b:c")]
    answer = api.request(method="GET", path=f"/api/v1/models/{name}")
    assert answer.status_code == status
    assert answer.json().get("id", name) == name


def test_models_need_a_key(api: Api) -> None:
    assert api.request(method="GET", path="/api/v1/models", key="sk_x").status_code == 401
