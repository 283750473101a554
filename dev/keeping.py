"""Keeps a part running: started again when it ends, ever more slowly while that does not help."""

from dev.parts import Part, Restart
from dev.processes import CannotStart
from dev.terminal import Terminal


class Keeper:
    """Looks after one part that is ready; `look` has to be called again and again."""

    def __init__(self, part: Part, restart: Restart, *, terminal: Terminal) -> None:
        self.part = part
        self.tries = 0
        self._restart = restart
        self._terminal = terminal
        self._started_at = part.begun_at
        self._start_again_at: float | None = None

    def look(self, *, now: float) -> None:
        """Start it again when it has ended and its time has come."""
        if self._start_again_at is not None:
            if now >= self._start_again_at:
                self._start_again(now=now)
        elif not self.part.child.is_running:
            self._plan(self.part.child.why_it_ended(), now=now)
        elif self.tries and now - self._started_at > self._restart.steady_seconds:
            self._terminal.say(f"{self.part.title} runs steadily again.")
            self.tries = 0

    def _start_again(self, *, now: float) -> None:
        self._start_again_at = None
        self._started_at = now
        try:
            self.part.child.start()
        except CannotStart as error:
            self._plan(str(error), now=now)

    def _plan(self, reason: str, *, now: float) -> None:
        pause = self._restart.pause_seconds(self.tries)
        self.tries += 1
        self._start_again_at = now + pause
        # The 1st, 2nd, 4th, 8th … time: whoever looks sees it, and no flood of it.
        if self.tries & (self.tries - 1) == 0:
            self._terminal.wrong(
                f"{reason} Starting {self.part.title} again in {pause:.0f} s "
                f"(try {self.tries}); the rest goes on. More in {self.part.child.log}."
            )
