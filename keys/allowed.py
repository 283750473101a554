"""What the plan of an account lets its keys be used for, whatever their scopes say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from accounts.models import Account
from keys import scopes


@dataclass(frozen=True, slots=True)
class Allowed:
    """What keys may do by the plan of this name.

    meters: None is every one. more: of what it lacks, the name of the first plan that has it.
    models: that customers may name with it, by endpoint.
    """

    plan: str = ""
    meters: frozenset[str] | None = None
    manages: bool = True
    more: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()

    def has(self, scope: str) -> bool:
        """Whether a key may have it."""
        if scope == scopes.MANAGE_KEYS:
            return self.manages
        return scope in scopes.BESIDE_METERS or self.meters is None or scope in self.meters

    def lacking(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """What of some scopes the plan has not."""
        return tuple(scope for scope in wanted if not self.has(scope))

    def in_words(self, lacking: Iterable[str]) -> str:
        """What is told of scopes that the plan has not, and which plan has them."""
        said = []
        by_plan = sorted((self.more.get(scope, ""), _named(scope)) for scope in lacking)
        for plan, some in groupby(by_plan, key=lambda one: one[0]):
            names = ", ".join(name for _plan, name in some)
            if plan:
                told = _("Not with the plan “%(plan)s”, but with “%(larger)s”: %(names)s.")
            else:
                told = _("Not with the plan “%(plan)s”: %(names)s.")
            said.append(told % {"plan": self.plan, "larger": plan, "names": names})
        return " ".join(said)


ALL_ALLOWED = Allowed()


def allowed_for(account: Account) -> Allowed:
    """What counts for an account now.

    Plans are of a room above this one, which the settings name.
    """
    by_plan: Allowed = import_string(settings.KEYS_ALLOWED_BY)(account)
    return by_plan


def _named(scope: str) -> str:
    if scope == scopes.MANAGE_KEYS:
        return _("keys that manage keys")
    return str(scopes.METER_NAMES.get(scope, scope))
