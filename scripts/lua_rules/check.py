"""All rules at once."""

from collections.abc import Mapping
from pathlib import Path

from gate.store.layout import Asked
from lua_rules import contracts, form
from lua_rules.names import Names
from lua_rules.source import Finding, read, syntax


def check(folder: Path, scripts: Mapping[str, Asked]) -> list[Finding]:
    """What is wrong with the files of a folder, of which the scripts are made."""
    sources = {path.stem: read(folder, path.stem) for path in sorted(folder.glob("*.lua"))}
    found = [finding for source in sources.values() for finding in syntax(source)]
    if found:
        # What cannot be read has no names yet.
        return found
    for source in sources.values():
        found += form.findings(source) + contracts.header(source) + contracts.positions(source)
    names = Names()
    for script, asked in scripts.items():
        files = [sources[name] for name in asked.files]
        names.add(files)
        found += contracts.findings(script, asked, files)
    in_none = sources.keys() - {name for asked in scripts.values() for name in asked.files}
    found += [Finding(sources[name].file, 1, "is part of no script") for name in sorted(in_none)]
    return sorted(found + names.found())


def fix(folder: Path) -> None:
    """Lay out every file of a folder."""
    for path in folder.glob("*.lua"):
        text = form.formatted(read(folder, path.stem))
        if text != path.read_text("utf-8"):
            path.write_text(text, "utf-8")
