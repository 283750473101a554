"""Everything that is said to Stripe, and how its events are told from forgeries.

With the sandbox the same client speaks to our own stand-in over HTTP: no code path is special.
Stripe is somebody else's server: it is asked through `asking.ask` alone, see accounts.outside. What
it answers is either exactly what we know how to read, or StripeUnavailable.
"""
