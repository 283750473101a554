"""How rate and memory change with accounts, keys and undrained entries.

On two Valkeys beside the site, started as the site's is: one grows, one keeps 5,000 accounts
and is measured in turn with it, so that what else the machine does is in both. PostgreSQL is not
asked.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmark.generator import Generator, GeneratorFailed
from benchmark.hot_accounts import HotAccounts
from benchmark.stage import Site
from dev.embedded import EmbeddedValkey

# Subject and connections: what a caller sees, and then the store alone; with many connections it is
# seldom idle, with a pipeline never.
_SUBJECTS = (("check", 32), ("script", 32), ("pipeline", 1))
# Twice as many stretches as elsewhere.
_SECONDS_AT_MOST = 1.0

# As many as are asked about where there are more: what is asked about is in the caches alike.
_SMALL = 5_000

_ACCOUNTS = (1, 20_000)
_ACCOUNTS_LONG = (1, 1_000, 100_000, 1_000_000)
_GATE_ALONE = "benchmark.gate_alone:application"
_ENTRIES = (100_000,)
_ENTRIES_LONG = (100_000, 1_000_000, 10_000_000)
_KEYS = (1_000,)


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured with so much of something."""

    what: str
    amount: int
    of_small: dict[str, float]  # rate as a part of the other Valkey's, in the same round
    per_second: dict[str, float]
    megabytes: float  # that Valkey has allocated
    bytes_each: float  # of what was added for this step
    seconds: float  # that adding it took


@dataclass(frozen=True, slots=True)
class Growth:
    """Everything that was grown."""

    steps: tuple[Step, ...]
    bytes_per_charged_account: float  # with one key, in a week in which it was used

    @property
    def bytes_per_account(self) -> float:
        """Of an idle account with one key, where there are most of them."""
        return _of_accounts(self.steps)


def measure_growth(
    generator: Generator, site: Site, *, rounds: int, seconds: float, is_long: bool
) -> Growth:
    """Grow one Valkey beside another, to a million accounts if `is_long`."""
    with ExitStack() as stack:
        small, crowd = (_served(site, name, stack) for name in ("small", "grown"))
        small.add_accounts(_SMALL)
        compared = _Comparison(generator, small, crowd, rounds=rounds, seconds=seconds)
        steps = []
        charged = 0.0
        for amount in _ACCOUNTS_LONG if is_long else _ACCOUNTS:
            more = amount - crowd.accounts
            steps.append(compared.step("accounts", amount, more, crowd.add_accounts))
            # The callers have charged some of them now, and the entries are gone again.
            charged = (crowd.memory() - steps[-1].megabytes * 1e6) / len(crowd.target.keys)
        for amount in _ENTRIES_LONG if is_long else _ENTRIES:
            more = amount - crowd.entries
            steps.append(compared.step("entries", amount, more, crowd.add_entries))
        crowd.forget_everything()
        for amount in _KEYS:
            more = amount - len(crowd.keys)
            steps.append(compared.step("keys of one account", amount, more, crowd.add_keys))
        return Growth(tuple(steps), charged + _of_accounts(steps))


def _served(site: Site, name: str, stack: ExitStack) -> HotAccounts:
    """A Valkey of its own, and a server in front of it."""
    accounts = HotAccounts(stack.enter_context(EmbeddedValkey(site.data_dir / name)).url)
    more = {"REDIS_URL": accounts.url, "SERVICE_TOKEN": accounts.service_token}
    served = site.serving(_GATE_ALONE, name=f"gate-{name}", more=more)
    accounts.port = stack.enter_context(served)
    return accounts


def _of_accounts(steps: Sequence[Step]) -> float:
    return [step.bytes_each for step in steps if step.what == "accounts"][-1]


class _Comparison:
    """Measures a Valkey that grows in turn with one that does not grow."""

    def __init__(
        self,
        generator: Generator,
        small: HotAccounts,
        crowd: HotAccounts,
        *,
        rounds: int,
        seconds: float,
    ) -> None:
        self._generator = generator
        self._small = small
        self._crowd = crowd
        self._rounds = rounds
        self._seconds = min(seconds, _SECONDS_AT_MOST)

    def step(self, what: str, amount: int, more: int, add: Callable[[int], None]) -> Step:
        """Add so many more, then measure."""
        before, began = self._crowd.memory(), time.monotonic()
        add(more)
        took = time.monotonic() - began
        memory = self._crowd.memory()
        rates: dict[str, list[tuple[float, float]]] = {}
        for number in range(self._rounds):
            for subject, connections in _SUBJECTS:
                both = {
                    id(accounts): self._rate(subject, connections, accounts)
                    # Whoever is first may find another machine than who comes second.
                    for accounts in (self._small, self._crowd)[:: 1 if number % 2 else -1]
                }
                pair = (both[id(self._crowd)], both[id(self._small)])
                rates.setdefault(subject, []).append(pair)
        print(f"{amount:,} {what}: added in {took:.0f} s and measured", flush=True)
        return Step(
            what=what,
            amount=amount,
            of_small={
                name: median(crowd / small for crowd, small in pairs)
                for name, pairs in rates.items()
            },
            per_second={name: median(crowd for crowd, _ in pairs) for name, pairs in rates.items()},
            megabytes=memory / 1e6,
            bytes_each=(memory - before) / more,
            seconds=took,
        )

    def _rate(self, subject: str, connections: int, accounts: HotAccounts) -> float:
        for valkey in (self._small, self._crowd):
            while valkey.is_busy():
                time.sleep(0.1)
        sample = self._generator.measure(
            subject, accounts.target, connections=connections, seconds=self._seconds
        )
        accounts.forget_entries()
        if sample.failures or not sample.answers:
            raise GeneratorFailed(f"{subject}: {sample.first_failure or 'no answer'}")
        return sample.rate


def table(growth: Growth) -> str:
    """For people."""
    head = [word for name, _ in _SUBJECTS for word in (f"{name}/s", "of small")]
    head += ["Valkey MB", "bytes each", "added in s"]
    lines = [" " * 32 + " ".join(f"{name:>11}" for name in head)]
    for step in growth.steps:
        figures = []
        for name, _ in _SUBJECTS:
            figures += [f"{step.per_second[name]:,.0f}", f"{step.of_small[name]:.2f}"]
        figures += [f"{step.megabytes:,.1f}", f"{step.bytes_each:,.0f}", f"{step.seconds:,.1f}"]
        name = f"{step.amount:>10,}  {step.what:20}"
        lines.append(name + " ".join(f"{figure:>11}" for figure in figures))
    lines.append(
        "“of small” is the rate as a part of that of another Valkey with 5,000 accounts, in turn. "
        "An account that was charged this week takes "
        f"{growth.bytes_per_charged_account:,.0f} bytes."
    )
    return "\n".join(lines)


def as_json(growth: Growth) -> dict[str, Any]:
    """For a file."""
    return asdict(growth)
