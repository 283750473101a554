"""Every record that crosses between PostgreSQL, Lua and callers, or outlives a release: once.

A record is a list of fields in an order that never changes. A new field is appended; one that is
no longer used stays, as a blank. Readers take what is there, default what is missing and ignore
what they do not know, so that the release before and the release after run side by side on one
Valkey. `tests/gate/layouts/` holds one of each as every release wrote it.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import call
from typing import Any
from urllib.parse import unquote

UNLIMITED = -1
# So many decisions of an account are kept that passed, and so many that were refused.
RECENT_AT_MOST = 1000


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _maybe_int(value: Any) -> int | None:
    return None if value in {"", b"", None} else int(value)


def _limit(value: Any) -> int | None:
    number = int(value)
    return None if number == UNLIMITED else number


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `default` is what a record without it means; the first ones are always there."""

    name: str
    says: str
    kind: Callable[[Any], Any] = _text
    default: Any = ""
    is_later: bool = False

    @property
    def missing(self) -> Any:
        """What a record without it says."""
        return self.kind(self.default)


def text(name: str, says: str) -> Field:
    """A text without the record's separators."""
    return Field(name, says)


def whole(name: str, says: str) -> Field:
    """A whole number."""
    return Field(name, says, int, 0)


def limit(name: str, says: str) -> Field:
    """A whole number, where -1 is no limit and reads as None."""
    return Field(name, says, _limit, UNLIMITED)


def whole_or_none(name: str, says: str) -> Field:
    """A whole number, or a blank."""
    return Field(name, says, _maybe_int, None)


@dataclass(frozen=True)
class Record:
    """Fields in their order; as text between separators, in lists of it between others."""

    name: str
    says: str
    fields: tuple[Field, ...]
    separator: str = "|"
    list_separator: str = ""

    def write(self, **values: Any) -> str:
        """The record as text; what is not given is its default."""
        unknown = values.keys() - {field.name for field in self.fields}
        if unknown:
            raise TypeError(f"{self.name} has no {sorted(unknown)}")
        return self.separator.join(
            _spell(values.get(field.name, field.default)) for field in self.fields
        )

    def read(self, record: str) -> dict[str, Any]:
        """Every field of a record as text."""
        return self.read_parts(record.split(self.separator))

    def read_parts(self, parts: Sequence[Any]) -> dict[str, Any]:
        """Every field of a record that came apart already, as an answer of Valkey does."""
        known = {
            field.name: field.kind(part) for field, part in zip(self.fields, parts, strict=False)
        }
        for field in self.fields[len(parts) :]:
            known[field.name] = field.missing
        return known

    def values(self, parts: Sequence[Any]) -> Iterator[Any]:
        """The same as values in their order, as far as they are known: for the hot path."""
        return map(call, self.readers, parts)

    @cached_property
    def readers(self) -> tuple[Callable[[Any], Any], ...]:
        """What makes a value of each part."""
        # Valkey answers in bytes.
        return tuple(bytes.decode if field.kind is _text else field.kind for field in self.fields)

    @cached_property
    def template(self) -> str:
        """What makes a text of the values that are always there, with %: for the hot path."""
        early = (field for field in self.fields if not field.is_later)
        return self.separator.join("%s" if field.kind is _text else "%d" for field in early)

    def read_list(self, records: str) -> Iterator[dict[str, Any]]:
        """Each of several records in one text."""
        return (self.read(record) for record in records.split(self.list_separator) if record)

    def at(self, name: str) -> int:
        """Where a field stands, from 0."""
        return [field.name for field in self.fields].index(name)

    @property
    def pattern(self) -> str:
        """What takes the record apart in Lua, whatever was appended since or is missing."""
        part = f"([^{self.separator}]*)"
        early = [part for field in self.fields if not field.is_later]
        late = [f"{self.separator}?{part}" for field in self.fields if field.is_later]
        return "^" + self.separator.join(early) + "".join(late)

    @property
    def list_pattern(self) -> str:
        """What takes each record of a list apart in Lua."""
        part = f"([^{self.separator}{self.list_separator}]+)"
        return self.separator.join(part for _ in self.fields) + f"[^{self.list_separator}]*"


