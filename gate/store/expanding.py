"""Scripts as Valkey runs them: in their Lua everything is named, and positions are put in here.

What a script may name is declared in `layout`, and it is loaded only if all of it is there.

    ARGS.meter, NAMES.account     ARGV[2], KEYS[1]
    FIRST.digests                 10, where a list among ARGV or KEYS begins
    ACCOUNT.plan, CATALOGUE.cap   'plan', 'cap:', the name of a field or how it begins
    REASON.ok, OUTCOME.cold       'ok', 'cold', see `gate.terms.reasons`
    KEPT{allowance = a, …}        {a, …}, an answer in its order; what is not given is its default,
                                  or at the end left out where it came later
    TEXT.entry{week = w, …}       (… .. '|' .. w .. '|' .. …), a record as text
    a, b = MATCH.key(text)        string.match(text, '…'); a and b must be called as the fields are
    for a, b in EACH.boost(text)  the same of each record in a list
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from gate.store import layout
from gate.store.layout import Asked, CannotExpand
from gate.terms import week
from gate.terms.reasons import Outcome, Reason

ANSWERS_OF_SCRIPTS: Mapping[str, type[Reason] | type[Outcome]] = {
    "REASON": Reason,
    "OUTCOME": Outcome,
}
# Numbers that scripts have by name.
NUMBERS = {
    "FIRST_MONDAY_MS": week.FIRST_MONDAY_MS,
    "WEEK_MS": week.WEEK_MS,
    "RECENT_AT_MOST": layout.RECENT_AT_MOST,
}


def expand(lua: str, *, script: str) -> str:
    """A script as Valkey runs it."""
    asked = layout.SCRIPTS[script]
    lua = re.sub(r"\bARGS\.(\w+)", lambda m: f"ARGV[{_position(asked.args, m[1])}]", lua)
    lua = re.sub(r"\bNAMES\.(\w+)", lambda m: f"KEYS[{_position(asked.names, m[1])}]", lua)
    lua = re.sub(r"\bFIRST\.(\w+)", lambda m: str(_position(_list_of(asked, m[1]), m[1])), lua)
    lua = re.sub(
        r"\b(ACCOUNT|CATALOGUE)\.(\w+)", lambda m: f"'{layout.HASHES[m[1]].spell(m[2])}'", lua
    )
    lua = re.sub(
        r"\b(REASON|OUTCOME)\.(\w+)", lambda m: f"'{_told(ANSWERS_OF_SCRIPTS[m[1]], m[2])}'", lua
    )
    for name, number in NUMBERS.items():
        lua = re.sub(rf"\b{name}\b", str(number), lua)
    lua = _taken_apart(lua)
    return _built(lua)


def _told(enum: type[Reason] | type[Outcome], name: str) -> str:
    try:
        return enum(name).value
    except ValueError:
        raise CannotExpand(f"there is no {enum.__name__.lower()} {name}") from None


def _position(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise CannotExpand(f"there is no {name}")
    return names.index(name) + 1


def _list_of(asked: Asked, name: str) -> Sequence[str]:
    return asked.args if name in asked.args else asked.names


_ASSIGNED = re.compile(r"((?:\w+\s*,\s*)*\w+)\s*(?:=|\bin)\s*$")


def _taken_apart(lua: str) -> str:
    """Patterns for MATCH and EACH, where what is assigned is called as the record's fields are."""
    while found := re.search(r"\b(MATCH|EACH)\.(\w+)\(", lua):
        record = layout.RECORDS.get(found[2])
        assigned = _ASSIGNED.search(lua[: found.start()])
        if record is None or assigned is None:
            raise CannotExpand(f"{found[0]}…) must be assigned to fields of a record")
        names = re.split(r"\s*,\s*", assigned[1])
        declared = [f"{record.name}_{field.name}" for field in record.fields]
        if names != declared[: len(names)]:
            raise CannotExpand(f"{names} is not how {declared} begins")
        end = _closing(lua, found.end() - 1)
        function, pattern = (
            ("match", record.pattern) if found[1] == "MATCH" else ("gmatch", record.list_pattern)
        )
        called = f"string.{function}({lua[found.end() : end]}, '{pattern}')"
        lua = lua[: found.start()] + called + lua[end + 1 :]
    return lua


def _built(lua: str) -> str:
    """Tables of fields by name, as lists or texts in the declared order."""
    while found := re.search(r"\b(TEXT\.)?(\w+)\{(?=\s*\w+ = )", lua):
        record = layout.RECORDS.get(found[2].lower())
        if record is None:
            raise CannotExpand(f"there is no record {found[2]}")
        end = _closing(lua, found.end() - 1)
        values = dict(_members(lua[found.end() : end]))
        unknown = values.keys() - {field.name for field in record.fields}
        if unknown:
            raise CannotExpand(f"{record.name} has no {sorted(unknown)}")
        fields = record.fields
        while not found[1] and fields[-1].is_later and fields[-1].name not in values:
            # Readers know what a list lacks at its end.
            fields = fields[:-1]
        ordered = [values.get(field.name, _literal(field.default)) for field in fields]
        built = (
            "(" + f" .. '{record.separator}' .. ".join(ordered) + ")"
            if found[1]
            else "{" + ", ".join(ordered) + "}"
        )
        lua = lua[: found.start()] + built + lua[end + 1 :]
    return lua


def _literal(default: object) -> str:
    return str(default) if isinstance(default, int) and not isinstance(default, bool) else "''"


def _closing(lua: str, start: int) -> int:
    depth = 0
    for at in range(start, len(lua)):
        depth += lua[at] in "({["
        depth -= lua[at] in ")}]"
        if not depth:
            return at
    raise CannotExpand("a bracket is not closed")


def _members(inside: str) -> Iterator[tuple[str, str]]:
    depth, start = 0, 0
    for at, sign in enumerate(inside + ","):
        depth += sign in "({["
        depth -= sign in ")}]"
        if sign == "," and not depth:
            member = inside[start:at].strip()
            start = at + 1
            if member:
                name, _, value = member.partition(" = ")
                yield name, value.strip()
