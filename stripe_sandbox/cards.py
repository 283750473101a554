"""Test numbers and what each of them does, and the checks a card form makes first."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Outcome = Literal["pays", "declined", "asks", "settles", "bounces", "declined_later"]
Asks = Literal["until_set_up", "always"]
Aftermath = Literal["dispute", "inquiry", "warn"]
RefundFate = Literal["fails", "waits"]
Method = Literal["card", "us_bank_account"]


@dataclass(frozen=True, kw_only=True)
class SandboxNumber:
    """A number with a fixed fate: `asks` wants 3-D Secure, `settles`/`bounces` decide later.

    `declined_later` can be saved but not charged. `tokens` are the names under which Stripe has a
    payment method with such a card in test mode.
    """

    number: str
    title: str
    outcome: Outcome
    method: Method = "card"
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None
    asks: Asks | None = None
    aftermath: Aftermath | None = None
    refunds: RefundFate | None = None
    tokens: tuple[str, ...] = ()

    @property
    def spaced(self) -> str:
        """The number in groups of four."""
        return " ".join(re.findall("....", self.number))

    @property
    def fate(self) -> str:
        """What a saved card is remembered by: a title, for numbers are not kept."""
        return self.title


SANDBOX_NUMBERS = (
    SandboxNumber(
        number="4242424242424242", title="Pays", outcome="pays", tokens=("pm_card_visa",)
    ),
    SandboxNumber(
        number="5555555555554444",
        title="Pays (Mastercard)",
        outcome="pays",
        tokens=("pm_card_mastercard",),
    ),
    SandboxNumber(
        number="4000002500003155",
        title="Asks for authentication (3-D Secure)",
        outcome="asks",
        asks="until_set_up",
        tokens=("pm_card_authenticationRequiredOnSetup",),
    ),
    SandboxNumber(
        number="4000002760003184",
        title="Asks for authentication every time",
        outcome="asks",
        asks="always",
        tokens=("pm_card_authenticationRequired",),
    ),
    SandboxNumber(
        number="9000000000000001",
        title="Bank debit: paid a few seconds later",
        outcome="settles",
        method="us_bank_account",
    ),
    SandboxNumber(
        number="9000000000000019",
        title="Bank debit: fails a few seconds later",
        outcome="bounces",
        method="us_bank_account",
    ),
    SandboxNumber(
        number="4000000000000002",
        title="Declined",
        outcome="declined",
        code="card_declined",
        decline_code="generic_decline",
        message="Your card was declined.",
        tokens=("pm_card_visa_chargeDeclined",),
    ),
    SandboxNumber(
        number="4000000000009995",
        title="Declined: insufficient funds",
        outcome="declined",
        code="card_declined",
        decline_code="insufficient_funds",
        message="Your card has insufficient funds.",
        tokens=("pm_card_visa_chargeDeclinedInsufficientFunds",),
    ),
    SandboxNumber(
        number="4000000000000069",
        title="Declined: expired card",
        outcome="declined",
        code="expired_card",
        decline_code="expired_card",
        message="Your card has expired.",
        tokens=("pm_card_chargeDeclinedExpiredCard",),
    ),
    SandboxNumber(
        number="4000000000000341",
        title="Can be saved, then is declined",
        outcome="declined_later",
        code="card_declined",
        decline_code="generic_decline",
        message="Your card was declined.",
        tokens=("pm_card_chargeCustomerFail",),
    ),
    SandboxNumber(
        number="4000000000000259",
        title="Pays, then is disputed",
        outcome="pays",
        aftermath="dispute",
        tokens=("pm_card_createDispute",),
    ),
    SandboxNumber(
        number="4000000000001976",
        title="Pays, then the bank inquires",
        outcome="pays",
        aftermath="inquiry",
        tokens=("pm_card_createDisputeInquiry",),
    ),
    SandboxNumber(
        number="4000000000005423",
        title="Pays, then is reported as fraud",
        outcome="pays",
        aftermath="warn",
        tokens=("pm_card_createIssuerFraudRecord",),
    ),
    SandboxNumber(
        number="4000000000005126",
        title="Pays; a refund fails a few seconds later",
        outcome="pays",
        refunds="fails",
        tokens=("pm_card_refundFail",),
    ),
    SandboxNumber(
        number="4000000000007726",
        title="Pays; a refund is pending at first",
        outcome="pays",
        refunds="waits",
        tokens=("pm_card_pendingRefund",),
    ),
)

# A real card typed here by mistake is declined, as Stripe does in test mode.
NOT_A_TEST_NUMBER = SandboxNumber(
    number="",
    title="Not a test card",
    outcome="declined",
    code="card_declined",
    decline_code="test_mode_live_card",
    message="Your card was declined. This is a sandbox: use one of the test cards.",
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is kept of a card: never the whole number, never the security code."""

    last4: str
    brand: str
    exp_month: int
    exp_year: int


