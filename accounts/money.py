"""Money as people read and type it; stored are hundredths of its unit, whole numbers."""

import re
from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.formats import get_format
from django.utils.functional import lazy
from django.utils.translation import gettext as _

from accounts import currencies
from accounts.numbers import thousands

# “5”, “5.5”, “5.50”, “1,200”: a comma is of thousands only, so that “5,50” is not 550.
_AMOUNT = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]{1,2}))?")
_DIGITS_AT_MOST = 12
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def price(cents: int) -> str:
    """An amount in the currency that everything is sold in now."""
    return amount(cents, settings.STRIPE_CURRENCY)


def amount(minor: int, currency: str) -> str:
    """An amount in the smallest unit of a currency: “$5.50”, “CHF 5”; in German “5,50 $”, “5 CHF”.

    What was bought has the currency that it was bought in, whatever things are sold in now.
    """
    decimals = currencies.decimals_of(currency)
    whole, rest = divmod(abs(minor), 10**decimals)
    number = thousands(whole)
    if rest:
        number += f"{get_format('DECIMAL_SEPARATOR')}{rest:0{decimals}d}"
    if sign := currencies.SIGNS.get(currency):
        written = _("%(sign)s%(amount)s") % {"sign": sign, "amount": number}
    else:
        words = _("%(code)s %(amount)s").replace(" ", _NO_BREAK_SPACE)
        written = (words % {"code": currency.upper(), "amount": number}).strip()
    return ("-" if minor < 0 else "") + written


def code() -> str:
    """The currency that everything is sold in now, as people write it: “USD”."""
    return str(settings.STRIPE_CURRENCY).upper()


def of_a_credit() -> str:
    """What a credit is worth, in a sentence: a hundredth of whatever things are sold in."""
    return _("1 credit is worth %(amount)s.") % {"amount": price(1)}


# Of what is written before anybody reads it, as hints of forms are.
price_when_read = lazy(price, str)
code_when_read = lazy(code, str)
of_a_credit_when_read = lazy(of_a_credit, str)


def by_period(price: str, interval: str) -> str:
    """A price that is paid each month or year, as it is written, in words."""
    words = _("%(price)s a year") if interval == "year" else _("%(price)s a month")
    return words % {"price": price}


class MoneyField(forms.Field):
    """An amount typed in one currency, which is a number of hundredths; None of nothing typed.

    least, most: in hundredths; least may follow the currency. currency: what everything is sold in
    unless it is said.
    """

    def __init__(
        self,
        *,
        least: int | Callable[[], int] = 0,
        most: int = 100_000_00,
        currency: str = "",
        **kwargs: Any,
    ) -> None:
        self.least, self.most, self.currency = least, most, currency
        attrs = {"inputmode": "decimal", "size": 10, "autocomplete": "off", "maxlength": 20}
        kwargs.setdefault("widget", forms.TextInput(attrs=attrs))
        super().__init__(**kwargs)

    def prepare_value(self, value: Any) -> Any:
        """Hundredths as they are typed: “5.50”; what cannot be such as it came."""
        return f"{value // 100}.{value % 100:02d}" if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:
        text = str(value or "").strip()
        if not text:
            return None
        currency = self._currency
        number = _without_mark(text, currency)
        found = _AMOUNT.fullmatch(number)
        if found is None or len(number) > _DIGITS_AT_MOST:
            wrong = _("Write an amount in %(currency)s, as 5 or 5.50.")
            raise ValidationError(wrong % {"currency": currency.upper()}, code="invalid")
        whole, rest = found[1].replace(",", ""), (found[2] or "").ljust(2, "0")
        return int(whole) * 100 + int(rest)

    def validate(self, value: int | None) -> None:
        super().validate(value)
        if value is None:
            return
        least = self.least() if callable(self.least) else self.least
        if value < least:
            at_least = _("It must be at least %(amount)s.") % {"amount": self._written(least)}
            raise ValidationError(at_least, code="min_value")
        if value > self.most:
            at_most = _("It may be at most %(amount)s.") % {"amount": self._written(self.most)}
            raise ValidationError(at_most, code="max_value")

    def has_changed(self, initial: Any, data: Any) -> bool:
        """“5” is what “5.00” was."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True

    @property
    def _currency(self) -> str:
        return self.currency or settings.STRIPE_CURRENCY

    def _written(self, minor: int) -> str:
        return amount(minor, self._currency)


def _without_mark(text: str, currency: str) -> str:
    """What was typed without the sign or code of that currency, before it or behind."""
    marks = "|".join(re.escape(mark) for mark in (currencies.SIGNS.get(currency), currency) if mark)
    return re.sub(rf"\A(?:{marks})\s*|\s*(?:{marks})\Z", "", text, count=1, flags=re.IGNORECASE)
