"""Colours are put into code and change nothing of it."""

import html
import re
from pathlib import Path

import pytest
from django.conf import settings

from config.coloured import coloured

EXAMPLES = sorted((Path(settings.BASE_DIR) / "templates/examples").iterdir())


def text_of(shown: str) -> str:
    return html.unescape(re.sub("<[^>]+>", "", shown))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_reads_as_it_was_written(path: Path) -> None:
    code = path.read_text()
    shown = coloured(code, path.suffixes[0].removeprefix("."))
    assert text_of(shown) == code
    assert '<span class="s">' in shown


def test_code_is_escaped() -> None:
    code = "if a < b && c: '<script>'  # <b>"
    shown = coloured(code, "python")
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert text_of(shown) == code
    assert '<span class="k">if</span>' in shown
    assert '<span class="c"># &lt;b&gt;</span>' in shown
