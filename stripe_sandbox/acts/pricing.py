"""What a session comes to that is paid: less what a promotion code takes off, and taxes on top.

The codes are the sandbox's own, as its cards are, and its taxes are as simple as they can be.
"""

from dataclasses import dataclass

from stripe_sandbox.books import Books, Json
from stripe_sandbox.objects.invoices import is_taxed
from stripe_sandbox.params import LEAST_AMOUNT

TAX_PERCENT = 10
_UNKNOWN = "This code is invalid."
_TOO_MUCH = "This code cannot be used: what is left to pay would be too little."


@dataclass(frozen=True, kw_only=True)
class Code:
    """A promotion code; what it takes off is in percent, or an amount."""

    code: str
    title: str
    percent: int = 0
    amount: int = 0

    @property
    def promotion_id(self) -> str:
        """The id of its promotion code."""
        return f"promo_1{self.code}"

    def off(self, price: int) -> int:
        """What it takes off a price."""
        return min(price, self.amount or price * self.percent // 100)


CODES = (
    Code(code="SANDBOX20", title="20 % off", percent=20),
    Code(code="SANDBOX1OFF", title="1.00 off", amount=100),
    Code(code="SANDBOXFREE", title="100 % off", percent=100),
)


def codes_for(session: Json) -> tuple[Code, ...]:
    """The codes that its page takes; of a subscription for its first invoice alone."""
    if not session["allow_promotion_codes"]:
        return ()
    if session["mode"] == "subscription":
        # Its card is charged at once, so something is left to pay.
        return tuple(code for code in CODES if code.percent < 100)
    return CODES if session["mode"] == "payment" else ()


def code_of(session: Json) -> Code | None:
    """The code that was typed."""
    used = {one["promotion_code"] for one in session["discounts"] or ()}
    return next((code for code in CODES if code.promotion_id in used), None)


def is_free(session: Json) -> bool:
    """Whether a code has left nothing to pay."""
    return bool(session["mode"] == "payment" and session["amount_total"] == 0)


def apply(books: Books, session: Json, typed: str) -> str:
    """Take a code, or take it away where none is typed; why not, or ""."""
    wanted = typed.strip().upper()
    code = next((one for one in codes_for(session) if one.code == wanted), None)
    if wanted and code is None:
        return _UNKNOWN
    before = session["discounts"]
    session["discounts"] = (
        [{"coupon": None, "promotion_code": code.promotion_id}] if code is not None else []
    )
    add_up(books, session)
    if 0 < session["amount_total"] < LEAST_AMOUNT[session["currency"]]:
        session["discounts"] = before
        add_up(books, session)
        return _TOO_MUCH
    return ""


def tax_on(amount: int) -> int:
    """What is added as tax; of what is given back, it is given back, too."""
    return amount * TAX_PERCENT // 100 if amount > 0 else -(-amount * TAX_PERCENT // 100)


def tax_of(subscription: Json | None, lines: list[Json]) -> int:
    """What is added to an invoice of these lines as tax."""
    return sum(tax_on(line["amount"]) for line in lines) if is_taxed(subscription) else 0


def add_up(books: Books, session: Json) -> None:
    """Bring the lines, the session and its payment to what they come to now."""
    if session["mode"] == "setup":
        return
    code = code_of(session)
    taxed = session["automatic_tax"]["enabled"]
    items = books.children("item", session["id"])
    fixed_off_left = code.amount if code else 0
    for item in items:
        price = item["amount_subtotal"]
        if code is None:
            off = 0
        elif code.percent:
            off = code.off(price)
        else:
            off = min(price, fixed_off_left)
            fixed_off_left -= off
        tax = tax_on(price - off) if taxed else 0
        item.update(amount_discount=off, amount_tax=tax, amount_total=price - off + tax)
        books.save(item)
    total = sum(item["amount_total"] for item in items)
    session["total_details"] = {
        "amount_discount": sum(item["amount_discount"] for item in items),
        "amount_shipping": 0,
        "amount_tax": sum(item["amount_tax"] for item in items),
    }
    session["amount_total"] = total
    if taxed:
        session["automatic_tax"]["status"] = "complete"
    books.save(session)
    for intent in books.children("payment_intent", session["id"]):
        if intent["amount"] != total and total:
            books.save({**intent, "amount": total})
