"""A key may be bound to some models: what it asks besides is refused before anything is charged."""

from typing import Any

import pytest

from gate.service.refusals import refusal
from gate.terms.pace import Pace
from tests.gate.world import World


def bound_to(world: World, *models: str, **more: Any) -> None:
    world.grant(keys=(world.key_state(version=2, models=models, **more),))


async def test_a_model_that_the_key_names_passes_and_another_is_named(world: World) -> None:
    bound_to(world, "small-1", "org/big.2:latest")
    async with world.gate() as gate:
        for model in ("small-1", "org/big.2:latest"):
            assert (await gate.check(model=model)).allowed
        refused = await gate.check(model="small")
        assert (refused.allowed, refused.reason) == (False, "model_not_permitted")
        problem = refusal(refused, billing_url="https://x/account/billing")
        assert (problem.status, problem.code) == (403, "model_not_permitted")
        assert problem.body().detail.startswith("This key may not ask for the model “small”.")
        assert (await gate.check(units=0)).answer.used == 2


async def test_what_nobody_names_is_none_of_them(world: World) -> None:
    bound_to(world, "small-1")
    async with world.gate() as gate:
        refused = await gate.check()
        assert refused.reason == "model_not_permitted"
        detail = refusal(refused, billing_url="https://x/account/billing").body().detail
        assert "a model that nobody names" in detail


async def test_a_key_of_no_models_may_ask_each(world: World) -> None:
    async with world.gate() as gate:
        assert (await gate.check(model="small")).allowed
        assert (await gate.check()).allowed


@pytest.mark.parametrize("hold_seconds", [0, 60])
async def test_the_tag_and_the_request_id_beside_it_change_nothing(
    world: World, hold_seconds: int
) -> None:
    bound_to(world, "small-1")
    more: dict[str, Any] = {"tag": "small-2", "hold_seconds": hold_seconds}
    async with world.gate() as gate:
        assert (await gate.check(model="small-1", request_id="small-2", **more)).allowed
        refused = await gate.check(model="small-2", request_id="small-1", **more)
        assert refused.reason == "model_not_permitted"


async def test_a_look_tells_which_it_may_ask(world: World) -> None:
    bound_to(world, "small-1", "big-1")
    async with world.gate() as gate:
        look = (await gate.check(units=0)).answer
        assert [look.may_ask(name) for name in ("small-1", "big-1", "big")] == [True, True, False]


async def test_other_limits_hold_beside_it(world: World) -> None:
    bound_to(world, "small-1", scopes=("chat",), pace=Pace(a_minute=1))
    async with world.gate() as gate:
        assert (await gate.check(meter="images", model="big")).reason == "not_permitted"
        # What is refused counts nothing.
        assert (await gate.check(model="big")).reason == "model_not_permitted"
        assert (await gate.check(model="small-1")).allowed
        assert (await gate.check(model="small-1")).reason == "rate_limited"


async def test_a_key_of_models_alone_has_no_pace(world: World) -> None:
    bound_to(world, "small-1")
    async with world.gate() as gate:
        assert (await gate.check(model="small-1")).answer.room == ""
