"""The week as an instrument: every chat is a cell, hollow once spent, else of what pays for it.

Cells stand in the order in which they are used. Only geometry and words; nothing is counted here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from quotas.models.used import Source
from quotas.standing import Left

# What a cell may be; the last three are what pays, in its order.
SPENT = "spent"
ALLOWANCE, BOOST, CREDITS = map(str, (Source.ALLOWANCE, Source.BOOST, Source.CREDITS))
# How wide and high a cell is drawn, with the gap around it; marks stand in the gap above.
CELL_WIDTH, CELL_HEIGHT = 24, 32
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """What there is to draw, in chats.

    coming: what a purchase adds, of the source it is for. elapsed: how much of the week is over, 0
    to 1; None leaves the marks out.
    """

    spent: int = 0
    allowance: int = 0
    boost: int = 0
    credits: int = 0
    coming: dict[str, int] = field(default_factory=dict)
    elapsed: float | None = None

    @property
    def week(self) -> int:
        """The allowance whole, spent or not."""
        return self.spent + self.allowance

    @property
    def is_anything(self) -> bool:
        """Whether there is a cell to draw."""
        return any((self.week, self.boost, self.credits, *self.coming.values()))


@dataclass(frozen=True, slots=True)
class Placed:
    """Something in the picture. In cells from the left and top."""

    kind: str
    column: int
    row: int

    @property
    def x(self) -> int:
        """Where it begins, as drawn."""
        return self.column * CELL_WIDTH

    @property
    def y(self) -> int:
        """How far down it is, as drawn."""
        return self.row * CELL_HEIGHT


@dataclass(frozen=True, slots=True)
class Run(Placed):
    """Cells of one kind, side by side."""

    length: int
    is_coming: bool = False

    @property
    def width(self) -> int:
        """How long it is, as drawn."""
        return self.length * CELL_WIDTH


class Mark(Placed):
    """Between two cells: "now", where an even week would be, or "reset", where the week ends."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Strip:
    """Cells by rows, so many chats each."""

    runs: tuple[Run, ...]
    marks: tuple[Mark, ...]
    chats_a_cell: int
    columns: int
    rows: int

    @property
    def width(self) -> int:
        """Of the picture, as drawn."""
        return self.columns * CELL_WIDTH

    @property
    def height(self) -> int:
        """Of the picture, as drawn."""
        return self.rows * CELL_HEIGHT

    def by_row(self) -> list[list[str]]:
        """The kind of every cell, for pictures that are not drawn."""
        found: list[list[str]] = [[] for _ in range(self.rows)]
        for run in self.runs:
            found[run.row] += [run.kind] * run.length
        return found

    def cut_to(self, at_least: int) -> "Strip":
        """A strip of one row without what is empty behind its cells, and of so many at least."""
        cells = sum(run.length for run in self.runs)
        return replace(self, columns=max(at_least, cells))


def amounts_of(left: Left, *, at: datetime) -> Amounts | None:
    """What there is to draw of an account; None where nothing limits it, or nothing ever was."""
    if left.cap is None:
        return None
    amounts = Amounts(
        spent=left.used,
        allowance=left.left or 0,
        boost=left.boost_open,
        credits=left.chats_from_credits,
        elapsed=1 - (left.resets_at - at) / _WEEK,
    )
    return amounts if amounts.is_anything else None


def strip_of(amounts: Amounts, *, columns: int, rows: int) -> Strip:
    """Cells of 1, 10, 50, 100, 500, … chats: the smallest that need no more than so many rows.

    Each source begins a row of its own where that needs no more of them.
    """
    a_cell = next(
        a_cell
        for a_cell in round_numbers()
        if sum(cells for block in _blocks(amounts, a_cell) for _, cells, _ in block)
        <= columns * rows
    )
    blocks = _blocks(amounts, a_cell)
    lengths = [sum(cells for _, cells, _ in block) for block in blocks]
    breaks = sum(-(-length // columns) for length in lengths) <= rows
    runs: list[Run] = []
    at = 0
    for block in blocks:
        if breaks:
            at = -(-at // columns) * columns
        for kind, cells, is_coming in block:
            runs += runs_of(kind, at, cells, columns, is_coming=is_coming)
            at += cells
    return Strip(
        tuple(runs),
        tuple(_marks(amounts, a_cell, columns)),
        a_cell,
        columns,
        rows=max(1, -(-at // columns)),
    )


def _blocks(amounts: Amounts, a_cell: int) -> list[list[tuple[str, int, bool]]]:
    """What stands together: of each source its kind, cells, and whether they are to come."""

    def of(source: str, chats: int) -> list[tuple[str, int, bool]]:
        coming = amounts.coming.get(source, 0)
        return [(source, -(-chats // a_cell), False), (source, -(-coming // a_cell), True)]

    # As many cells as the week is long, whatever is spent of it: a cell is hollow once its first
    # chat is spent, but for the last one, while there is any left.
    whole = -(-amounts.week // a_cell)
    spent = min(-(-amounts.spent // a_cell), whole - (amounts.allowance > 0))
    return [
        [(SPENT, spent, False), *of(ALLOWANCE, a_cell * (whole - spent))],
        of(BOOST, amounts.boost),
        of(CREDITS, amounts.credits),
    ]


def runs_of(
    kind: str, at: int, cells: int, columns: int, *, is_coming: bool = False
) -> Iterator[Run]:
    """So many cells of one kind from the cell `at` on, row by row."""
    while cells > 0:
        row, column = divmod(at, columns)
        length = min(cells, columns - column)
        yield Run(kind, column, row, length, is_coming)
        at, cells = at + length, cells - length


def _marks(amounts: Amounts, a_cell: int, columns: int) -> Iterator[Mark]:
    if amounts.elapsed is None or not amounts.week:
        return
    ends = -(-amounts.week // a_cell)
    now = round(ends * min(1.0, max(0.0, amounts.elapsed)))
    for kind, cell in (("now", now), ("reset", ends)):
        row, column = divmod(cell, columns)
        # At the end of a row, not at the beginning of the next, which may be another source's.
        yield Mark(kind, columns, row - 1) if cell and not column else Mark(kind, column, row)


def round_numbers() -> Iterator[int]:
    """1, 10, 50, 100, 500, …"""
    yield 1
    power = 10
    while True:
        yield from (power, 5 * power)
        power *= 10
