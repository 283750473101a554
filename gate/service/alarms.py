"""What an operator has to mend, said in the log where it shows and not to customers."""

import logging
import time
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 60.0
# Kinds are few; whatever makes them many must not fill the memory or the log.
_KINDS_AT_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong: which, and what to do.

    kind: what is told once a minute at the most, however often it happens.
    """

    kind: str
    text: str
    is_error: bool = True


class Alarms:
    """Tells each kind of alarm at once, then at most once a minute with how often it happened."""

    def __init__(self) -> None:
        self._untold: dict[str, int] = {}
        self._quiet_until: dict[str, float] = {}

    def tell(self, alarm: Alarm) -> None:
        """Log an alarm, or count it."""
        kind = alarm.kind
        if kind not in self._untold and len(self._untold) >= _KINDS_AT_MOST:
            kind = "many"
        count = self._untold.get(kind, 0) + 1
        now = time.monotonic()
        if now < self._quiet_until.get(kind, now):
            self._untold[kind] = count
            return
        self._untold[kind] = 0
        self._quiet_until[kind] = now + _EVERY_SECONDS
        level = logging.ERROR if alarm.is_error else logging.WARNING
        often = f" ({count:,} times since this was last said)" if count > 1 else ""
        logger.log(level, "%s%s", alarm.text, often)
