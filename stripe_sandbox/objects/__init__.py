"""The shapes of Stripe's objects, in the version that the pinned client speaks."""

from stripe_sandbox.objects.ids import API_VERSION, new_id

__all__ = ["API_VERSION", "new_id"]
