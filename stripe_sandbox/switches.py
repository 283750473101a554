"""What a developer may have go wrong: each is off until it is set, and bounded.

`lose`, `twice` and `late` are about events, `hang` and `refuse` about calls of the API.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stripe_sandbox.books import Books

MOST_TIMES = 1000
LONGEST_SECONDS = 600.0
STATUSES = (429, 500, 503)
EVENT_SWITCHES = ("lose", "twice", "late")
CALL_SWITCHES = ("hang", "refuse")
TITLES = {
    "lose": "Lose events",
    "twice": "Send events twice",
    "late": "Send events late",
    "hang": "Let calls hang",
    "refuse": "Refuse calls",
}


class CannotSwitch(ValueError):
    """What was asked for is not a switch, or beyond its bounds."""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """How often something goes wrong from now on, and how.

    `only` are patterns: types of events (`charge.*`), or calls (`/v1/refunds*`, `POST /v1/*`).
    `after_acting` has a refused call done all the same: the answer is what is lost.
    """

    times: int
    seconds: float = 5.0
    status: int = 500
    after_acting: bool = False
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        if type(self.times) is not int or not 1 <= self.times <= MOST_TIMES:
            raise CannotSwitch(f"times is a whole number from 1 to {MOST_TIMES}")
        if not isinstance(self.seconds, (int, float)) or not 0 < self.seconds <= LONGEST_SECONDS:
            raise CannotSwitch(f"seconds is a number up to {LONGEST_SECONDS:.0f}")
        if self.status not in STATUSES:
            raise CannotSwitch(f"status is one of {', '.join(map(str, STATUSES))}")
        if not isinstance(self.after_acting, bool):
            raise CannotSwitch("after_acting is true or false")
        if self.after_acting and self.status == 429:
            raise CannotSwitch("429 is answered before anything is done")
        if isinstance(self.only, str) or not all(isinstance(one, str) for one in self.only):
            raise CannotSwitch("only is a list of patterns")


def every(books: Books) -> dict[str, Switch]:
    """The switches that are on."""
    kept = {name: books.setting(f"switch {name}") for name in TITLES}
    return {name: Switch(**value) for name, value in kept.items() if value}


def put(books: Books, name: str, value: Any) -> None:
    """Set a switch to `value` (the fields of Switch), or off with None."""
    if name not in TITLES:
        raise CannotSwitch(f"there is no switch {name[:40]}: {', '.join(TITLES)}")
    if value is None:
        books.keep_setting(f"switch {name}", None)
        return
    try:
        switch = Switch(**value)
    except TypeError:
        raise CannotSwitch("a switch has times, seconds, status, after_acting and only") from None
    books.keep_setting(f"switch {name}", asdict(switch))


def take(books: Books, name: str, *subjects: str) -> Switch | None:
    """The switch, if it is on for what goes by these names; it counts down to being off."""
    switch = every(books).get(name)
    if switch is None or not concerns(switch, *subjects):
        return None
    left = {**asdict(switch), "times": switch.times - 1} if switch.times > 1 else None
    books.keep_setting(f"switch {name}", left)
    return switch


def concerns(switch: Switch, *subjects: str) -> bool:
    """Whether a switch is about the event or call that goes by these names."""
    return not switch.only or any(
        fnmatch.fnmatchcase(subject, one) for one in switch.only for subject in subjects
    )
