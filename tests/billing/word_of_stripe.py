"""What Stripe has of one customer, and what follows from that alone: the word that counts."""

from datetime import UTC, datetime
from typing import Any

from quotas.models.plans import Plan
from tests.billing.subscriber import GRACE
from tests.stripe_sandbox.running_sandbox import Running
from tests.stripe_sandbox.subscriber import item_of

ENDED = {"canceled", "incomplete_expired"}


def period(subscription: Any) -> tuple[datetime, datetime]:
    """What is paid for, or has to be: its beginning and its end."""
    item = item_of(subscription)
    return _moment(item.current_period_start), _moment(item.current_period_end)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _slug(product: Any) -> str:
    return str(product).removeprefix("sansxel_plan_")


class WordOfStripe:
    """Subscriptions, invoices and payments of whoever has an address."""

    def __init__(self, sandbox: Running, *, email: str) -> None:
        self._there, self._email = sandbox.api.v1, email
        self._customers: list[str] = []

    def forget(self) -> None:
        """Look for customers anew: there might be a second one by now."""
        self._customers = []

    def customer_ids(self) -> list[str]:
        if not self._customers:
            listed: Any = {"email": self._email}
            self._customers = [one.id for one in self._there.customers.list(params=listed).data]
        return self._customers

    def living(self) -> list[Any]:
        """Subscriptions that have not ended."""
        found = self._of_customers(self._there.subscriptions, status="all")
        return [one for one in found if one.status not in ENDED]

    def invoices(self, status: str) -> list[Any]:
        """The newest first."""
        return self._of_customers(self._there.invoices, status=status)

    def top_ups(self) -> list[Any]:
        """Payments that were made for what is bought by itself."""
        found = self._of_customers(self._there.payment_intents)
        return [intent for intent in found if "purchase" in (intent.metadata or {})]

    def charged(self) -> list[Any]:
        """Those of them that were paid."""
        return [intent for intent in self.top_ups() if intent.status == "succeeded"]

    def paid_plan(self, invoice: Any) -> tuple[Plan, datetime]:
        """What an invoice was paid for, and until when."""
        (line, *_rest) = [line for line in invoice.lines.data if line.amount > 0]
        plan = Plan.objects.get(slug=_slug(line.pricing.price_details.product))
        return plan, _moment(line.period.end)

    def plan(self, at: datetime) -> str:
        """The plan that is paid at a moment, as invoices say; the grace after what is paid."""
        living = self.living()
        if not living:
            return "free"
        (known,) = living
        starts_at, ends_at = period(known)
        follows = _slug(item_of(known).price.product)
        if known.status != "active":
            is_grace = at < starts_at + GRACE and not known.cancel_at_period_end
            return follows if is_grace else "free"
        if at < ends_at:
            paid = (self.paid_plan(invoice) for invoice in self.invoices("paid"))
            return next(plan.slug for plan, end in paid if end == ends_at)
        return follows if at < ends_at + GRACE and not known.cancel_at_period_end else "free"

    def _of_customers(self, resource: Any, **asked: str) -> list[Any]:
        found: list[Any] = []
        for customer_id in self.customer_ids():
            listed: Any = {"customer": customer_id, "limit": 100, **asked}
            found += resource.list(params=listed).data
        return found
