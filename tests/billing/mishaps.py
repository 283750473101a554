"""What happens to any story of money: processes die, answers are lost, events come as they like."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import strategies as st

from billing import events
from billing.models import StripeEvent
from tests.billing.buyer import deliver
from tests.stripe_sandbox.running_sandbox import Running
from tests.stripe_sandbox.subscriber import switch

# Where a process may die: what holds something, and its name there.
Steps = Sequence[tuple[Any, str]]

# The step at which the process dies, of those that it comes to; 0 is that it lives.
deaths = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 7, 9])
# Which of the events that were said arrive, in this order.
picks = st.lists(st.integers(0, 40), max_size=6)


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def dying(step: int, *, steps: Steps) -> Iterator[None]:
    """A process that dies at its nth step: an odd one before it is done, an even one after."""
    with pytest.MonkeyPatch.context() as patch:
        left = [step]

        def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
            def do(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] == 0 and step % 2:
                    raise Killed
                answer = real(*args, **kwargs)
                if left[0] == 0:
                    raise Killed
                return answer

            return do

        for place, name in steps if step else ():
            patch.setattr(place, name, mortal(getattr(place, name)))
        with suppress(Killed):
            yield


@contextmanager
def answers_lost(sandbox: Running, *, only: Sequence[str]) -> Iterator[None]:
    """Calls that are heard and done, and whose answers never reach us; not when repeated either."""
    switch(sandbox, refuse={"times": 1000, "after_acting": True, "only": list(only)})
    try:
        yield
    finally:
        switch(sandbox, refuse=None)


def arrives(event: dict[str, Any], *, again: bool) -> StripeEvent:
    """An event is delivered; again: under a name of its own, so that it is no repetition."""
    if again:
        event = {**event, "id": f"evt_{uuid4().hex}"}
    assert deliver(event).status_code == 200
    return StripeEvent.objects.get(event_id=event["id"])


def all_arrives(said: Sequence[dict[str, Any]], *, now: Callable[[], datetime]) -> None:
    """Everything that was said is delivered, and handled by the sweep."""
    for event in said:
        deliver(event)
    while events.handle_pending(at=now()):
        pass
