"""Words compiled (`config.words`): without them Django would go on in English and say nothing.

What is compiled is nobody's source and stands in no repository.
"""

import tempfile
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from config.words import catalogues


def compile_words(source: Path, *, to: Path) -> None:
    """Bring the compiled words of `source` to their folder, unless they are there."""
    if to.is_dir():
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent) as name:
        making = Path(name) / "made"
        for path in catalogues(source):
            made = making / path.relative_to(source).with_suffix(".mo")
            made.parent.mkdir(parents=True)
            with path.open("rb") as written, made.open("wb") as file:
                write_mo(file, read_po(written, locale=path.parts[-3], abort_invalid=True))
        try:
            making.rename(to)
        except OSError:
            # Another process may have been as quick.
            if not to.is_dir():
                raise
