"""How many keys an account may have that are not revoked."""

from dataclasses import dataclass

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Account
from accounts.numbers import thousands

# Enough for anybody; a runaway script must not fill the account's hot state.
KEYS_AT_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Bound:
    """So many keys at most, by the plan of this name; "" is by none."""

    at_most: int
    plan: str = ""

    @property
    def in_words(self) -> str:
        """What is told to who has as many, and what they may do."""
        if not self.plan:
            return _("You have %(count)s active keys. Revoke one that you no longer use.") % {
                "count": thousands(self.at_most)
            }
        return ngettext(
            "The plan “%(plan)s” comes with %(count)s key. Revoke one that you no longer use, or "
            "choose a plan with more.",
            "The plan “%(plan)s” comes with %(count)s keys. Revoke one that you no longer use, or "
            "choose a plan with more.",
            self.at_most,
        ) % {"plan": self.plan, "count": thousands(self.at_most)}


def bound_of(account: Account) -> Bound:
    """What counts for an account now.

    Plans are of a room above this one, which the settings name.
    """
    by_plan: Bound | None = import_string(settings.KEYS_BOUNDED_BY)(account)
    if by_plan is None or by_plan.at_most > KEYS_AT_MOST:
        return Bound(KEYS_AT_MOST)
    return by_plan
