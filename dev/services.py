"""What is kept running: started again when it ends, ever more slowly while that does not help."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dev.processes import CannotStart, Child
from dev.terminal import Terminal

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0
# Whoever ran for so long begins to count anew.
STEADY_SECONDS = 120.0


@dataclass
class Service:
    """Something to keep running. It is never given up: what is wrong may pass, as a full disk."""

    name: str
    child: Child
    start: Callable[[], None]
    tries: int = 0
    start_again_at: float | None = None
    started_at: float = field(default_factory=time.monotonic)

    def keep_running(self, terminal: Terminal, *, now: float) -> None:
        """Start it again when it has ended and its time has come."""
        if self.start_again_at is not None:
            if now >= self.start_again_at:
                self._start_again(terminal, now=now)
        elif not self.child.is_running:
            self._plan(terminal, self.child.why_it_ended(), now=now)
        elif self.tries and now - self.started_at > STEADY_SECONDS:
            terminal.say(f"{self.name} runs steadily again.")
            self.tries = 0

    def _start_again(self, terminal: Terminal, *, now: float) -> None:
        self.start_again_at = None
        self.started_at = now
        try:
            self.start()
        except CannotStart as error:
            self._plan(terminal, str(error), now=now)

    def _plan(self, terminal: Terminal, reason: str, *, now: float) -> None:
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(self.tries, 30), LONGEST_PAUSE_SECONDS)
        self.tries += 1
        self.start_again_at = now + pause
        # The 1st, 2nd, 4th, 8th … time: whoever looks sees it, and no flood of it.
        if self.tries & (self.tries - 1) == 0:
            terminal.wrong(
                f"{reason} Starting {self.name} again in {pause:.0f} s "
                f"(try {self.tries}); the rest goes on. More in {self.child.log}."
            )
