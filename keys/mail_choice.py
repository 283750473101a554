"""Whether people want mail about new networks of keys, and about keys that will expire."""

from collections.abc import Sequence

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import Membership
from accounts.site_address import site_address
from keys.models import KeyMailChoice


def choose(membership: Membership, *, is_on: bool) -> None:
    """From now on this member gets such mail, or none."""
    KeyMailChoice.objects.update_or_create(membership=membership, defaults={"is_on": is_on})


def wants_it(membership: Membership) -> bool:
    """Whether this member gets such mail."""
    return not KeyMailChoice.objects.filter(membership=membership, is_on=False).exists()


def who_wants_it(members: Sequence[Membership]) -> Sequence[Membership]:
    """Those of the members who get such mail."""
    silent = KeyMailChoice.objects.filter(membership__in=members, is_on=False)
    without = set(silent.values_list("membership_id", flat=True))
    return [member for member in members if member.pk not in without]


def sentence() -> str:
    """Where people say that they want none."""
    return _("Whether you get such mail, you choose here: %(address)s") % {
        "address": site_address(reverse("alerts"))
    }
