"""How Hypothesis tells stories: which act comes next, and how many stories there are."""

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

VOLUMES = range(1, 9)

Act = tuple[str, dict[str, Any]]
Method = TypeVar("Method", bound=Callable[..., None])


class Acts:
    """The acts of a state machine, all to be drawn by one rule of it.

    Rules of their own would be told too unevenly for so few stories: Hypothesis leaves half of
    them out of each, and there would be hardly a hold that is settled before Valkey is lost.
    """

    def __init__(self) -> None:
        self._acts: list[st.SearchStrategy[Act]] = []

    def __call__(
        self, *, times: int = 1, **arguments: st.SearchStrategy[Any]
    ) -> Callable[[Method], Method]:
        """Register a method as an act, `times` as likely as one that is likely once."""

        def register(method: Method) -> Method:
            # Each its own: of strategies that are the same `one_of` keeps one.
            self._acts.extend(
                st.tuples(st.just(method.__name__), st.fixed_dictionaries(arguments))
                for _ in range(times)
            )
            return method

        return register

    @property
    def next(self) -> st.SearchStrategy[Act]:
        """The name of an act and its arguments."""
        return st.one_of(self._acts)


def tell(machine: type[RuleBasedStateMachine], *, volume: int) -> None:
    """Run the stories of one volume, the same every time."""
    run_state_machine_as_test(
        seed(volume)(machine),
        settings=settings(
            # After ten stories Hypothesis varies those it has; another volume has new ones.
            max_examples=9,
            stateful_step_count=25,
            deadline=None,
            database=None,
            # A story of 25 steps can be read as it is; finding a shorter one takes minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
