"""What Valkey holds of an account, read whole, for whoever compares it with PostgreSQL."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from gate.store import layout
from gate.store.hot_state import read_boosts


@dataclass(frozen=True, slots=True)
class Held:
    """What is granted to an account there, and what it spent; of boosts by their ids.

    on_hold, boosts_on_hold: the part of what is spent that is in no stream yet.
    """

    epoch: int
    version: int
    credits: int
    credits_spent: int
    credits_on_hold: int
    boosts: Mapping[int, int]
    boosts_spent: Mapping[int, int]
    boosts_on_hold: Mapping[int, int]


def read(fields: Mapping[bytes, bytes]) -> Held | None:
    """An account of all its fields; None where there is none, or it was never loaded."""
    spell = layout.ACCOUNT.spell
    known = {name.decode(): value.decode() for name, value in fields.items()}
    if spell("epoch") not in known:
        return None
    holds = [
        layout.HOLD.read(value) for name, value in known.items() if name.startswith(spell("hold"))
    ]
    on_hold: dict[int, int] = defaultdict(int)
    for hold in holds:
        for boost_id, chats in read_boosts(hold["boosts"]):
            on_hold[boost_id] += chats
    spent_of = spell("spent_of_boost")
    return Held(
        epoch=int(known[spell("epoch")]),
        version=int(known.get(spell("version"), 0)),
        credits=int(known.get(spell("credits"), 0)),
        credits_spent=int(known.get(spell("credits_spent"), 0)),
        credits_on_hold=sum(hold["credits"] for hold in holds),
        boosts={
            boost["id"]: boost["chats"]
            for boost in layout.BOOST.read_list(known.get(spell("boosts"), ""))
        },
        boosts_spent={
            int(name.removeprefix(spent_of)): int(value)
            for name, value in known.items()
            if name.startswith(spent_of)
        },
        boosts_on_hold=on_hold,
    )
