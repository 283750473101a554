"""How often pages that wait for a payment look again, and ask Stripe."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from billing.models import Purchase
from billing.subscriptions.models import PlanOrder

# A page looks again: so many times after so many seconds, then no more.
_LOOKS = ((10, 3), (20, 10), (30, 30))
# However many copies of its page are open, Stripe is asked about an order no more often.
_ASK_EVERY = timedelta(seconds=5)


def next_look(request: HttpRequest) -> dict[str, Any]:
    """For the page: the number of its next look, and after how many seconds; None is never."""
    said = request.GET.get("looks", "")
    # How often this page has replaced itself, as it says.
    looks = int(said) if said.isdecimal() and said.isascii() and len(said) < 4 else 0
    return {
        "next_look": looks + 1,
        "look_again_seconds": next((wait for most, wait in _LOOKS if looks < most), None),
    }


def claim(order: Purchase | PlanOrder, *, at: datetime) -> bool:
    """Whether this page may ask Stripe about an order, of which nobody has just asked."""
    free = Q(looked_at=None) | Q(looked_at__lte=at - _ASK_EVERY)
    orders: Any = type(order).objects
    return bool(orders.filter(free, pk=order.pk).update(looked_at=at))
