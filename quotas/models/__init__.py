"""What accounts are granted, what they used, and what they may ask for.

Granted: plans and packs (`plans`) for a time (`entitlements`), Boost, CreditEntry with a positive
amount (`ledger`). Used: UsageRollup (`used`), Boost.spent and CreditEntry of kind "spend"; the
drain alone writes them. May ask for: models by name (`offer`). Imported here for Django alone:
others say which of them they need.
"""

from quotas.models import entitlements, ledger, offer, plans, used

__all__ = ["entitlements", "ledger", "offer", "plans", "used"]
