"""A part of a running site: one process, declared, and how it is begun, waited for and ended."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dev.processes import CannotStart, Child

LOOK_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True)
class Restart:
    """How a part that ended is started again: ever more slowly, and it is never given up.

    What is wrong may pass, as a full disk. Whoever ran for `steady_seconds` begins to count anew.
    """

    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 60.0
    steady_seconds: float = 120.0

    def pause_seconds(self, tries: int) -> float:
        """How long to wait after so many tries in vain."""
        return min(self.first_pause_seconds * 2.0 ** min(tries, 30), self.longest_pause_seconds)


ALWAYS = Restart()


class Part:
    """One process: what it is, what it needs, how it is ready, and what follows its end.

    needs: the parts, by name, that are ready before it begins and end after it.
    restart: what follows its end; None where it runs once, and is ready when it has ended well.
    hurries: whether it is killed at once when somebody asks a second time to stop.
    title: what people call it. ready_text: what they are told when it is ready, if anything.
    """

    def __init__(
        self,
        child: Child,
        *,
        needs: Sequence[str] = (),
        restart: Restart | None = ALWAYS,
        ready_within_seconds: float = 180.0,
        hurries: bool = True,
        title: str = "",
        ready_text: str = "",
    ) -> None:
        self.child = child
        self.needs = tuple(needs)
        self.restart = restart
        self.ready_within_seconds = ready_within_seconds
        self.hurries = hurries
        self.title = title or child.name
        self.ready_text = ready_text
        self.begun_at = 0.0

    @property
    def name(self) -> str:
        return self.child.name

    def prepare(self) -> None:
        """Do what has to be done before it begins."""

    def why_not_ready(self) -> str:
        """Why others cannot use it yet, or ""; asked while it runs."""
        return ""

    def tidy(self) -> None:
        """Take away what it does not need after its end."""

    def begin(self) -> None:
        """Start it, and return at once; CannotStart when it cannot be."""
        self.begun_at = time.monotonic()
        self.prepare()
        self.child.start()

    def is_ready(self) -> bool:
        """Whether those who need it may begin; CannotStart when that will not be any more."""
        if self.restart is None:
            return self._has_ended_well()
        self.require_running()
        why = self.why_not_ready()
        if why and time.monotonic() > self.begun_at + self.ready_within_seconds:
            raise self._cannot_start(f"{why} for {self.ready_within_seconds:.0f} s.")
        return not why

    def require_running(self) -> None:
        """CannotStart where a part that keeps running has ended."""
        if self.restart is not None and not self.child.is_running:
            raise self._cannot_start(self.child.why_it_ended())

    def start(self) -> None:
        """Start it, again where it runs, and return when it is ready; CannotStart otherwise."""
        self.stop()
        self.begin()
        try:
            while not self.is_ready():
                time.sleep(LOOK_SECONDS)
        except CannotStart:
            self.stop()
            raise

    def stop(self) -> None:
        """End it, and return when it has ended."""
        self.child.stop()
        self.tidy()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _has_ended_well(self) -> bool:
        if self.child.is_running:
            return False
        if self.child.exit_code != 0:
            raise self._cannot_start(f"{self.title} failed (exit code {self.child.exit_code}).")
        return True

    def _cannot_start(self, said: str) -> CannotStart:
        return CannotStart(f"{said} The end of {self.child.log}:\n{self.child.last_words()}")
