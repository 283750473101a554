"""Starts the parts of a site in the order of what they need, watches them, and ends them all."""

import signal
import time
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from dev.keeping import Keeper
from dev.parts import Part
from dev.terminal import Terminal

LOGS_BOUNDED_SECONDS = 10.0
LOOK_SECONDS = 0.2
LOOK_WHILE_STARTING_SECONDS = 0.02


class Interrupted(Exception):
    """Somebody asked us to stop while we were still starting."""


class Supervisor:
    """All parts of one site. Whatever is declared here is begun, watched and ended.

    ValueError for parts with the same name, or that need each other, or what is not there.
    """

    def __init__(self, parts: Sequence[Part], *, terminal: Terminal) -> None:
        self._terminal = terminal
        self._parts = {part.name: part for part in parts}
        self._needs = {part.name: part.needs for part in parts}
        self._keepers: list[Keeper] = []
        self._asked_to_stop = 0
        if len(self._parts) < len(parts):
            raise ValueError("Two parts have the same name.")
        for part in parts:
            if missing := set(part.needs) - self._parts.keys():
                raise ValueError(f"{part.name} needs what is not there: {', '.join(missing)}.")
        try:
            TopologicalSorter(self._needs).prepare()
        except CycleError as error:
            raise ValueError(f"Parts need each other: {', '.join(error.args[1])}.") from error

    @property
    def asked_to_stop(self) -> bool:
        return self._asked_to_stop > 0

    def listen(self) -> None:
        """From now on a signal asks us to stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has us ignore SIGHUP, and that stays so.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def end_leftovers(self) -> None:
        """End what a killed earlier run left, those who use a part before that part."""
        for part in reversed(self._in_order()):
            part.child.end_leftover()

    def start(self) -> None:
        """Begin each part when what it needs is ready; return when all are.

        CannotStart when one cannot be, or has ended meanwhile. Interrupted when asked to stop.
        """
        order = TopologicalSorter(self._needs)
        order.prepare()
        starting: list[Part] = []
        while order.is_active():
            for part in self._named(order.get_ready()):
                self._pause(0)
                part.begin()
                starting.append(part)
            for part in tuple(starting):
                if part.is_ready():
                    starting.remove(part)
                    order.done(part.name)
                    self._is_ready(part)
            for keeper in self._keepers:
                keeper.part.require_running()
            self._pause(LOOK_WHILE_STARTING_SECONDS)

    def watch(self) -> None:
        """Keep everything running until somebody asks to stop."""
        bound_logs_at = 0.0
        while not self._asked_to_stop:
            now = time.monotonic()
            for keeper in self._keepers:
                keeper.look(now=now)
            if now >= bound_logs_at:
                bound_logs_at = now + LOGS_BOUNDED_SECONDS
                for keeper in self._keepers:
                    keeper.part.child.bound_log()
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """End every part after those who need it; asked once more, it hurries."""
        asked_before = self._asked_to_stop
        began = time.monotonic()
        if asked_before:
            self._terminal.say()
            self._terminal.say("Stopping …")
        users = {
            name: [other for other, needs in self._needs.items() if name in needs]
            for name in self._parts
        }
        order = TopologicalSorter(users)
        order.prepare()
        while order.is_active():
            together = self._named(order.get_ready())
            for part in together:
                part.child.ask_to_stop()
            for part in together:
                self._end(part, asked_before)
                order.done(part.name)
        if asked_before or self._keepers:
            self._terminal.done("Stopped", since=began)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._asked_to_stop += 1

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        if self._asked_to_stop:
            raise Interrupted

    def _in_order(self) -> list[Part]:
        return [self._parts[name] for name in TopologicalSorter(self._needs).static_order()]

    def _named(self, names: Sequence[str]) -> list[Part]:
        """These parts, in the order in which they were declared."""
        return [part for name, part in self._parts.items() if name in names]

    def _is_ready(self, part: Part) -> None:
        if part.restart is not None:
            self._keepers.append(Keeper(part, part.restart, terminal=self._terminal))
        if part.ready_text:
            self._terminal.done(part.ready_text, since=part.begun_at)

    def _end(self, part: Part, asked_before: int) -> None:
        """Wait for a part that was asked to stop, and kill it when that takes too long."""
        deadline = time.monotonic() + part.child.patience
        while part.child.is_running:
            hurried = part.hurries and self._asked_to_stop > asked_before
            if hurried or time.monotonic() > deadline:
                self._terminal.wrong(f"{part.title} did not stop and was killed.")
                break
            time.sleep(0.02)
        part.child.kill()
        part.tidy()
