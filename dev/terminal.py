"""What whoever started this sees."""

import errno
import os
import sys
import time
from pathlib import Path


class Terminal:
    """Short lines for whoever started this; colour only where a terminal shows it."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        # A terminal without UTF-8 must not end the supervisor at the first tick mark.
        for stream in (sys.stdout, sys.stderr):
            getattr(stream, "reconfigure", lambda **_: None)(errors="replace")

    def say(self, text: str = "") -> None:
        """One line, as far as there is somewhere to say it."""
        try:
            print(text, flush=True)
        except OSError as error:
            # Into a file on a full disk: the line comes when there is room, or never.
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                # The terminal or pipe is gone: what is left to do is to stop in good order.
                sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115

    def done(self, text: str, *, since: float) -> None:
        """Something went well."""
        self.say(f"{self._paint('32', '✓')} {text} ({time.monotonic() - since:.1f} s)")

    def wrong(self, text: str) -> None:
        """Something did not."""
        self.say(f"{self._paint('31', '✗')} {text}")

    def strong(self, text: str) -> str:
        """Text that stands out."""
        return self._paint("1", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text
