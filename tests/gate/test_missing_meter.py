"""An operator who takes a meter away breaks what is charged by it, and nothing else."""

import dataclasses

from gate.store import charges
from tests.gate.world import World


async def test_a_look_at_the_account_is_about_no_meter(world: World) -> None:
    world.catalogue = dataclasses.replace(world.catalogue, meters={"images": 4})
    async with world.gate() as gate:
        assert (await gate.check(meter="images")).allowed
        look = charges.check_call(
            handle=world.handle, digests=(), meter="chat", units=0, request_id=None
        )
        answer = charges.read_answer(await gate.client.run(look))
        assert (answer.status, answer.plan, answer.cap) == ("ok", "free", 50)
        assert (await gate.check(units=0)).reason == "unknown_meter"
