"""The form a buyer types a card into: its fields, what was typed, and what is wrong with it."""

import re
from dataclasses import dataclass, field

from stripe_sandbox import cards

ONE_CLICK = {"expiry": "12 / 34", "cvc": "123", "name": "Sandbox Buyer"}
ONE_CLICK_EMAIL = "buyer@example.com"


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One input of the payment form; its attributes are those of HTML."""

    name: str
    label: str
    autocomplete: str
    type: str = "text"
    inputmode: str = "text"
    placeholder: str = ""


FIELDS = (
    FormField(name="email", label="Email", type="email", inputmode="email", autocomplete="email"),
    FormField(
        name="number",
        label="Card number",
        autocomplete="cc-number",
        inputmode="numeric",
        placeholder="1234 1234 1234 1234",
    ),
    FormField(
        name="expiry",
        label="Expiry date",
        autocomplete="cc-exp",
        inputmode="numeric",
        placeholder="MM / YY",
    ),
    FormField(
        name="cvc",
        label="Security code (CVC)",
        autocomplete="cc-csc",
        inputmode="numeric",
        placeholder="123",
    ),
    FormField(name="name", label="Name on card", autocomplete="cc-name"),
)


@dataclass(kw_only=True)
class Typed:
    """What the buyer typed and, by field, what is wrong with it."""

    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, str]:
        """What stands in the fields when the form is shown again: never the security code."""
        return {**self.values, "cvc": ""}

    @property
    def first_problem(self) -> str:
        """The field where the buyer goes on, or ""."""
        return next(iter(self.problems), "")


def read(form: dict[str, str], *, at: float) -> Typed:
    """What was typed, or what one click on a test card stands for, with its problems."""
    at_once = cards.digits(form.get("test_card", ""))
    if at_once:
        email = form.get("email", "").strip() or ONE_CLICK_EMAIL
        form = {**form, **ONE_CLICK, "number": cards.known(at_once).spaced, "email": email}
    values = {field.name: form.get(field.name, "").strip() for field in FIELDS}
    return Typed(values=values, problems=_problems(values, at=at))


def _problems(values: dict[str, str], *, at: float) -> dict[str, str]:
    found = {
        "email": None
        if re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", values["email"])
        else "Enter an email address such as name@example.com.",
        "number": cards.number_problem(values["number"]),
        "expiry": cards.expiry_problem(values["expiry"], at=at),
        "cvc": cards.cvc_problem(values["cvc"], number=cards.digits(values["number"])),
        "name": None if values["name"] else "Enter the name on the card.",
    }
    return {name: problem for name, problem in found.items() if problem}
