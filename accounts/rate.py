"""How often somebody may ask: counted in the shared cache, so for all processes together.

Without the cache nobody knows, and RedisError says so: whoever counts decides what that means.
"""

import math
import time
from dataclasses import dataclass

from django.core.cache import cache

from gate.terms.addresses import known_to_hex

# IPv4 as the gate spells it, mapped into IPv6; of IPv6 one customer has as much as this (64 bits).
_MAPPED, _NETWORK_DIGITS = "0" * 20 + "ffff", 16


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in each span of time, counted apart for everybody."""

    name: str
    at_most: int
    within_seconds: int

    def wait(self, who: str) -> int:
        """Count one more of somebody; seconds until it may be done, 0 for now.

        who: never the text of a caller as it is: it becomes part of a name in the cache.
        """
        now = time.time()
        span = int(now // self.within_seconds)
        counted = f"rate:{self.name}:{who}:{span}"
        # Kept for longer than the span, whoever's clock is ahead.
        if cache.add(counted, 1, timeout=2 * self.within_seconds):
            return 0
        if cache.incr(counted) <= self.at_most:
            return 0
        return max(1, math.ceil((span + 1) * self.within_seconds - now))


def who_is_at(address: str) -> str:
    """Whom an address is counted for: all of an IPv6 network are one, and all that nobody knows."""
    digits = known_to_hex(address)
    return digits if digits.startswith(_MAPPED) else digits[:_NETWORK_DIGITS]
