"""What there is to translate, found in the code; and a language that shows what is not."""

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import allauth
import django
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo, write_mo
from django.conf import settings
from django.template import Engine
from django.template.base import Node, NodeList
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils.translation import trans_real

Message = str | tuple[str, ...]
_ROOMS = ("accounts", "alerts", "api", "billing", "config", "gate", "keys", "partitions", "quotas")
# How each is called by Django, and how many texts it is given.
_ONE = {"gettext", "gettext_lazy", "gettext_noop", "_"}
_MANY = {"ngettext", "ngettext_lazy"}
_IN_CONTEXT = {"pgettext", "pgettext_lazy"}
# Between a context and its text, as compiled files have it.
OF = "\x04"
# `_("…")` in a template.
_VALUE = re.compile(r"""\b_\((["'])(.*?)\1\)""")


@cache
def messages_of_code() -> set[Message]:
    """All texts that Python marks; a tuple is one and many."""
    found: set[Message] = set()
    for room in _ROOMS:
        for path in (settings.BASE_DIR / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    found |= _marked_by(node)
    return found


def _marked_by(call: ast.Call) -> set[Message]:
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    texts = [
        one.value
        for one in call.args[:2]
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    if name in _ONE and texts:
        return {texts[0]}
    if name in _MANY and len(texts) == 2:
        return {(texts[0], texts[1])}
    if name in _IN_CONTEXT and len(texts) == 2:
        return {f"{texts[0]}{OF}{texts[1]}"}
    return set()


@cache
def messages_of_templates() -> set[Message]:
    """All texts that templates mark, by tags or as a value."""
    ours, found = Engine.get_default(), set[Message]()
    # allauth's tags of other sites are there where one is known, and here they are only read.
    engine = Engine(
        dirs=ours.dirs,
        libraries={**ours.libraries, "socialaccount": "tests.site.tags_of_other_sites"},
        builtins=ours.builtins,
    )
    folder = settings.BASE_DIR / "templates"
    for path in folder.rglob("*"):
        if path.suffix in {".html", ".txt"}:
            found |= set(_marked_in(engine.get_template(str(path.relative_to(folder))).nodelist))
            found |= {text for _quote, text in _VALUE.findall(path.read_text())}
    return found


def _marked_in(nodes: Iterable[Node]) -> Iterator[Message]:
    for node in nodes:
        if isinstance(node, BlockTranslateNode):
            one, _ = node.render_token_list(node.singular)
            if node.plural:
                many, _ = node.render_token_list(node.plural)
                yield _trimmed(node, one), _trimmed(node, many)
            else:
                yield _trimmed(node, one)
        elif isinstance(node, TranslateNode):
            constant = node.filter_expression.var
            yield str(getattr(constant, "literal", constant))
        for child in _children(node):
            yield from _marked_in(child)


def _trimmed(node: BlockTranslateNode, text: str) -> str:
    return " ".join(line.strip() for line in text.strip().splitlines()) if node.trimmed else text


def _children(node: Node) -> Iterator[NodeList]:
    for value in vars(node).values():
        if isinstance(value, NodeList):
            yield value
        elif isinstance(value, list):
            # The branches of an `if`: pairs of a condition and nodes.
            yield from (
                part
                for pair in value
                if isinstance(pair, tuple)
                for part in pair
                if isinstance(part, NodeList)
            )


@contextmanager
def everything_marked(folder: Path) -> Iterator[None]:
    """German in which each text that goes through translation stands in ⟦…⟧, as English as it was.

    Also Django's and allauth's own: what stands in no marks on a page, nobody can translate.
    """
    catalogue = Catalog(locale="de")
    for message in messages_of_code() | messages_of_templates() | _messages_of_others():
        one, many = message if isinstance(message, tuple) else (message, "")
        context, _, text = one.rpartition(OF)
        marked = f"⟦{text}⟧"
        catalogue.add(
            (text, many) if many else text,
            (marked, f"⟦{many}⟧") if many else marked,
            context=context or None,
        )
    words = folder / "de" / "LC_MESSAGES" / "django.mo"
    words.parent.mkdir(parents=True)
    with words.open("wb") as file:
        write_mo(file, catalogue)
    known = vars(trans_real)["_translations"]
    places = settings.LOCALE_PATHS
    settings.LOCALE_PATHS = [folder]
    known.clear()
    try:
        yield
    finally:
        settings.LOCALE_PATHS = places
        known.clear()


@cache
def _messages_of_others() -> set[Message]:
    found: set[Message] = set()
    for package in (django, allauth):
        for path in Path(str(package.__file__)).parent.rglob("locale/de/LC_MESSAGES/django.mo"):
            with path.open("rb") as file:
                found |= {
                    message.id if isinstance(message.id, str) else tuple(message.id)
                    for message in read_mo(file)
                    if message.id
                }
    return found


# Elements whose text is in no language, elements without an end, attributes that are read.
_SILENT = {"script", "style", "code", "pre", "kbd", "samp", "time", "svg", "textarea"}
_VOID = {"meta", "link", "img", "input", "br", "hr", "wbr", "rect", "path", "circle", "line"}
_READ = {"aria-label", "title", "placeholder", "alt", "data-label"}


class Unmarked(HTMLParser):
    """The texts of a page that stand in no marks, without those that are in no language."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._depth = 0
        self._silent: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if not self._silent:
            texts = [given.get(name) for name in _READ]
            if given.get("name") == "description" or given.get("type") == "submit":
                texts += [given.get("content"), given.get("value") if tag == "input" else None]
            for text in filter(None, texts):
                # Whole in itself, whatever is open around it.
                self._read(text, 0)
        if tag in _VOID:
            return
        is_silent = tag in _SILENT or "lang" in given or given.get("translate") == "no"
        if self._silent or (is_silent and tag != "html"):
            self._silent.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag not in _VOID:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._depth = self._read(data, self._depth)

    def _read(self, text: str, depth: int) -> int:
        outside = ""
        for character in text:
            depth += (character == "⟦") - (character == "⟧")
            if not depth and character != "⟧":
                outside += character
            elif outside and not outside.endswith("\n"):
                outside += "\n"
        self.found += [part.strip() for part in outside.split("\n") if part.strip()]
        return depth
