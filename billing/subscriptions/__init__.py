"""Plans that are paid for by the month or the year: ordered, kept, changed and ended at Stripe.

Stripe knows what a subscription is; we read it and have the account's dated plans follow.
"""
