"""What an account bought, as a file: every order, the oldest first, some at a time."""

from collections.abc import Iterator

from django.db.models import QuerySet

from accounts.paging import Place
from billing.models import Purchase
from gate.terms.week import utc_text

# The words of the file, in any language; the page of purchases says them.
HEAD = (
    "created_at",
    "paid_at",
    "product",
    "kind",
    "status",
    "currency",
    "price",
    "discount",
    "tax",
    "paid",
    "returned",
    "chats",
    "credits",
    "receipt_url",
    "order",
)
_AT_ONCE = 1_000


def rows(purchases: QuerySet[Purchase]) -> Iterator[list[tuple[object, ...]]]:
    """The purchases as rows; each part is read anew, and nothing is held meanwhile."""
    last: Place | None = None
    while True:
        following = purchases.filter(last.newer("created_at")) if last else purchases
        some = list(following.order_by("created_at", "pk")[:_AT_ONCE])
        if some:
            yield [_row(purchase) for purchase in some]
            last = Place(some[-1].created_at, some[-1].pk)
        if len(some) < _AT_ONCE:
            return


def _row(purchase: Purchase) -> tuple[object, ...]:
    is_paid = purchase.has_come
    return (
        utc_text(purchase.created_at),
        utc_text(purchase.paid_at) if purchase.paid_at else "",
        purchase.product_name,
        purchase.kind,
        purchase.status,
        purchase.currency,
        _amount(purchase.amount_cents),
        _amount(purchase.discount_cents),
        _amount(purchase.tax_cents),
        _amount(purchase.came_cents if is_paid else 0),
        _amount(purchase.returned_cents),
        purchase.chats,
        purchase.credits,
        purchase.receipt_url,
        purchase.pk,
    )


def _amount(cents: int) -> str:
    """As spreadsheets and programs read it in any language: “5.50”."""
    return f"{cents // 100}.{cents % 100:02d}"
