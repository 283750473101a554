"""Code as pages show it: coloured once, by the server."""

from functools import lru_cache

from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from pygments.lexer import Lexer
from pygments.lexers.javascript import JavascriptLexer
from pygments.lexers.python import PythonLexer
from pygments.lexers.shell import BashLexer
from pygments.token import Comment, Keyword, Number, String, _TokenType

_LEXERS: dict[str, type[Lexer]] = {
    "curl": BashLexer,
    "javascript": JavascriptLexer,
    "python": PythonLexer,
}
# Few colours: what is a comment, a text, a word of the language, a number.
_CLASSES = ((Comment, "c"), (String, "s"), (Keyword, "k"), (Number, "n"))


@lru_cache(maxsize=256)
def coloured(code: str, language: str) -> SafeString:
    """The code with its parts in spans of a class, and nothing else: its text stays as it is."""
    lexer = _LEXERS[language](stripnl=False, ensurenl=False)
    parts: list[tuple[str, str]] = []
    for kind, text in lexer.get_tokens(code):
        name = _class_of(kind)
        if parts and parts[-1][0] == name:
            parts[-1] = (name, parts[-1][1] + text)
        else:
            parts.append((name, text))
    return SafeString(
        "".join(
            format_html_join("", '<span class="{}">{}</span>' if name else "{1}", [(name, text)])
            for name, text in parts
        )
    )


def _class_of(kind: _TokenType) -> str:
    if kind in String.Escape:
        return ""
    return next((name for wide, name in _CLASSES if kind in wide), "")
