"""What every template knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.current import membership_of
from config.public_pages import has_session


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's name, where it runs, and the account that the visitor acts for."""

    def current_account() -> object:
        membership = membership_of(request)
        return None if membership is None else membership.account

    return {
        "site_name": "sansxel",
        "has_session": has_session(request),
        "is_development": settings.IS_DEVELOPMENT,
        "taxes_on_top": settings.STRIPE_AUTOMATIC_TAX,
        # Only pages that show it pay for the query.
        "current_account": SimpleLazyObject(current_account),
    }
