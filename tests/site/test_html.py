"""What every page of ours keeps to: a strict policy, no third parties, little weight."""

import gzip
from html.parser import HTMLParser
from pathlib import Path

from django.conf import settings

from tests.site.every_page import Pages

WEIGHT_LIMIT = 100 * 1024
# Elements whose address the browser loads by itself.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
ADDRESSES = {"href", "src", "action", "formaction", "hx-get", "hx-post", "data", "poster"}


class Page(HTMLParser):
    """Collects what a policy is about."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.offences: list[str] = []
        self.assets: set[str] = set()
        self._in_script = False
        self._is_in_form = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        for name, value in attributes.items():
            is_handler = name.startswith(("on", "hx-on"))
            if name == "style" or is_handler:
                self.offences.append(f"<{tag} {name}>")
            if name in ADDRESSES and (value or "").strip().lower().startswith(
                ("javascript:", "data:text", "vbscript:")
            ):
                self.offences.append(f"<{tag} {name}={value}>")
        if tag == "style" or (tag == "script" and not attributes.get("src")):
            self.offences.append(f"<{tag}> inline")
        self._in_script = tag == "script"
        if tag == "form":
            # A browser leaves the inner one out, and its button does what the outer one does.
            self.offences += ["<form> in <form>"] if self._is_in_form else []
            self._is_in_form = True
        loaded = attributes.get(LOADED.get(tag, ""))
        if loaded and not loaded.startswith("data:"):
            self.assets.add(loaded)

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False
        self._is_in_form = self._is_in_form and tag != "form"

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.offences.append("text in <script>")


def test_every_page_sends_a_policy_without_exceptions(
    pages: Pages,
) -> None:
    for name, visit in pages.items():
        response = visit()
        # Payment pages of the sandbox are at an address without TLS, which is named in full.
        policy = response["Content-Security-Policy"].replace(settings.STRIPE_CHECKOUT_ORIGIN, "")
        assert "default-src 'none'" in policy, name
        assert "script-src 'self'" in policy, name
        assert "style-src 'self'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert "base-uri 'none'" in policy, name
        for exception in ("unsafe", "http:", "*", "blob:", "nonce"):
            assert exception not in policy, name
        assert response["X-Content-Type-Options"] == "nosniff", name
        assert response["X-Frame-Options"] == "DENY", name
        assert response["Referrer-Policy"] == "same-origin", name


def test_no_page_has_scripts_styles_handlers_or_forms_in_forms(
    pages: Pages,
) -> None:
    for name, visit in pages.items():
        assert Page(visit().content.decode()).offences == [], name


def test_no_page_loads_anything_from_elsewhere(
    pages: Pages,
) -> None:
    for name, visit in pages.items():
        assets = Page(visit().content.decode()).assets
        assert assets, name
        for asset in assets:
            assert asset.startswith("/static/"), f"{name} loads {asset}"
            assert file_of(asset).is_file(), f"{name} loads {asset}"


def test_no_stylesheet_loads_anything_from_elsewhere() -> None:
    for path in (settings.BASE_DIR / "static").rglob("*.css"):
        assert "http" not in path.read_text(), path.name
        assert "@import" not in path.read_text(), path.name


def test_every_page_weighs_less_than_100_kilobytes(
    pages: Pages,
) -> None:
    for name, visit in pages.items():
        html = visit().content
        # The front packs pages, too.
        weight = len(gzip.compress(html)) + sum(
            weight_of(asset) for asset in Page(html.decode()).assets
        )
        assert weight < WEIGHT_LIMIT, f"{name} weighs {weight}"


def test_every_page_has_a_title_and_one_heading(
    pages: Pages,
) -> None:
    for name, visit in pages.items():
        html = visit().content.decode()
        assert html.count("<h1") == 1, name
        title = html[html.index("<title>") + 7 : html.index("</title>")].strip()
        assert title.removesuffix("· sansxel").strip(), name


def test_account_pages_are_kept_by_no_cache(
    pages: Pages,
) -> None:
    for name in (
        "keys",
        "usage",
        "billing",
        "purchases",
        "credits",
        "revoke",
        "new key",
        "repeated key",
        "purchase",
    ):
        assert "no-store" in pages[name]()["Cache-Control"], name


def test_the_check_itself_finds_what_it_looks_for() -> None:
    bad = (
        '<p style="x">a</p><p onclick="x">b</p><a href="javascript:x">c</a>'
        "<style>d</style><script>e</script><form><form></form></form><form></form>"
    )
    assert len(Page(bad).offences) == 7
    assert Page('<script src="https://cdn.example/x.js"></script>').assets == {
        "https://cdn.example/x.js"
    }


def file_of(asset: str) -> Path:
    return Path(settings.STATIC_ROOT) / asset.removeprefix("/static/")


def weight_of(asset: str) -> int:
    """Bytes that WhiteNoise sends to a browser that takes gzip."""
    path = file_of(asset)
    packed = path.with_name(path.name + ".gz")
    return (packed if packed.exists() else path).stat().st_size
