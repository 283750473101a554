"""Stripe's list, as it is answered and as it stands inside of other objects."""

from stripe_sandbox.books import Json


def listed(found: list[Json], *, url: str, has_more: bool = False) -> Json:
    """A page of a list."""
    return {"object": "list", "data": found, "has_more": has_more, "url": url}
