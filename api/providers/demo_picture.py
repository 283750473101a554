"""The demo's picture: a small landscape with the prompt in it, as SVG."""

import html
import random
import re
import textwrap
import unicodedata
import zlib

from api.providers import characters

USUAL_SIZE = "512x512"
_SMALLEST, _LARGEST = 64, 1024
_LONGEST_PROMPT = 200
# Too small for words that anybody could read.
_WORDS_FROM = 128
# What XML cannot hold, even escaped.
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
# Sky above, sky below, far hills, near hills, sun.
_SKIES = (
    ("#1b2a4e", "#f2a07b", "#5d4a7a", "#2c2a4a", "#ffe3b0"),
    ("#2a6f97", "#cfe8e4", "#61a5a0", "#1f4e5f", "#fff6d6"),
    ("#4b2e6b", "#f6b9c6", "#8a5a9e", "#3a2450", "#fff1e0"),
    ("#0f3b3a", "#e8dca0", "#4f8a6b", "#173f35", "#fff8dc"),
)


class CannotDraw(Exception):
    """The size is none that can be drawn; the message is for the customer."""


def draw(prompt: str, *, size: str) -> str:
    """A drawing of this size in pixels, as in "512x512". The same prompt gives the same one."""
    width, height = _measure(size)
    text = " ".join(_NO_XML.sub(" ", characters.whole(prompt)).split())
    chance = random.Random(zlib.crc32(text.encode()))  # noqa: S311 - only for looks
    above, below, far, near, sun = chance.choice(_SKIES)
    sun_x, sun_y = chance.uniform(0.2, 0.8) * width, chance.uniform(0.22, 0.4) * height
    sun_radius = 0.09 * min(width, height)
    label = html.escape(f"Demo picture of sansxel: {_shortened(text)}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{label}">\n'
        '<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">'
        f'<stop offset="0" stop-color="{above}"/><stop offset="0.75" stop-color="{below}"/>'
        "</linearGradient></defs>\n"
        f'<rect width="{width}" height="{height}" fill="url(#sky)"/>\n'
        f'<circle cx="{sun_x:.0f}" cy="{sun_y:.0f}" r="{sun_radius * 2.1:.0f}" fill="{sun}" '
        'opacity="0.18"/>\n'
        f'<circle cx="{sun_x:.0f}" cy="{sun_y:.0f}" r="{sun_radius:.0f}" fill="{sun}"/>\n'
        f"{_hills(width, height, at=0.62, color=far, chance=chance)}"
        f"{_hills(width, height, at=0.76, color=near, chance=chance)}"
        f"{_words(text, width, height)}"
        "</svg>\n"
    )


def _measure(size: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size, re.ASCII)
    if found is None:
        raise CannotDraw("A size is given in pixels, as in “512x512”.")
    width, height = int(found[1]), int(found[2])
    if not (_SMALLEST <= width <= _LARGEST and _SMALLEST <= height <= _LARGEST):
        raise CannotDraw(f"The demo draws from {_SMALLEST} to {_LARGEST} pixels a side.")
    return width, height


def _hills(width: int, height: int, *, at: float, color: str, chance: random.Random) -> str:
    """A smooth line of hills about so far down, filled to the bottom."""
    steps = 4
    tops = [height * (at + chance.uniform(-0.07, 0.07)) for _ in range(steps + 1)]
    path = f"M0 {tops[0]:.0f}"
    for step in range(steps):
        start, end = width * step / steps, width * (step + 1) / steps
        middle = (start + end) / 2
        path += (
            f" C{middle:.0f} {tops[step]:.0f} {middle:.0f} {tops[step + 1]:.0f} "
            f"{end:.0f} {tops[step + 1]:.0f}"
        )
    return f'<path d="{path} V{height} H0 Z" fill="{color}"/>\n'


def _words(text: str, width: int, height: int) -> str:
    """The prompt on the near hills, and what this is."""
    if min(width, height) < _WORDS_FROM:
        return ""
    size = max(9.0, min(width / 24, height / 26))
    # A letter is rather more than half as wide as it is high, and a Chinese one twice that.
    is_wide = any(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    columns = max(6, int(width * 0.88 / (size * (1.05 if is_wide else 0.58))))
    lines = textwrap.wrap(_shortened(text), columns)
    most = max(1, int(height * 0.5 / (size * 1.4)))
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1][: columns - 1] + "…"]
    first = height * 0.9 - (len(lines) - 1) * size * 1.4
    written = "".join(
        f'<text x="{width / 2:.0f}" y="{first + at * size * 1.4:.0f}" font-size="{size:.1f}" '
        f'font-weight="600" fill="#fff">{html.escape(line)}</text>\n'
        for at, line in enumerate(lines)
    )
    small = max(8.0, size * 0.62)
    return (
        '<g font-family="system-ui, -apple-system, Segoe UI, Roboto, sans-serif" '
        'text-anchor="middle" paint-order="stroke" stroke="#000" stroke-opacity="0.35" '
        f'stroke-width="{size / 9:.1f}" stroke-linejoin="round">\n{written}'
        f'<text x="{width / 2:.0f}" y="{height * 0.97:.0f}" font-size="{small:.1f}" '
        'fill="#fff" fill-opacity="0.85">demo picture · sansxel</text>\n</g>\n'
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_PROMPT else text[:_LONGEST_PROMPT] + "…"
