"""The products of a first start. What exists already is the admin's and stays."""

from django.utils.translation import gettext_noop as _

from billing.models import Product, least_price_cents

# In whatever is sold in: the same numbers, so that 1 credit stays a hundredth.
_BOOST = 5_00
_CREDITS = ((5, _("500 credits")), (20, _("2,000 credits")), (50, _("5,000 credits")))


def seed_products() -> None:
    """Create the Weekly Boost and credits, in packs and by the amount, if there is no product.

    What costs less than Stripe takes of the currency is left out.
    """
    if Product.objects.exists():
        return
    least = least_price_cents()
    if least <= _BOOST:
        Product.objects.create(
            slug="weekly-boost",
            name=_("Weekly Boost"),
            kind=Product.Kind.BOOST,
            price_cents=_BOOST,
            chats=500,
            valid_days=7,
            summary=_("500 more chats, for seven days from the moment you buy."),
        )
    for position, (price, name) in enumerate(_CREDITS, start=1):
        if price * 100 < least:
            continue
        Product.objects.create(
            slug=f"credits-{price}",
            name=name,
            kind=Product.Kind.CREDITS,
            price_cents=price * 100,
            credits=price * 100,
            summary=_("Pays for chats once allowance and boosts are used."),
            position=position,
        )
    Product.objects.create(
        slug="credits",
        name=_("Credits"),
        kind=Product.Kind.CREDITS,
        price_cents=20_00,
        credits=20_00,
        least_cents=max(5_00, least),
        most_cents=500_00,
        summary=_("Pays for chats once allowance and boosts are used."),
        position=len(_CREDITS) + 1,
    )