def later(field: Field) -> Field:
    """A field that records of 0.1.0 may lack."""
    return Field(field.name, field.says, field.kind, field.default, is_later=True)


def _spell(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


# --- what stands in Valkey --------------------------------------------------------------------

KEY = Record(
    "key",
    "What an API key may do: field k:<digest> of an account.",
    (
        whole("version", "The highest one of a key wins."),
        whole("id", "Of the row in PostgreSQL."),
        text("state", "active, or anything else for a key that is refused."),
        whole_or_none("expires_ms", "When it ends by itself."),
        whole_or_none("weekly_cap", "Chats a week that it may use."),
        text("scopes", "Meters that it may use, with commas; none is all."),
        text("addresses", "Networks that it may be used from, with commas; none is anywhere."),
    ),
)
BOOST = Record(
    "boost",
    "What a boost grants: each in field boosts of an account.",
    (
        whole("id", "Of the row in PostgreSQL."),
        whole("chats", "Granted, spent ones included."),
        whole("expires_ms", "When it ends."),
    ),
    separator=",",
    list_separator=";",
)
PLAN = Record(
    "plan",
    "One plan of several that follow one another.",
    (text("slug", "Of the plan."), whole("ends_ms", "When the next one counts; 0 is never.")),
    separator=",",
    list_separator=";",
)
PLANS = Record(
    "plans",
    "Plans that follow one another: field plans of an account, blank where one counts for good.",
    (
        whole(
            "version",
            "Of the account, as it was written: a release that does not know plans writes another.",
        ),
        text("in_turn", "In the order of time, see plan."),
    ),
)
TAKEN = Record(
    "taken",
    "What was taken from boosts.",
    (whole("id", "Of the boost."), whole("chats", "Taken; negative in a refund.")),
    separator=":",
    list_separator=",",
)
COUNTED = Record(
    "counted",
    "What a key used in a week: field u:<digest> of an account.",
    (whole("week", "The last one in which it was used."), whole("chats", "Of every source.")),
    separator=":",
)
SPENDING = Record(
    "spending",
    "What may be spent past the allowance: fields spending and p:<digest> of an account; blank "
    "where nothing was chosen. Apart from key, which 0.1.0 does not know longer than it is.",
    (
        text("past_allowance", "What pays then: blank for all, boosts, or nothing."),
        whole_or_none("credits_a_week", "At the most."),
        whole_or_none("credits_a_month", "At the most, in a calendar month."),
        whole_or_none("units_a_request", "At the most."),
    ),
)
PAID = Record(
    "paid",
    "Credits that were spent lately: fields paid and c:<digest> of an account.",
    (
        whole("week", "The last one in which some were."),
        whole("in_week", "Credits."),
        whole("month", "The last one in which some were, see `terms.month`."),
        whole("in_month", "Credits."),
    ),
    separator=":",
)
PACE = Record(
    "pace",
    "How quickly may be asked, and for what besides: field m:<digest> of an account, and field "
    "pace:<plan> of a catalogue; none where there is no limit.",
    (
        whole_or_none("a_minute", "Requests in any 60 seconds."),
        whole_or_none("at_once", "Open holds."),
        # Here, because whatever has no limits has no such field, and costs no check anything.
        later(text("meters", "Of a plan: those that keys may use, with commas; blank is all.")),
        later(text("models", "Of a key: those that it may ask, with commas; blank is all.")),
    ),
)
ROTATED = Record(
    "rotated",
    "Of a key that was given a new secret: field o:<digest> of an account, for the new one and the "
    "one before it; none of other keys. Not with the separator of holds, which are looked through "
    "for a digest.",
    (
        text("counted_as", "The digest of its first secret, which all of them are counted under."),
        text(
            "current",
            "The digest of the secret that it has now: where that one is refused, so "
            "is the former.",
        ),
    ),
    separator=":",
)
BUDGET = Record(
    "budget",
    "What may be used: field q:<digest> of an account for a key, and each in field budgets of an "
    "account for a member; none where there is no limit.",
    (
        whole_or_none("a_day", "Chats of a day, in UTC."),
        whole_or_none("a_week", "Chats of a week; of keys it stands in their record."),
        whole_or_none("a_month", "Chats of a calendar month."),
        whole_or_none("in_all", "Chats."),
        whole_or_none("member", "Of a key: whose it is, where that member has a budget."),
    ),
)
AMOUNTS = Record(
    "amounts",
    "What was used, by those who have a budget: fields d:<key id> and w:<member id> of an account; "
    "without it `count` says it first.",
    (
        whole("day", "The last one in which something was, from 1970 on."),
        whole("in_day", "Chats of every source."),
        whole("week", "The last one in which something was."),
        whole("in_week", "Chats."),
        whole("month", "The last one in which something was, see `terms.month`."),
        whole("in_month", "Chats."),
        whole("in_all", "Chats."),
        text("member", "Of a key: in whose amounts it counts, too; or blank."),
    ),
    separator=":",
)
MET = Record(
    "met",
    "The budget that refuses: part of an answer.",
    (
        text("by", "key or member."),
        text("period", "day, week, month or all."),
        whole("most", "Chats that it lets be used."),
        whole("used", "Chats that were."),
    ),
)
LATELY = Record(
    "lately",
    "Requests that were let through in a second of the clock.",
    (whole("second", "Since 1970."), whole("requests", "Of whatever size.")),
    separator=":",
    list_separator=",",
)
REQUESTS = Record(
    "requests",
    "Requests that were let through in the last minute: fields requests and r:<key id> of an "
    "account, written only where a limit asks for it.",
    (
        whole("together", "Of all those seconds."),
        whole("second", "The last in which there were some, since 1970."),
        whole("in_second", "In that one."),
        text("earlier", "Of those before it, see lately; the oldest first."),
    ),
)
ROOM = Record(
    "room",
    "What the tightest limits of account and key leave: part of an answer.",
    (
        whole_or_none("a_minute", "Requests that the limit lets through; blank is no limit."),
        whole("left", "Requests that it lets through now."),
        whole("frees_ms", "When it lets through more; 0 where all are left."),
        whole_or_none("at_once", "Holds that the limit lets be open; blank is no limit."),
        whole("open", "Holds that are. Of a look or where it refuses; otherwise at the most."),
    ),
)
HOLD = Record(
    "hold",
    "A charge that is not settled: field h:<hold id> of an account.",
    (
        whole("week", "Whose allowance it took."),
        whole("allowance", "Chats."),
        text("boosts", "What boosts paid, see taken."),
        whole("credits", "What credits paid."),
        whole("credit_chats", "Chats that those credits paid."),
        text("digest", "Of the key."),
        whole("chats", "Of every source."),
        whole("cost", "Chats of one unit."),
        whole("at_ms", "When it was taken."),
        whole("key_id", "Of the key."),
        text("meter", "What was used."),
    ),
)
ENTRY = Record(
    "entry",
    "A charge, or with negative amounts a refund, as it waits in the stream: field e.",
    (
        text("handle", "Of the account."),
        whole("key_id", "Of the key."),
        text("meter", "What was used."),
        whole("week", "Whose allowance it took."),
        whole("allowance", "Chats."),
        text("boosts", "What boosts paid, see taken."),
        whole("credit_chats", "Chats that credits paid."),
        whole("credits", "What credits paid."),
        whole("at_ms", "When it was charged."),
    ),
)
NOTE = Record(
    "note",
    "What a check says of itself, for people: field n of the stream. Nothing is decided by it.",
    (
        text("tag", "For whom, in the caller's words, see `terms.tags`."),
        text("model", "As customers name it, where that is known."),
        text("request_id", "By which people find the decision again."),
    ),
    # No text of a caller may hold it.
    separator="\x1f",
)
PASSED = Record(
    "passed",
    "A charge or refund that PostgreSQL has: each in list l of an account.",
    (
        text("entry_id", "In the stream."),
        text("e", "See entry."),
        text("m", "Charge ref and mark, see mark; or blank."),
        text("t", "See tokens; or blank."),
        text("n", "See note; or blank."),
    ),
    separator="\x1e",
)
REFUSED = Record(
    "refused",
    "A refusal: in a place f:<0 to 999> of an account.",
    (
        whole("at_ms", "When it was decided."),
        whole("number", "Among all that the account ever had here."),
        whole("key_id", "Of the key."),
        text("meter", "What was asked for; blank where there is no such meter."),
        whole("chats", "That it would have taken."),
        text("reason", "Why."),
        text("note", "See note; or blank."),
    ),
    separator="\x1e",
)
TOKENS = Record(
    "tokens",
    "What a settled answer took of a model: field t of the stream.",
    (
        text("model", "As customers name it."),
        whole("tokens_in", "Of the question."),
        whole("tokens_out", "Of the answer."),
    ),
)
MARK = Record(
    "mark",
    "What a refund or settlement did to a charge: {gNN}x:<charge ref>, and field m of the stream.",
    (
        text("kind", "refunded or settled."),
        whole("allowance", "Chats given back, or kept."),
        text("boosts", "Of boosts, see taken."),
        whole("credits", "Credits."),
        whole("credit_chats", "Chats of those credits."),
        later(whole_or_none("units", "Kept, of a settlement.")),
    ),
)
RECEIPT = Record(
    "receipt",
    "What a charge id says, under a signature.",
    (
        text("handle", "Of the account."),
        text("charge_ref", "Id of the stream entry, or of the hold."),
        Field("is_hold", "1 for a hold.", lambda value: _text(value) == "1", default=False),
        whole("at_ms", "When it was charged."),
        whole("week", "Whose allowance it took."),
        whole("key_id", "Of the key."),
        text("key_digest", "Of the key."),
        text("meter", "What was used."),
        whole("allowance", "Chats."),
        text("boosts", "What boosts paid, see taken."),
        whole("credits", "What credits paid."),
        whole("credit_chats", "Chats that those credits paid."),
        later(
            Field(
                "note",
                "See note, with %7C for separators; of a charge its tag. Left out where blank.",
                lambda value: unquote(_text(value)),
            )
        ),
    ),
)


class CannotExpand(ValueError):
    """A script names what is not declared here, or in another order."""


@dataclass(frozen=True)
class Hash:
    """Fields by name, in no order; those that there is one of for each of something begin alike."""

    name: str
    says: str
    fields: tuple[Field, ...]
    begins: Mapping[str, str]  # how those are spelled that are followed by an id

    def spell(self, name: str) -> str:
        """The name of a field in Valkey, or how it begins."""
        if name in self.begins:
            return self.begins[name]
        if name not in {field.name for field in self.fields}:
            raise CannotExpand(f"{self.name} has no {name}")
        return name


ACCOUNT = Hash(
    "account",
    "An account: {gNN}a:<handle>.",
    (
        # By projections.
        whole("epoch", "Of its partition; another one makes the account cold."),
        whole("version", "Of what PostgreSQL grants; the highest stays."),
        text("plan", "The one that counted when this was written, for releases without plans."),
        text("plans", "See plans."),
        text("packs", "Slugs, with commas."),
        text("suspended", "1 refuses every request."),
        whole("credits", "Granted in total."),
        text("boosts", "See boost."),
        # By the scripts.
        whole("week", "The last one in which it was used."),
        whole("used", "Chats of that week's allowance."),
        whole("credits_spent", "In total."),
        whole("holding", "How many holds are open."),
        whole(
            "refused", "How many refusals were kept, those included that others took the place of."
        ),
        # By projections, later.
        text("spending", "See spending."),
        # By the scripts, later.
        text("paid", "See paid."),
        text("requests", "See requests."),
        # By projections, later.
        text("budgets", "Of members: <id>=<budget>, see budget, with semicolons."),
    ),
    {
        "key": "k:",
        "counted": "u:",
        "spent_of_boost": "b:",
        "hold": "h:",
        "refusal": "f:",
        "spending_of_key": "p:",
        "paid_by_key": "c:",
        "pace_of_key": "m:",
        # By the id of the key, not by its digest.
        "requests_of_key": "r:",
        "rotated": "o:",
        "budget_of_key": "q:",
        "amounts_of_key": "d:",
        "amounts_of_member": "w:",
    },
)
CATALOGUE = Hash(
    "catalogue",
    "A partition's copy of plans, packs, meters and the credit rate: {gNN}c.",
    (
        whole("epoch", "Raised when Valkey lost something."),
        whole("version", "Of the catalogue; the highest stays."),
        whole("pushes", "Projections into the partition; an older copy knows fewer."),
        whole("rate", "Credits of one chat."),
    ),
    {"meter": "meter:", "cap": "cap:", "pace": "pace:"},
)
HASHES = {"ACCOUNT": ACCOUNT, "CATALOGUE": CATALOGUE}

# --- what scripts answer ----------------------------------------------------------------------

ANSWER = Record(
    "answer",
    "What check answers, and what a replay record keeps of it.",
    (
        text("status", "ok, or why not."),
        whole("key_id", "Of the key."),
        text("plan", "Slug."),
        limit("cap", "Chats a week."),
        whole("used", "Of the week's allowance, this charge included."),
        whole("boost_left", "Chats in boosts."),
        whole("credits_left", "May be negative."),
        whole("credits_per_chat", "What a chat costs past allowance and boosts."),
        whole("week", "The one that counts."),
        whole("allowance_taken", "Chats."),
        text("boosts_taken", "See taken."),
        whole("credits_taken", "Credits."),
        text("entry_id", "Of the stream entry, or of the hold."),
        whole("at_ms", "When it was decided."),
        text("left_by_boost", "What is left in each, see taken; of a look only."),
        limit("key_cap", "Chats a week that the key may use."),
        whole("key_used", "Chats of the key this week."),
        text("key_digest", "The one that matched."),
        later(whole("wanted", "Chats that the request takes.")),
        later(text("note", "Of the first check with this request id, see note; or blank.")),
        later(text("scopes", "Meters that the key may use, see key; of a look only.")),
        later(text("past_allowance", "The stricter of what account and key chose, see spending.")),
        later(limit("credit_room", "Credits that their ceilings leave now.")),
        later(limit("units_a_request", "The lower ceiling.")),
        later(text("chosen_by", "Whose choice refuses: account, key, or blank.")),
        later(whole("passes_at_ms", "When the same may pass by itself; 0 where it may not.")),
        later(text("room", "See room; blank where nothing limits how quickly is asked.")),
        later(whole("matched", "Which of the digests that were asked for, from 0.")),
        later(text("models", "That the key may ask, see pace; of a look only.")),
        later(limit("budget_left", "Chats that budgets of key and member leave.")),
        later(text("met", "The budget that refuses, see met; or blank.")),
    ),
)
KEPT = Record(
    "kept",
    "What refund and settle answer: given back by the one, kept by the other.",
    (
        text("status", "ok, already, or why not."),
        whole("allowance", "Chats."),
        text("boosts", "See taken."),
        whole("credits", "Credits."),
        whole("credit_chats", "Chats of those credits."),
    ),
)
PUSHED = Record(
    "pushed",
    "What the scripts that project answer.",
    (text("status", "stored, or why not."), whole("pushes", "Into the partition so far.")),
)

# --- what scripts are asked -------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """A script: its files, its names and arguments, in their order.

    The last name and argument may begin a list. The files before the last hold functions that
    several scripts share.
    """

    files: tuple[str, ...]
    names: tuple[str, ...]
    args: tuple[str, ...]
    ends_in_list: bool = False

    @cached_property
    def pack(self) -> Callable[..., tuple[str | int, ...]]:
        """Makes a tuple of arguments in their order; a list at the end is left out."""
        args = self.args[:-1] if self.ends_in_list else self.args
        # Typed ones cannot be made from what is declared as data.
        return namedtuple("Arguments", args)  # noqa: PYI024

    def cut(self, name: str, *, rest: tuple[str, ...]) -> Callable[..., tuple[str | int, ...]]:
        """The same of the arguments before `name`; the rest must be these, in this order.

        For the hot path, which puts the rest behind them as it is.
        """
        first, last = self.args[: self.args.index(name)], self.args[self.args.index(name) :]
        if last != rest:
            raise CannotExpand(f"{rest} is not how the arguments end: {last}")
        return namedtuple("Arguments", first)  # noqa: PYI024


_CHARGE_NAMES = ("account", "catalogue", "stream")
SCRIPTS: Mapping[str, Asked] = {
    "check": Asked(
        files=("clock", "check", "periods", "amounts", "holds", "pace", "check_rest"),
        names=(*_CHARGE_NAMES, "refusals", "holds", "replay", "replay_of_first_release"),
        args=(
            *("now_ms", "meter", "units", "handle", "replay_window_ms", "fingerprint", "address"),
            *("hold_ms", "hold_id", "note", "digests"),
        ),
        ends_in_list=True,
    ),
    "refund": Asked(
        files=("clock", "periods", "amounts", "holds", "refund"),
        names=(*_CHARGE_NAMES, "mark", "holds"),
        args=(
            *("handle", "key_id", "meter", "at_ms", "week", "allowance", "boosts", "credits"),
            *("window_ms", "now_ms", "credit_chats", "charge_ref", "key_digest", "is_hold"),
            "note",
        ),
    ),
    "settle": Asked(
        files=("clock", "periods", "amounts", "holds", "settle"),
        names=(*_CHARGE_NAMES, "mark", "holds"),
        args=("handle", "hold_id", "units", "window_ms", "now_ms", "tokens", "note"),
    ),
    "extend": Asked(
        files=("clock", "periods", "amounts", "holds", "extend"),
        names=("account", "catalogue", "holds"),
        args=("hold_id", "hold_ms", "now_ms"),
    ),
    "count": Asked(
        files=("periods", "amounts", "holds", "count"),
        names=("account", "catalogue", "stream", "holds"),
        args=(
            *("epoch", "drained_id", "handle", "field", "member", "amounts"),
            "key_ids",
        ),
        ends_in_list=True,
    ),
    "put_account": Asked(
        files=("put_account",),
        names=("account", "catalogue", "holds", "marks"),
        args=("snapshot", "window_ms", "contents"),
        ends_in_list=True,
    ),
    "put_key": Asked(
        files=("put_key",),
        names=("account", "catalogue"),
        args=(
            *("digest", "record", "remembered_ms", "pushes", "spending", "pace", "rotated"),
            *("former_digest", "former_record", "budget"),
        ),
    ),
    "put_catalogue": Asked(
        files=("put_catalogue",),
        names=("catalogue", "stream"),
        args=("epoch", "version", "pushes", "drained_id", "fields"),
        ends_in_list=True,
    ),
}
RECORDS: Mapping[str, Record] = {
    record.name: record
    for record in (
        *(
            KEY,
            PLAN,
            PLANS,
            BOOST,
            TAKEN,
            COUNTED,
            SPENDING,
            PAID,
            PACE,
            ROTATED,
            BUDGET,
            AMOUNTS,
            MET,
            LATELY,
            REQUESTS,
            ROOM,
            HOLD,
            ENTRY,
            NOTE,
            PASSED,
            REFUSED,
            TOKENS,
            MARK,
            RECEIPT,
            ANSWER,
            KEPT,
            PUSHED,
        ),
    )
}
