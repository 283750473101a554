"""What accounts are granted, and what they used.

Granted: plans and packs (`plans`) for a time (`entitlements`), Boost, CreditEntry with a positive
amount (`ledger`). Used: UsageRollup (`used`), Boost.spent and CreditEntry of kind "spend"; the
drain alone writes them. Imported here for Django alone: others say which of them they need.
"""

from quotas.models import entitlements, ledger, plans, used

__all__ = ["entitlements", "ledger", "plans", "used"]
