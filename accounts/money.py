"""Money as people read and type it, in dollars; stored are cents, whole numbers."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import get_format
from django.utils.translation import gettext as _

from accounts.numbers import thousands

# “5”, “5.5”, “5.50”, “$1,200”: a comma is of thousands only, so that “5,50” is not 550 dollars.
_AMOUNT = re.compile(r"\$?\s?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]{1,2}))?")
_DIGITS_AT_MOST = 12
# As Stripe has them.
_WITHOUT_PARTS = frozenset(
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ]
)


def dollars(cents: int) -> str:
    """Cents as “$5” or “$5.50”; in German “5 $” or “5,50 $”."""
    whole, rest = divmod(abs(cents), 100)
    amount = thousands(whole)
    if rest:
        amount += f"{get_format('DECIMAL_SEPARATOR')}{rest:02d}"
    return ("-" if cents < 0 else "") + _("$%(amount)s") % {"amount": amount}


def amount(minor: int, currency: str) -> str:
    """An amount in the smallest unit of a currency: “$5.50”, “5.50 EUR”, “500 JPY”."""
    if currency == "usd":
        return dollars(minor)
    whole, rest = (minor, "") if currency in _WITHOUT_PARTS else divmod(minor, 100)
    parts = f"{get_format('DECIMAL_SEPARATOR')}{rest:02d}" if rest else ""
    return f"{thousands(whole)}{parts} {currency.upper()}"


def by_period(price: str, interval: str) -> str:
    """A price that is paid each month or year, as it is written, in words."""
    words = _("%(price)s a year") if interval == "year" else _("%(price)s a month")
    return words % {"price": price}


class DollarField(forms.Field):
    """An amount typed in dollars, which is a number of cents; None when nothing was typed.

    least, most: in cents.
    """

    def __init__(self, *, least: int = 0, most: int = 100_000_00, **kwargs: Any) -> None:
        self.least, self.most = least, most
        attrs = {"inputmode": "decimal", "size": 10, "autocomplete": "off", "maxlength": 20}
        kwargs.setdefault("widget", forms.TextInput(attrs=attrs))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Cents as they are typed: “5.50”; what cannot be cents as it came."""
        return f"{value // 100}.{value % 100:02d}" if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:
        text = str(value or "").strip()
        if not text:
            return None
        found = _AMOUNT.fullmatch(text)
        if found is None or len(text) > _DIGITS_AT_MOST:
            raise ValidationError(_("Write an amount in dollars, as 5 or 5.50."), code="invalid")
        whole, rest = found[1].replace(",", ""), (found[2] or "").ljust(2, "0")
        return int(whole) * 100 + int(rest)

    def validate(self, value: int | None) -> None:
        super().validate(value)
        if value is None:
            return
        if value < self.least:
            at_least = _("It must be at least %(amount)s.") % {"amount": dollars(self.least)}
            raise ValidationError(at_least, code="min_value")
        if value > self.most:
            at_most = _("It may be at most %(amount)s.") % {"amount": dollars(self.most)}
            raise ValidationError(at_most, code="max_value")

    def has_changed(self, initial: Any, data: Any) -> bool:
        """“5” is what “5.00” was."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True
