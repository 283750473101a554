"""What was sold, for people who run the business."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce, Least
from django.utils.translation import gettext

from billing.models import Purchase

# Days that are told, today among them.
SPANS = (1, 7, 30)


@dataclass(frozen=True, slots=True)
class Sold:
    """What was paid for one product, or for all, in one currency: by span, as in `SPANS`.

    returned: what went back since of what was paid in a span.
    """

    name: str
    currency: str
    cents: tuple[int, ...]
    purchases: tuple[int, ...]
    returned: tuple[int, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """What was paid and did not go back."""
        return tuple(
            paid - returned for paid, returned in zip(self.cents, self.returned, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Sales:
    """The products that sold in the longest span, what they brought most first, and their sums.

    Each by currency, because no two are one number; the one that things are sold in now is first.
    """

    products: tuple[Sold, ...]
    totals: tuple[Sold, ...]

    @property
    def any_returned(self) -> bool:
        """Whether something went back of what was paid in the longest span."""
        return any(total.returned[-1] for total in self.totals)


def sales(*, at: datetime) -> Sales:
    """What was paid today, in 7 and in 30 days of UTC; one query.

    At the prices of the orders, less what codes took off and without taxes, by when they were
    paid; so what went back later is told of the days in which it was paid. No order gives back more
    than it brought.
    """
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = [midnight - timedelta(days=days - 1) for days in SPANS]
    paid = Purchase.objects.filter(status=Purchase.Status.PAID, paid_at__gte=min(begins))
    told: dict[str, Any] = {}
    brought = F("amount_cents") - F("discount_cents")
    returned = Least("returned_cents", brought)
    for days, since in zip(SPANS, begins, strict=True):
        within = Q(paid_at__gte=since)
        told[f"cents_{days}"] = Coalesce(Sum(brought, filter=within), 0)
        told[f"returned_{days}"] = Coalesce(Sum(returned, filter=within), 0)
        told[f"purchases_{days}"] = Count("pk", filter=within)
    rows: Any = paid.values("product_id", "product__name", "currency").annotate(**told).order_by()
    products = [
        Sold(
            row["product__name"],
            row["currency"],
            tuple(row[f"cents_{days}"] for days in SPANS),
            tuple(row[f"purchases_{days}"] for days in SPANS),
            tuple(row[f"returned_{days}"] for days in SPANS),
        )
        for row in rows
    ]
    now = settings.STRIPE_CURRENCY
    products.sort(key=lambda one: (one.currency != now, one.currency, -one.cents[-1], one.name))
    by_currency = groupby(products, key=lambda one: one.currency)
    return Sales(tuple(products), tuple(_sum(list(some), one) for one, some in by_currency))


def _sum(products: list[Sold], currency: str) -> Sold:
    return Sold(
        gettext("Together"),
        currency,
        tuple(sum(sold.cents[at] for sold in products) for at in range(len(SPANS))),
        tuple(sum(sold.purchases[at] for sold in products) for at in range(len(SPANS))),
        tuple(sum(sold.returned[at] for sold in products) for at in range(len(SPANS))),
    )
