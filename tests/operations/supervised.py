"""A supervisor of parts that a test declares: python -m tests.operations.supervised FOLDER PARTS.

PARTS is JSON: for each part its name and what it needs, and perhaps `once`, `stubborn` (it does not
end when it is asked to), `broken` (it ends with an error) or `slow` (seconds until it is ready).
Each writes a line into `FOLDER/told` when it begins and when it ends.
"""

import json
import sys
from pathlib import Path
from typing import Any

from dev.parts import ALWAYS, Part
from dev.processes import CannotStart, Child
from dev.supervisor import Interrupted, Supervisor
from dev.terminal import Terminal

PROGRAM = """
import signal, sys, time
name, told, what = sys.argv[1:4]

def tell(word):
    with open(told, "a") as file:
        file.write(f"{name} {word}\\n")

def end(*_):
    tell("was asked to end" if what == "stubborn" else "ends")
    if what != "stubborn":
        sys.exit()

signal.signal(signal.SIGTERM, end)
tell("begins")
if what == "broken":
    sys.exit("it is broken")
if what == "once":
    sys.exit()
while True:
    time.sleep(60)
"""


class Told(Part):
    """A part that is ready when it has said that it begins."""

    def __init__(self, folder: Path, declared: dict[str, Any]) -> None:
        name, what = declared["name"], declared.get("what", "")
        self._told = folder / "told"
        child = Child(
            name,
            [sys.executable, "-c", PROGRAM, name, str(self._told), what],
            data_dir=folder,
            patience=declared.get("patience", 30.0),
        )
        super().__init__(
            child, needs=declared.get("needs", ()), restart=None if what == "once" else ALWAYS
        )

    def why_not_ready(self) -> str:
        told = self._told.read_text() if self._told.exists() else ""
        return "" if f"{self.name} begins\n" in told else "It does not say that it begins"


def main() -> int:
    folder = Path(sys.argv[1])
    terminal = Terminal()
    parts = [Told(folder, declared) for declared in json.loads(sys.argv[2])]
    supervisor = Supervisor(parts, terminal=terminal)
    supervisor.listen()
    try:
        supervisor.end_leftovers()
        supervisor.start()
        terminal.say("All are ready.")
        supervisor.watch()
    except Interrupted:
        pass
    except CannotStart as error:
        terminal.wrong(str(error))
        return 1
    finally:
        supervisor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
