"""What `gate.store.layout` declares is what the scripts use, and nothing by its position."""

from collections.abc import Iterable

from gate.store.expanding import expand
from gate.store.layout import Asked, CannotExpand
from lua_rules.source import Finding, Source, every, text_of

UNUSED = "unused_"


def findings(script: str, asked: Asked, sources: Iterable[Source]) -> list[Finding]:
    """Where a script and its declaration differ; `sources` are its files."""
    sources = list(sources)
    own = sources[-1].file
    try:
        expand("\n".join(source.text for source in sources), script=script)
    except CannotExpand as error:
        return [Finding(own, 1, f"as {script}: {error}")]
    used = {
        tuple(text_of(part) for part in node.named_children)
        for source in sources
        for node in every(source.root)
        if node.type == "dot_index_expression"
    }
    return [
        Finding(own, 1, f"{script} is given {macro}.{name} and never uses it")
        for macro, names in (("ARGS", asked.args), ("NAMES", asked.names))
        for name in names
        if not {(macro, name), ("FIRST", name)} & used and not name.startswith(UNUSED)
    ]


def positions(source: Source) -> list[Finding]:
    """Where an argument or name is taken by a number."""
    return [
        source.found(node, f"{text_of(node)}: by its name, see gate.store.layout")
        for node in every(source.root)
        if node.type == "bracket_index_expression"
        and text_of(node.named_children[0]) in {"ARGV", "KEYS"}
        and node.named_children[1].type == "number"
    ]


def header(source: Source) -> list[Finding]:
    """Where a file does not begin by saying what it is for."""
    expected = f"-- {source.file.removesuffix('.lua')}: "
    if source.text.startswith(expected):
        return []
    return [Finding(source.file, 1, f"begins with {expected.rstrip()!r} and what it does")]
