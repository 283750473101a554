"""What every template knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import User


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's name, where it runs, and the account that the visitor acts for."""

    def current_account() -> object:
        user = getattr(request, "user", None)
        if not isinstance(user, User):
            return None
        return getattr(request, "account", None) or user.personal_account

    return {
        "site_name": "sansxel",
        "is_development": settings.IS_DEVELOPMENT,
        # Only pages that show it pay for the query.
        "current_account": SimpleLazyObject(current_account),
    }
