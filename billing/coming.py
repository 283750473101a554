"""What a purchase brings, as cells: only geometry and numbers, at one scale for all of a page."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from quotas.strip import CELL_HEIGHT, CELL_WIDTH, Run, round_numbers, runs_of

# Cells of a row, and how many there are at most.
_COLUMNS, _AT_MOST = 30, 60


class Bringing(Protocol):
    """A product or an order: a boost brings chats, credits pay for some."""

    kind: str
    chats: int
    credits: int


B = TypeVar("B", bound=Bringing)


@dataclass(frozen=True, slots=True)
class Coming:
    """The chats that come, in cells of `chats_a_cell`, the last of which may not be full."""

    kind: str
    chats: int
    chats_a_cell: int

    @property
    def _cells(self) -> int:
        return -(-self.chats // self.chats_a_cell)

    @property
    def runs(self) -> list[Run]:
        """One a row."""
        return list(runs_of(self.kind, 0, self._cells, _COLUMNS))

    @property
    def width(self) -> int:
        """Of the picture, as drawn."""
        return min(_COLUMNS, self._cells) * CELL_WIDTH

    @property
    def height(self) -> int:
        """Of the picture, as drawn."""
        return len(self.runs) * CELL_HEIGHT

    @property
    def small(self) -> int:
        """How wide it is shown, in pixels, beside others: a cell is as wide whatever comes."""
        return self.width * 3 // 8

    @property
    def large(self) -> int:
        """The same where it stands alone."""
        return self.width * 3 // 4


def coming_of(
    things: Iterable[B], *, credits_per_chat: int, owed: int = 0
) -> list[tuple[B, Coming]]:
    """Each with the chats that it brings, all drawn at one scale, so that they can be compared.

    owed: credits that a purchase of credits pays first.
    """
    brought = [
        (thing, thing.chats or max(0, thing.credits - owed) // credits_per_chat) for thing in things
    ]
    most = max((chats for _, chats in brought), default=0)
    a_cell = next(step for step in round_numbers() if step * _AT_MOST >= most)
    return [(thing, Coming(thing.kind, chats, a_cell)) for thing, chats in brought]
