"""Accounts as Stripe's customers, and the portal where they keep cards, addresses and invoices."""

from typing import Any

from django.conf import settings

from billing import rights
from billing.stripe_client import answers, asking

# So that one made by another installation at the same Stripe account is left alone.
_PORTAL_MARK = {"made_by": "sansxel-account"}


def create(*, account: str, email: str, key: str) -> str:
    """Make a customer of an account (its handle), once per idempotency key; answers its id.

    Raises StripeUnavailable or StripeRefuses.
    """
    customers = asking.client().v1.customers
    params: Any = {"email": email, "metadata": {"account": account}}
    answer = asking.ask(
        lambda: customers.create(params=params, options={"idempotency_key": key}),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.CUSTOMERS,
    )
    return answers.object_id(answers.fields_of(answer, "customer"), "cus")


def made_for(*, account: str, email: str) -> str | None:
    """The customer that was made for an account although no answer reached us; None without one."""
    customers = asking.client().v1.customers
    params: Any = {"email": email, "limit": 100}
    answer = asking.ask(
        lambda: customers.list(params=params),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.CUSTOMERS,
    )
    rows = answers.rows_of(answers.fields_of(answer, "list"))
    # The first that was made: whatever came later is one too many.
    of_account = [row for row in rows if answers.metadata(row).get("account") == account]
    return answers.object_id(of_account[-1], "cus") if of_account else None


def portal_url(customer_id: str, *, return_url: str) -> str:
    """Where a customer keeps cards, address, tax id and invoices. Raises as `create` does."""
    portal = asking.client().v1.billing_portal.sessions
    params: Any = {
        "customer": customer_id,
        "return_url": return_url,
        "configuration": _configuration(),
    }
    answer = asking.ask(
        lambda: portal.create(params=params),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.PORTAL,
    )
    url = answers.web_address(answers.fields_of(answer, "billing_portal.session"), "url")
    if url is None:
        raise answers.unusable("url")
    return url


def _configuration() -> str:
    """What the portal lets customers do: all but changing plans, which is done here."""
    if settings.STRIPE_PORTAL_CONFIGURATION:
        return str(settings.STRIPE_PORTAL_CONFIGURATION)
    configurations = asking.client().v1.billing_portal.configurations
    listed = asking.ask(
        lambda: configurations.list(params={"active": True, "limit": 100}),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.PORTAL,
    )
    rows = answers.rows_of(answers.fields_of(listed, "list"))
    for row in rows:
        if dict(answers.metadata(row)) == _PORTAL_MARK:
            return answers.object_id(row, "bpc")
    params: Any = {
        "features": {
            "customer_update": {
                "enabled": True,
                "allowed_updates": ["address", "email", "name", "tax_id"],
            },
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True},
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
        },
        "metadata": _PORTAL_MARK,
    }
    made = asking.ask(
        lambda: configurations.create(
            params=params, options={"idempotency_key": "portal-configuration-1"}
        ),
        line=asking.opening,
        within_seconds=asking.PAGE_SECONDS,
        right=rights.PORTAL,
    )
    return answers.object_id(answers.fields_of(made, "billing_portal.configuration"), "bpc")
