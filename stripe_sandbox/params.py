"""Stripe's nested form parameters (`line_items[0][price_data][currency]=usd`), read strictly."""

import re
from typing import Any, NoReturn, TypeAlias
from urllib.parse import parse_qsl, urlsplit

Tree: TypeAlias = "dict[str, Tree | str]"

KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
MOST_PARAMETERS = 1000
# Of each currency that the sandbox has, what Stripe takes at the least: all have two decimals.
LEAST_AMOUNT = {
    "usd": 50,
    "eur": 50,
    "gbp": 30,
    "chf": 50,
    "cad": 50,
    "aud": 50,
    "nzd": 50,
    "sgd": 50,
    "sek": 300,
    "nok": 300,
    "dkk": 250,
    "pln": 200,
    "czk": 1500,
    "hkd": 400,
    "mxn": 1000,
    "brl": 50,
    "inr": 50,
}
MOST_AMOUNT = 99_999_999
DEEPEST = 6


class CannotAccept(Exception):
    """The request is refused; carries the fields of a Stripe error object."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int = 400,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"message": message, "type": kind}
        if code:
            self.error["code"] = code
            self.error["doc_url"] = f"https://docs.stripe.com/error-codes#{code.replace('_', '-')}"
        if param:
            self.error["param"] = param


class CannotDo(CannotAccept):
    """What was asked is understood, but cannot be done: the endpoint had begun.

    The same idempotency key gets the same refusal again. What was done until then is undone,
    unless it `stays`: a declined charge is written down.
    """

    stays = False


class Declined(CannotDo):
    """A card was declined; `error` is what the payment intent says of it, with the intent."""

    stays = True

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"], status=402, kind=error["type"])
        self.error = error


def parse_form(text: str) -> Tree:
    """The tree that the form-encoded `text` spells; list positions stay as keys "0", "1", …"""
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise CannotAccept("The request parameters could not be read.") from None
    tree: Tree = {}
    for key, value in pairs:
        _plant(tree, key, value)
    return tree


def _plant(tree: Tree, key: str, value: str) -> None:
    match = KEY.fullmatch(key)
    if match is None or key.count("[") > DEEPEST:
        raise CannotAccept(f"Invalid parameter name: {key[:100]}", param=key[:100])
    steps = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    node = tree
    for step in steps[:-1]:
        child = node.setdefault(step or str(len(node)), {})
        if isinstance(child, str):
            raise CannotAccept(f"Invalid object: {key[:100]}", param=key[:100])
        node = child
    node[steps[-1] or str(len(node))] = value


class Params:
    """Reads one level of parameters, remembers what was asked for, refuses what was not.

    Every reader raises CannotAccept in Stripe's words, naming the parameter by its full path.
    """

    def __init__(self, tree: Tree, *, path: str = "") -> None:
        self.tree = tree
        self._path = path
        self._read: set[str] = set()

    def name(self, key: str) -> str:
        """The full name of `key`, as Stripe spells it in errors."""
        return f"{self._path}[{key}]" if self._path else key

    def refuse(self, key: str, message: str, *, code: str | None = None) -> NoReturn:
        """Refuse the request because of the parameter `key`."""
        raise CannotAccept(message, code=code, param=self.name(key))

    def has(self, key: str) -> bool:
        """Whether the parameter was sent at all."""
        return key in self.tree

    def nests(self, key: str) -> bool:
        """Whether the parameter was sent with others nested in it."""
        return isinstance(self.tree.get(key), dict)

    def text(self, key: str, *, most: int = 5000) -> str | None:
        """A string, or None when it was not sent (or sent empty)."""
        self._read.add(key)
        value = self.tree.get(key)
        if isinstance(value, dict):
            self.refuse(key, f"Invalid string: {self.name(key)}")
        if value is not None and len(value) > most:
            self.refuse(
                key,
                f"Invalid string: {value[:20]}…; must be at most {most} characters",
                code="parameter_invalid_string",
            )
        return value or None

    def required(self, key: str, *, most: int = 5000) -> str:
        """A string that must be there."""
        value = self.text(key, most=most)
        if value is None:
            if self.has(key):
                self.refuse(
                    key,
                    f"You passed an empty string for '{self.name(key)}'. "
                    "We assume empty values are an attempt to unset a parameter; however "
                    f"'{self.name(key)}' cannot be unset.",
                    code="parameter_invalid_empty",
                )
            self.refuse(key, f"Missing required param: {self.name(key)}.", code="parameter_missing")
        return value

    def email(self, key: str) -> str | None:
        """An e-mail address, or None."""
        value = self.text(key, most=512)
        if value is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value):
            self.refuse(key, f"Invalid email address: {value}", code="email_invalid")
        return value

    def currency(self, key: str = "currency") -> str | None:
        """One of the sandbox's currencies in lower case, or None."""
        value = self.text(key)
        if value is not None and value.lower() not in LEAST_AMOUNT:
            has = ", ".join(LEAST_AMOUNT)
            self.refuse(key, f"Invalid currency: {value[:20]}. The sandbox has {has}.")
        return None if value is None else value.lower()

    def amount(self, key: str) -> int | None:
        """A whole number of cents that may be 0, or None."""
        value = self.whole(key)
        if value is not None and value < 0:
            self.refuse(key, "Invalid non-negative integer", code="parameter_invalid_integer")
        if value is not None and value > MOST_AMOUNT:
            self.refuse(
                key, f"{self.name(key)} must be no more than {MOST_AMOUNT}", code="amount_too_large"
            )
        return value

    def exactly_one(self, first: str, second: str) -> None:
        """Refuse both of two parameters, and neither."""
        if self.has(first) and self.has(second):
            self.refuse(first, f"You may only specify one of these parameters: {first}, {second}.")
        if not self.has(first) and not self.has(second):
            self.refuse(
                first,
                f"You must specify exactly one of these parameters: {first}, {second}.",
                code="parameter_missing",
            )

    def at_most_one(self, first: str, second: str) -> None:
        """Refuse both of two parameters."""
        if self.text(first) is not None and self.text(second) is not None:
            self.refuse(first, f"You may only specify one of these parameters: {first}, {second}.")

    def choice(self, key: str, options: tuple[str, ...]) -> str | None:
        """One of `options`, or None."""
        value = self.text(key)
        if value is not None and value not in options:
            self.refuse(key, f"Invalid {self.name(key)}: must be one of {', '.join(options)}")
        return value

    def whole(self, key: str) -> int | None:
        """An integer, or None."""
        value = self.text(key)
        if value is None:
            return None
        if not re.fullmatch(r"-?[0-9]{1,15}", value):
            self.refuse(key, f"Invalid integer: {value[:40]}", code="parameter_invalid_integer")
        return int(value)

    def flag(self, key: str) -> bool | None:
        """`true` or `false`, or None."""
        value = self.choice(key, ("true", "false"))
        return None if value is None else value == "true"

    def url(self, key: str) -> str | None:
        """An absolute http(s) address, or None."""
        value = self.text(key)
        if value is not None and not is_web_address(value):
            self.refuse(key, "Not a valid URL", code="url_invalid")
        return value

    def level(self, key: str) -> "Params":
        """The parameters nested under `key` (empty when there are none)."""
        self._read.add(key)
        value = self.tree.get(key, {})
        if isinstance(value, str):
            self.refuse(key, f"Invalid object: {self.name(key)}")
        return Params(value, path=self.name(key))

    def levels(self, key: str) -> list["Params"]:
        """The list of objects under `key`."""
        listed = self.level(key)
        return [listed.level(position) for position in listed.positions()]

    def texts(self, key: str) -> list[str]:
        """The list of strings under `key`."""
        listed = self.level(key)
        return [listed.required(position) for position in listed.positions()]

    def each(self, *keys: str) -> dict[str, str | None]:
        """Several strings, by name; what was not sent is None."""
        return {key: self.text(key) for key in keys}

    def metadata(self, key: str = "metadata") -> dict[str, str]:
        """Stripe's metadata: at most 50 keys of 40 characters, with values of 500."""
        level = self.level(key)
        if len(level.tree) > 50:
            self.refuse(key, "You cannot set more than 50 metadata keys.")
        for name in level.tree:
            if len(name) > 40:
                self.refuse(key, "Metadata keys must be at most 40 characters long.")
        found = {name: level.text(name, most=500) for name in level.tree}
        return {name: value for name, value in found.items() if value is not None}

    def metadata_onto(self, known: dict[str, str]) -> dict[str, str]:
        """What an update leaves of known metadata: keys are added, "" takes one (or all) away."""
        if not self.has("metadata"):
            return known
        if self.tree["metadata"] == "":
            self._read.add("metadata")
            return {}
        given = self.metadata()
        removed = set(self.level("metadata").tree) - set(given)
        kept = {name: value for name, value in {**known, **given}.items() if name not in removed}
        if len(kept) > 50:
            self.refuse("metadata", "You cannot set more than 50 metadata keys.")
        return kept

    def finish(self) -> None:
        """Refuse whatever nobody asked for: a misspelt parameter must not pass in silence."""
        unknown = [self.name(key) for key in self.tree if key not in self._read]
        if unknown:
            raise CannotAccept(
                f"Received unknown parameter{'s' if len(unknown) > 1 else ''}: "
                f"{', '.join(unknown)}",
                code="parameter_unknown",
                param=unknown[0],
            )

    def positions(self) -> list[str]:
        """The keys of a list, in order; refuses what is not one."""
        if not all(key.isdecimal() for key in self.tree):
            raise CannotAccept(f"Invalid array: {self._path}", param=self._path)
        return sorted(self.tree, key=int)


def is_web_address(value: str) -> bool:
    """Whether `value` is an absolute http(s) address without spaces or control characters."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 -- reading it is what checks it
    except ValueError:
        return False
    clean = value.isascii() and not re.search(r"[\s\x00-\x1f<>\"\\]", value)
    return clean and parts.scheme in ("http", "https") and bool(parts.hostname)
