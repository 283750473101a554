"""How quickly a key, or an account by its plan, may ask: of those that both have, both hold."""

from dataclasses import dataclass

# More are not counted quickly, or not held at once by any account.
A_MINUTE_AT_MOST = 1_000_000
AT_ONCE_AT_MOST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Requests a minute, and requests that are held at the same time; None is no limit."""

    a_minute: int | None = None
    at_once: int | None = None


NO_LIMITS = Pace()
