"""What the gateway of a service token is trusted to say about its customers.

A customer can send any header, and a gateway may forget to strip it. So a header that decides what
is charged once, how much, or where a request comes from counts only if the service token was issued
with that trust; otherwise it is ignored, and counted so that the operator can see it.
"""

from collections import Counter
from dataclasses import dataclass

from gate.service.alarms import Alarm, Alarms


@dataclass(frozen=True, slots=True)
class Trust:
    """A service token's number and name, and what counts of what comes with it. By default nothing.

    request_id: of X-Quota-Request-Id, and of X-Quota-Tag with it.
    forwarded_hops: so many trusted proxies add an address to X-Forwarded-For; 0 does not read it.
    meter: the only one that is charged; empty is what X-Quota-Meter says.
    """

    token_id: int = 0
    name: str = ""
    request_id: bool = False
    units: bool = False
    client_ip: bool = False
    forwarded_hops: int = 0
    meter: str = ""


class IgnoredHeaders:
    """Counts headers that did not count, by token, until somebody takes the counts."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._counts: Counter[int] = Counter()

    def count(self, trust: Trust, header: str) -> None:
        """Count one header of one request."""
        self._counts[trust.token_id] += 1
        self._alarms.tell(
            Alarm(
                f"ignored {trust.token_id} {header}",
                f"{header} was ignored: the service token “{trust.name}” was not issued with trust "
                "in it. If the gateway sets it, change the token in the admin; if not, let the "
                "gateway strip it from what customers send.",
                is_error=False,
            )
        )

    def take(self) -> dict[int, int]:
        """The counts so far, by token; counting begins anew."""
        counts, self._counts = dict(self._counts), Counter()
        return counts

    def put_back(self, counts: dict[int, int]) -> None:
        """Count again what could not be written down."""
        self._counts.update(counts)
