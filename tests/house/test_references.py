"""What names a file, a module, a page or a template of ours names one that is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template import Engine

import rooms

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
DECISIONS = REPOSITORY / "docs" / "decisions"
TOP = {path.name for path in REPOSITORY.iterdir() if path.is_dir()}
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")
QUOTED = re.compile(r"`([\w./-]+)`")
TEMPLATE = re.compile(r"""(?:include|extends|render\(request,)\s+["']([^"']+\.\w+)["']""")
STATIC = re.compile(r"""{% static ["']([^"']+)["']""")


def texts(*endings: str) -> Iterator[tuple[Path, str]]:
    """Every file of the project with one of these endings, and its text."""
    folders = [REPOSITORY / name for name in TOP if not name.startswith(".")]
    for path in [*REPOSITORY.iterdir(), *(file for top in folders for file in top.rglob("*"))]:
        if path.suffix in endings and path.is_file():
            yield path, path.read_text("utf-8")


def dead_links(page: Path, text: str) -> list[str]:
    """Links of a page in Markdown that lead to no file."""
    inside = [link for link in LINK.findall(text) if "://" not in link]
    return [link for link in inside if not (page.parent / link).exists()]


def gone(text: str) -> list[str]:
    """Paths and modules between backticks that are not there any more."""
    return [
        name
        for name in QUOTED.findall(text)
        if (_is_path(name) and not (REPOSITORY / name).exists())
        or (_is_module(name) and not _is_there(*name.split(".")))
    ]


def _is_path(name: str) -> bool:
    top, slash, _ = name.partition("/")
    return bool(slash) and top in TOP


def _is_module(name: str) -> bool:
    top, dot, _ = name.partition(".")
    return bool(dot) and "/" not in name and top in rooms.packages()


def _is_there(*parts: str) -> bool:
    """Whether a module is there; what stands in it is not looked for."""
    path = REPOSITORY
    for part in parts:
        if (path / f"{part}.py").is_file():
            return True
        path /= part
    return path.is_dir()


def missing_templates(text: str, *, beside: Path = REPOSITORY) -> list[str]:
    """Templates that a text includes, extends or renders, and that nobody has.

    Those of the Stripe sandbox stand beside each other.
    """
    wanted = TEMPLATE.findall(text)
    return [name for name in wanted if not ((beside / name).is_file() or _has_template(name))]


def _has_template(name: str) -> bool:
    # Not compiled: some of allauth's need an app that is installed by a setting.
    loaders = Engine.get_default().template_loaders
    origins = [origin for loader in loaders for origin in loader.get_template_sources(name)]
    return any(Path(origin.name).is_file() for origin in origins)


def missing_statics(text: str) -> list[str]:
    """Static files that a text wants and that nobody has."""
    return [name for name in STATIC.findall(text) if not finders.find(name)]


def test_links_between_pages_lead_somewhere() -> None:
    dead = {str(page): dead_links(page, text) for page, text in texts(".md")}
    assert dead
    assert {page: links for page, links in dead.items() if links} == {}


def test_the_list_of_decisions_is_whole() -> None:
    listed = set(LINK.findall((DECISIONS / "README.md").read_text("utf-8")))
    assert listed == {path.name for path in DECISIONS.glob("[0-9]*.md")}


def test_files_and_modules_that_are_written_about_are_there() -> None:
    named = {
        str(path): gone(text)
        for path, text in texts(".md", ".py", ".lua", ".toml", "")
        # These tests themselves write about what is gone.
        if path.parent != HERE
    }
    assert {path: names for path, names in named.items() if names} == {}


def test_templates_and_static_files_that_are_wanted_are_there() -> None:
    wanted = {
        str(path): missing_templates(text, beside=path.parent) + missing_statics(text)
        for path, text in texts(".html", ".txt", ".py")
        if path.is_relative_to(REPOSITORY / "templates")
        or path.relative_to(REPOSITORY).parts[0] in rooms.packages()
    }
    assert {path: names for path, names in wanted.items() if names} == {}


@pytest.mark.parametrize(
    ("find", "text", "found"),
    [
        (gone, "`gate/store/wire.py` `gate/store/` `gate/odd.py`", ["gate/odd.py"]),
        (gone, "`quotas.grants` `gate.store.layout.SCRIPTS` `quotas.odd.f`", ["quotas.odd.f"]),
        (gone, "`a/b` `x.y` `user.name`", []),
        (missing_templates, '{% include "base.html" %}{% extends "odd.html" %}', ["odd.html"]),
        (missing_templates, 'render(request, "odd/list.html", context)', ["odd/list.html"]),
        (missing_statics, "{% static 'js/app.js' %}{% static 'js/odd.js' %}", ["js/odd.js"]),
    ],
)
def test_what_is_gone_is_found(find: object, text: str, found: list[str]) -> None:
    assert callable(find)
    assert find(text) == found


def test_a_link_to_a_page_that_is_gone_is_found() -> None:
    text = "[a](0001-account-is-not-user.md#why) [b](../odd.md) [c](https://example.com/d)"
    assert dead_links(DECISIONS / "README.md", text) == ["../odd.md"]
