"""Finding accounts by what people know of them."""

from collections.abc import Sequence

from django.db.models import Q
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from accounts.beginnings import begins_with
from accounts.models import Account, Membership

FOUND_AT_MOST = 100
HOW_ACCOUNTS_ARE_FOUND = format_lazy(
    _(
        "An account: its handle, or how its name or a member’s e-mail address begins. Of those "
        "that begin alike the first {count} are looked at."
    ),
    count=FOUND_AT_MOST,
)


def accounts_called(words: str) -> Q:
    """A condition on accounts: its handle, or how its name begins."""
    return Q(handle=words) | begins_with("name", words)


def accounts_with(words: str) -> Sequence[int]:
    """Accounts with a member whose e-mail address begins so; the first so many."""
    rows = Membership.objects.filter(begins_with("user__email", words))
    return list(rows.order_by("pk").values_list("account_id", flat=True)[:FOUND_AT_MOST])


def accounts_found(words: str) -> Sequence[int]:
    """Accounts by handle, name or a member's address; the first so many."""
    rows = Account.objects.filter(accounts_called(words) | Q(pk__in=accounts_with(words)))
    return list(rows.order_by("pk").values_list("pk", flat=True)[:FOUND_AT_MOST])
