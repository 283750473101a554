"""How Lua is laid out: spaces and quotes are given, line breaks are left to people."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby, pairwise

from tree_sitter import Node

from lua_rules.source import Finding, Source, text_of

LONGEST_LINE = 100
_INDENT = 2
_CLOSING = {"end", "else", "elseif", "until"}


def findings(source: Source) -> list[Finding]:
    """Lines that are laid out otherwise, or too long."""
    lines = source.text.splitlines()
    wanted = formatted(source).splitlines()
    changes = SequenceMatcher(None, lines, wanted, autojunk=False).get_opcodes()
    found = [
        Finding(source.file, begin + 1, "is not formatted: scripts/lint --fix")
        for change, begin, *_ in changes
        if change != "equal"
    ]
    if lines == wanted and source.text != formatted(source):
        found.append(Finding(source.file, len(lines), "ends in other than one line end"))
    return found + [
        Finding(source.file, number, f"has {len(line)} characters, {LONGEST_LINE} are the most")
        for number, line in enumerate(lines, 1)
        if len(line) > LONGEST_LINE
    ]


def formatted(source: Source) -> str:
    """The text as it should be. One that cannot be read is left as it is."""
    if source.root.has_error:
        return source.text
    rows = [
        list(row) for _, row in groupby(_tokens(source.root), lambda token: token.start_point.row)
    ]
    lines: list[str] = []
    ended = rows[0][0].start_point.row - 1 if rows else -1
    for at, row in enumerate(rows):
        if lines and row[0].start_point.row > ended + 1:
            lines.append("")
        lines.append(" " * _indentation(rows, at) + _line(row))
        ended = row[-1].end_point.row
    return "".join(f"{line}\n" for line in lines)


def _tokens(node: Node) -> Iterator[Node]:
    if node.child_count == 0 or node.type in {"string", "comment"}:
        yield node
        return
    for child in node.children:
        yield from _tokens(child)


def _line(row: list[Node]) -> str:
    line = _text(row[0])
    for before, token in pairwise(row):
        line += " " * _gap(before, token) + _text(token)
    return line


def _text(token: Node) -> str:
    text = text_of(token).rstrip()
    if token.type == "string" and text.startswith('"') and not {"'", "\\"} & set(text):
        return f"'{text[1:-1]}'"
    return text


def _gap(before: Node, token: Node) -> int:
    """Spaces between two tokens of a line."""
    holder = token.parent.type if token.parent else ""
    opens = {
        "(": holder in {"arguments", "parameters"},
        "[": holder == "bracket_index_expression",
        "{": bool(token.parent and token.parent.parent and token.parent.parent.type == "arguments")
        and text_of(before) not in {"(", ","},
    }
    is_sign = (
        before.parent is not None
        and before.parent.type == "unary_expression"
        and before.type != "not"
        and before == before.parent.children[0]
    )
    touch = (
        before.type in {"(", "[", "{", ".", ":"}
        or token.type in {")", "]", "}", ",", ";", ".", ":"}
        or opens.get(token.type, False)
        or is_sign
    )
    return 0 if touch else 1


def _indentation(rows: list[list[Node]], at: int) -> int:
    token = rows[at][0]
    if token.type == "comment":
        after = next((row for row in range(at, len(rows)) if rows[row][0].type != "comment"), None)
        if after is None:
            return 0
        inside = _INDENT if rows[after][0].type in _CLOSING else 0
        return _indentation(rows, after) + inside
    depth = _INDENT * _depth(token)
    if token.type in _CLOSING or _begins_statement(token):
        return depth
    # What goes on is further in: how far is left to people.
    least = depth if token.type in {")", "}", "]"} else depth + _INDENT
    column = token.start_point.column
    return column if column >= least and column % _INDENT == 0 else least


def _depth(token: Node) -> int:
    depth, node = 0, token.parent
    while node:
        depth += node.type == "block"
        node = node.parent
    return depth


def _begins_statement(token: Node) -> bool:
    node: Node | None = token
    while node and node.parent and node.start_byte == token.start_byte:
        if node.parent.type in {"block", "chunk"}:
            return True
        node = node.parent
    return False
