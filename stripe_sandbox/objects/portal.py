"""The shapes of the billing portal: its sessions and how it is configured."""

from stripe_sandbox.books import Json
from stripe_sandbox.objects.ids import new_id


def portal_session(
    *,
    at: int,
    customer: str,
    configuration: str,
    return_url: str | None,
    flow: Json | None,
    locale: str | None,
) -> Json:
    """A way into the portal for one customer."""
    return {
        "id": new_id("bps_1"),
        "object": "billing_portal.session",
        "configuration": configuration,
        "created": at,
        "customer": customer,
        "customer_account": None,
        "flow": flow,
        "livemode": False,
        "locale": locale,
        "on_behalf_of": None,
        "return_url": return_url,
        "url": "",
    }


def flow(*, kind: str, subscription: str | None, items: list[Json], after: Json | None) -> Json:
    """The one thing that a session is for."""
    return {
        "after_completion": after
        or {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"},
        "subscription_cancel": {"retention": None, "subscription": subscription}
        if kind == "subscription_cancel"
        else None,
        "subscription_update": {"subscription": subscription}
        if kind == "subscription_update"
        else None,
        "subscription_update_confirm": {
            "discounts": None,
            "items": items,
            "subscription": subscription,
        }
        if kind == "subscription_update_confirm"
        else None,
        "type": kind,
    }


def configuration(*, at: int, is_default: bool) -> Json:
    """What customers may do in the portal: by default, what does not need a list of prices."""
    return {
        "id": new_id("bpc_1"),
        "object": "billing_portal.configuration",
        "active": True,
        "application": None,
        "business_profile": {
            "headline": None,
            "privacy_policy_url": None,
            "terms_of_service_url": None,
        },
        "created": at,
        "default_return_url": None,
        "features": {
            "customer_update": {"allowed_updates": [], "enabled": False},
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True, "payment_method_configuration": None},
            "subscription_cancel": {
                "cancellation_reason": {"enabled": False, "options": []},
                "enabled": True,
                "mode": "at_period_end",
                "proration_behavior": "none",
            },
            "subscription_pause": {
                "duration": {"interval_options": [], "type": "indefinite"},
                "enabled": False,
            },
            "subscription_update": {
                "billing_cycle_anchor": None,
                "default_allowed_updates": [],
                "enabled": False,
                "products": [],
                "proration_behavior": "none",
                "schedule_at_period_end": {"conditions": []},
                "trial_update_behavior": "end_trial",
            },
        },
        "is_default": is_default,
        "livemode": False,
        "login_page": {"enabled": False, "url": None},
        "metadata": {},
        "name": None,
        "updated": at,
    }
