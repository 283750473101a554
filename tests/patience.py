"""How long a test waits for what must happen: so long that only a fault is ever that late.

Tests never assert how quick something is; those in `tests/faults`, and others that are marked
`alone`, do, and run while nothing else does.
"""

import time
from collections.abc import Callable

LONGEST_SECONDS = 180.0


def until(holds: Callable[[], object], *, seconds: float = LONGEST_SECONDS) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
