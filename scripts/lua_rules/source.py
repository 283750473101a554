"""A Lua file as a tree, and what is found in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_lua
from tree_sitter import Language, Node, Parser

_LUA = Language(tree_sitter_lua.language())


@dataclass(frozen=True, order=True)
class Finding:
    """What is wrong in a line, counted from 1."""

    file: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.says}"


@dataclass(frozen=True)
class Source:
    """A file, parsed."""

    file: str
    text: str
    root: Node

    def found(self, node: Node, says: str) -> Finding:
        """A finding where `node` begins."""
        return Finding(self.file, node.start_point.row + 1, says)


def parse(text: str, *, file: str) -> Source:
    """The tree of a text; what cannot be read stands in it as an error."""
    return Source(file, text, Parser(_LUA).parse(text.encode()).root_node)


def read(folder: Path, name: str) -> Source:
    """A file by its name without the ending."""
    path = folder / f"{name}.lua"
    return parse(path.read_text("utf-8"), file=path.name)


def text_of(node: Node) -> str:
    """The text of a node."""
    return node.text.decode() if node.text else ""


def every(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the text."""
    yield node
    for child in node.children:
        yield from every(child)


def syntax(source: Source) -> list[Finding]:
    """Where the text is no Lua."""
    return [
        source.found(node, f"no Lua: {text_of(node)[:40]!r}" if node.is_error else "unfinished")
        for node in every(source.root)
        if node.is_error or node.is_missing
    ]
