"""What an account used in a span: by bar and source, by part, with refusals and tokens.

One statement reads it all, so that everything is of one moment: totals of the hours before
`Totalled.up_to`, rollups from it on, and the cursor of the drain. What still waits in the stream is
read before and added if the cursor has not passed it (`live`). So the numbers are the gate's own,
to the chat and to the last second, whatever the drain does meanwhile.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import connection as database

from accounts.models import Account
from gate.store.hot_state import Entry
from keys.models import ApiKey
from quotas.usage import report_statement, stream
from quotas.usage.asked import By, Only
from quotas.usage.spans import Span


@dataclass(slots=True)
class Amount:
    """Chats, and the credits that paid for some of them."""

    chats: int = 0
    credits: int = 0

    def add(self, chats: int, credits: int) -> None:
        """Count some more."""
        self.chats += chats
        self.credits += credits


@dataclass(slots=True)
class Tokens:
    """Settled answers of one model: how many, their chats, and tokens as the model counts."""

    chats: int = 0
    answers: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, chats: int, answers: int, tokens_in: int, tokens_out: int) -> None:
        """Count some more."""
        self.chats += chats
        self.answers += answers
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out


@dataclass(slots=True)
class Report:
    """What was used in a span. Bars are numbered as the span's, from 0.

    by_bar: chats by bar and source; of a model that is asked for, which has none, under "". parts:
    chats of keys and members by their id, of tags by their name, "" being “other”. rest: chats of
    more parts than are told. tokens: by model. refused: refusals by bar and reason. drained_id: up
    to where the drain had come.
    """

    by_bar: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(Counter))
    by_source: Counter[str] = field(default_factory=Counter)
    by_meter: Counter[str] = field(default_factory=Counter)
    parts: dict[int | str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    rest: int = 0
    credits: int = 0
    refused: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    tokens: dict[str, Tokens] = field(default_factory=lambda: defaultdict(Tokens))
    drained_id: str = "0-0"

    @property
    def total(self) -> int:
        """Chats of the whole span."""
        return self.by_source.total()

    @property
    def refusals(self) -> Counter[str]:
        """Refusals of the whole span by reason."""
        return sum(self.refused.values(), Counter())

    def count(self, bar: int, source: str, meter: str, amount: tuple[int, int]) -> None:
        """Count so many chats and credits more."""
        chats, credits = amount
        self.by_bar[bar][source] += chats
        self.by_source[source] += chats
        self.by_meter[meter] += chats
        self.credits += credits

    def of_bar(self, bar: int) -> int:
        """Chats of one bar."""
        return sum(self.by_bar.get(bar, {}).values())


def report_of(account: Account, span: Span, *, by: By, only: Only) -> Report:
    """What is drained of an account's use in a span."""
    report = Report()
    statement, values = report_statement.of(account, span, by=by, only=only)
    with database.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    for kind, bar, name, meter, first, second, third, fourth in rows:
        if kind == "drained":
            report.drained_id = name
        elif kind == "used":
            report.count(bar, name, meter, (first, second))
        elif kind == "before":
            # What of the hour or day that a bar begins in belongs to the one before it.
            if bar < len(span.bars):
                report.count(bar, name, meter, (-first, -second))
            if bar > 0:
                report.count(bar - 1, name, meter, (first, second))
        elif kind == "part":
            report.parts[name if by is By.TAG else int(name)].add(first, second)
        elif kind == "rest":
            report.rest += first
        elif kind == "refused":
            report.refused[bar][name] += first
        else:
            report.tokens[name].add(first, second, third, fourth)
    return report


def add_waiting(
    report: Report, span: Span, waiting: Iterable[Entry], *, by: By, only: Only
) -> None:
    """Count what the drain had not come to when the report was read."""
    waiting = asked_for(waiting, span, only=only)
    members = _members_of(waiting) if by is By.MEMBER else {}
    for entry in waiting:
        bar = span.bar_at(stream.counted_at(entry))
        assert bar is not None
        parts: dict[By, int | str] = {By.KEY: entry.key_id, By.MEMBER: members.get(entry.key_id, 0)}
        if entry.tag:
            parts[By.TAG] = entry.tag
        for source, chats, credits in stream.paid(entry):
            if only.source not in {None, source}:
                continue
            report.count(bar, "" if only.model else source, entry.meter, (chats, credits))
            if by in parts:
                report.parts[parts[by]].add(chats, credits)
        if entry.tokens is not None:
            told = entry.tokens
            report.tokens[told.model].add(entry.chats, 1, told.tokens_in, told.tokens_out)


def asked_for(waiting: Iterable[Entry], span: Span, *, only: Only) -> list[Entry]:
    """Those of some charges that a question is about; what paid is for the caller to look at."""
    entries = [
        entry
        for entry in waiting
        if span.starts_at <= stream.counted_at(entry) < span.ends_at
        and only.meter in {None, entry.meter}
        and only.key in {None, entry.key_id}
        and only.tag in {None, entry.tag or None}
        and only.model in {None, None if entry.tokens is None else entry.tokens.model}
    ]
    if only.member is None:
        return entries
    members = _members_of(entries)
    return [entry for entry in entries if members.get(entry.key_id, 0) == only.member]


def _members_of(entries: Iterable[Entry]) -> dict[int, int]:
    keys = {entry.key_id for entry in entries}
    if not keys:
        return {}
    made = ApiKey.objects.filter(pk__in=keys).values_list("pk", "created_by_id")
    return {key_id: user_id or 0 for key_id, user_id in made}
