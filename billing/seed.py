"""The products of a first start. What exists already is the admin's and stays."""

from billing.models import Product


def seed_products() -> None:
    """Create the Weekly Boost and the credit top-ups, if there are no products at all."""
    if Product.objects.exists():
        return
    Product.objects.create(
        slug="weekly-boost",
        name="Weekly Boost",
        kind=Product.Kind.BOOST,
        price_cents=500,
        chats=500,
        valid_days=7,
        summary="500 more chats, for seven days from the moment you buy.",
    )
    for position, dollars in enumerate((5, 20, 50), start=1):
        Product.objects.create(
            slug=f"credits-{dollars}",
            name=f"{dollars * 100:,} credits",
            kind=Product.Kind.CREDITS,
            price_cents=dollars * 100,
            credits=dollars * 100,
            summary="Pays for chats once allowance and boosts are used.",
            position=position,
        )
