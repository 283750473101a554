"""An owner who has credits bought by themselves: saves a card, says below what and how much."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from django.utils import timezone

from billing.top_ups import paying
from billing.top_ups.models import AutoTopUp
from quotas import grants, statement
from tests.billing.subscriber import Subscriber
from tests.stripe_sandbox.running_sandbox import CARD
from tests.stripe_sandbox.subscriber import PAYS


class Wisher(Subscriber):
    """An owner who wants credits to be bought by themselves."""

    def save_card(self, number: str = PAYS) -> None:
        answer = self.client.post("/account/billing/top-up/card", {"submission": uuid4()})
        page = self.sandbox.browser.post(answer["Location"], data={**CARD, "number": number})
        if "/authenticate/" in page.headers["location"]:
            bank = self.sandbox.origin + page.headers["location"]
            page = self.sandbox.browser.post(bank, data={"result": "complete"})
        back = page.headers["location"]
        assert "/account/billing/top-up/saved" in back
        self.client.get("/account/billing/top-up/saved?" + back.partition("?")[2])

    def want(self, **fields: Any) -> int:
        sent = {"below_credits": 200, "product": "credits-5", "month_cents": "20", **fields}
        return self.client.post("/account/billing/top-up", sent).status_code

    def wish(self) -> AutoTopUp:
        return AutoTopUp.objects.get(account=self.account)

    def runs(self, at: datetime) -> int:
        """The task, at a moment."""
        return paying.ask_about_open(at=at) + paying.buy_what_is_due(at=at)

    def spend(self, credits: int) -> None:
        grants.grant_credits(
            account=self.account,
            credits=-credits,
            kind=grants.CreditKind.GRANT,
            at=timezone.now(),
            source_ref=f"test:{uuid4()}",
        )

    @property
    def balance(self) -> int:
        return statement.balance_of(self.account)

    def charged(self) -> int:
        """What Stripe took in by saved cards, in cents."""
        listed = self.sandbox.api.v1.payment_intents.list(params={"limit": 100}).data
        return sum(intent.amount for intent in listed if intent.status == "succeeded")