def known(number: str) -> SandboxNumber:
    """What the sandbox does with `number` (digits only)."""
    return next((test for test in SANDBOX_NUMBERS if test.number == number), NOT_A_TEST_NUMBER)


def with_fate(fate: str) -> SandboxNumber:
    """The number whose fate a saved card has."""
    return next((test for test in SANDBOX_NUMBERS if test.fate == fate), NOT_A_TEST_NUMBER)


def behind(token: str) -> SandboxNumber | None:
    """The number behind one of Stripe's names for test cards (`pm_card_visa`)."""
    return next((test for test in SANDBOX_NUMBERS if token in test.tokens), None)


def digits(text: str) -> str:
    """`text` without the spaces and dashes people type into card numbers."""
    return re.sub(r"[\s-]", "", text)


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the checksum of the others (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def brand(number: str) -> str:
    """The card network, by the first digits."""
    if number.startswith("4"):
        return "visa"
    if re.match(r"5[1-5]|2[2-7]", number):
        return "mastercard"
    if re.match(r"3[47]", number):
        return "amex"
    return "unknown"


def number_problem(text: str) -> str | None:
    """What is wrong with a card number as typed, in words for the buyer."""
    number = digits(text)
    if not number:
        return "Enter the card number."
    if not re.fullmatch("[0-9]+", number):
        return "A card number has digits only."
    if not 12 <= len(number) <= 19:
        return "The card number is incomplete."
    if not passes_luhn(number):
        return "The card number is not valid: check it for a typing mistake."
    return None


def read_expiry(text: str) -> tuple[int, int] | None:
    """(month, four-digit year) of "MM / YY" or "MM/YYYY" and the like; None when unreadable."""
    match = re.fullmatch(r"\s*([0-9]{1,2})\s*[/ -]\s*((?:20)?[0-9]{2})\s*", text)
    match = match or re.fullmatch(r"([0-9]{2})([0-9]{2})", text.strip())
    if match is None or not 1 <= int(match[1]) <= 12:
        return None
    return int(match[1]), 2000 + int(match[2]) % 100


def expiry_problem(text: str, *, at: float) -> str | None:
    """What is wrong with an expiry date as typed; a card is good to the end of its month."""
    if not text.strip():
        return "Enter the expiry date."
    expiry = read_expiry(text)
    if expiry is None:
        return "Write the expiry date as MM / YY."
    today = datetime.fromtimestamp(at, UTC)
    if (expiry[1], expiry[0]) < (today.year, today.month):
        return "This card has expired."
    if expiry[1] > today.year + 50:
        return "The expiry year is not valid."
    return None


def cvc_problem(text: str, *, number: str) -> str | None:
    """What is wrong with a security code as typed."""
    length = 4 if brand(number) == "amex" else 3
    if not text.strip():
        return "Enter the security code."
    if not re.fullmatch(rf"[0-9]{{{length}}}", text.strip()):
        return f"The security code has {length} digits."
    return None
