"""Where the site is, for links that leave it: in mails, on Stripe's pages, in examples to copy."""

from django.conf import settings


def site_address(path: str = "") -> str:
    """An absolute address of this site. It never depends on how a request was addressed."""
    return f"{settings.SITE_URL}{path}"
