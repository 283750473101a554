"""What every template knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.current import membership_of, memberships_of
from accounts.roles import Act, may
from config.public_pages import has_session


def site(request: HttpRequest) -> dict[str, Any]:
    """The site's name, where it runs, and the account that the visitor acts for."""

    def current_account() -> object:
        membership = membership_of(request)
        return None if membership is None else membership.account

    def current_role() -> str:
        """Where it matters: among several people, or accounts."""
        membership = membership_of(request)
        is_alone = membership is None or (
            membership.account.is_personal and len(memberships_of(request)) == 1
        )
        return "" if membership is None or is_alone else membership.get_role_display()

    def what_they_may() -> dict[str, bool]:
        membership = membership_of(request)
        return {act.name: membership is not None and may(membership, act) for act in Act}

    return {
        "site_name": "sansxel",
        "has_session": has_session(request),
        "is_development": settings.IS_DEVELOPMENT,
        "taxes_on_top": settings.STRIPE_AUTOMATIC_TAX,
        # Only pages that show it pay for the query.
        "current_account": SimpleLazyObject(current_account),
        "current_role": SimpleLazyObject(current_role),
        "may": SimpleLazyObject(what_they_may),
    }
