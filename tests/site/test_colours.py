"""Colours that mean something can be told from their ground, and from each other where that can be.

As WCAG 2.2 reckons contrast. A ground and three colours that all reach 3:1 against one another do
not exist: black and white have 21:1, and three steps of 3:1 are 27:1.
"""

import re
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings

TOKENS = Path(settings.BASE_DIR, "static/css/tokens.css").read_text()
COLOUR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]+), (#[0-9a-f]+)\);")
GROUNDS = ("bg", "surface", "sunken")
PAYS = ("pay-allowance", "pay-boost", "pay-credits")
WORDS = ("ink", "muted", "accent", "ok", "warn", "bad")


def colours(theme: int) -> dict[str, str]:
    return {name: shades[theme] for name, *shades in COLOUR.findall(TOKENS)}


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_reckoned_right() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
class TestEachTheme:
    """Both are looked at, whichever somebody has."""

    def test_what_pays_reaches_three_to_one_against_every_ground(self, theme: int) -> None:
        has = colours(theme)
        found = {(pay, on): contrast(has[pay], has[on]) for pay, on in product(PAYS, GROUNDS)}
        assert {pair: ratio for pair, ratio in found.items() if ratio < 3} == {}

    def test_boosts_reach_it_against_what_stands_before_and_behind_them(self, theme: int) -> None:
        has = colours(theme)
        for other in ("pay-allowance", "pay-credits"):
            assert contrast(has["pay-boost"], has[other]) >= 3

    def test_signs_reach_it_within_their_cells(self, theme: int) -> None:
        has = colours(theme)
        for pay in ("pay-boost", "pay-credits"):
            assert contrast(has[pay], has[f"{pay}-sign"]) >= 3

    def test_edges_of_cells_and_fields_reach_it(self, theme: int) -> None:
        has = colours(theme)
        assert all(contrast(has["field-line"], has[on]) >= 3 for on in ("bg", "surface"))

    def test_words_can_be_read_on_every_ground(self, theme: int) -> None:
        has = colours(theme)
        found = {(word, on): contrast(has[word], has[on]) for word, on in product(WORDS, GROUNDS)}
        assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}
