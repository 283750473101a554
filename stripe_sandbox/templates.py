"""The templates in `hosted/`, filled in: whatever a caller or a buyer wrote is escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HOSTED = Path(__file__).parent / "hosted"
SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£"}


def money(cents: int, currency: str) -> str:
    """An amount for people: "$5.00", "CHF 5.00"."""
    sign = "-" if cents < 0 else ""
    mark = SYMBOLS.get(currency) or f"{currency.upper()}\N{NO-BREAK SPACE}"
    return f"{sign}{mark}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


_environment = Environment(
    loader=FileSystemLoader(HOSTED),
    autoescape=True,
    # A name that is misspelt in a template is an error, not an empty place.
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["money"] = money


def fill(name: str, **values: Any) -> str:
    """The page of that template; `money` turns cents and a currency into words."""
    return _environment.get_template(name).render(values)
