"""Finding keys among many: by name, by the end of their text, by state, by who made them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Coalesce, Lower
from django.http import QueryDict
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, Membership, User
from accounts.paging import (
    BY_CREATION,
    Order,
    WordsForm,
    by_moment,
    by_number,
    by_words,
    words_field,
)
from accounts.roles import Act, may
from keys.models import ApiKey

# A list to choose from is read by people; whoever is not on it is found by the keys' names.
_PEOPLE_AT_MOST = 100
_ENVIRONMENTS_AT_MOST = 50
# No further than anybody reads (docs/decisions/0028).
COUNTED_AT_MOST = 1_000
# What was never used stands behind all that was.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# A key as pages show it, copied from there.
_MASKED = re.compile(r"sk_[0-9A-Za-z]*…([0-9A-Za-z]{4})")


def keys_seen_by(membership: Membership) -> QuerySet[ApiKey]:
    """The keys of the account that a member may see: all, their own, or none."""
    return _within(membership, own=Act.SEE_KEYS, all_of_them=Act.SEE_ALL_KEYS)


def keys_changed_by(membership: Membership) -> QuerySet[ApiKey]:
    """The keys of the account that a member may change, switch and revoke."""
    return _within(membership, own=Act.CHANGE_KEYS, all_of_them=Act.CHANGE_ALL_KEYS)


def keys_told_by(key: ApiKey) -> QuerySet[ApiKey]:
    """The keys whose names a key may be told: those that whoever made it may see.

    Of who is no longer a member, those that they made.
    """
    memberships = Membership.objects.filter(account=key.account_id, user=key.created_by_id)
    membership = memberships.first() if key.created_by_id else None
    if membership is not None:
        return keys_seen_by(membership)
    return ApiKey.objects.filter(account=key.account_id, created_by=key.created_by_id)


def _within(membership: Membership, *, own: Act, all_of_them: Act) -> QuerySet[ApiKey]:
    keys = ApiKey.objects.filter(account=membership.account_id)
    if may(membership, all_of_them):
        return keys
    return keys.filter(created_by=membership.user_id) if may(membership, own) else keys.none()


def people_of(account: Account) -> Sequence[User]:
    """Who may have made keys of an account: its members, by their address."""
    members = User.objects.filter(memberships__account=account)
    return list(members.order_by("email")[:_PEOPLE_AT_MOST])


def environments_of(keys: QuerySet[ApiKey]) -> list[str]:
    """Where keys are used, by the alphabet."""
    named = keys.exclude(environment="").order_by("environment")
    return list(named.values_list("environment", flat=True).distinct()[:_ENVIRONMENTS_AT_MOST])


def at_most_counted(keys: QuerySet[ApiKey]) -> int:
    """How many they are; one more than `COUNTED_AT_MOST` stands for any number beyond it."""
    return keys.order_by()[: COUNTED_AT_MOST + 1].count()


class KeyFilter(WordsForm):
    """Which keys to list; without anything, all of them."""

    search_instead = _("That is a key. Search for its last four characters instead.")
    q = words_field(
        _("Name or last four"),
        title=_("Not the key itself: its last four characters are enough."),
    )
    state = forms.ChoiceField(
        required=False,
        choices=[
            ("", _("All but revoked")),
            ("active", _("Active")),
            ("off", _("Switched off")),
            ("expired", _("Expired")),
            ("revoked", _("Revoked")),
        ],
        label=_("State"),
        error_messages={"invalid_choice": _("Choose one of the states.")},
    )
    environment = forms.ChoiceField(
        required=False,
        label=_("Environment"),
        error_messages={"invalid_choice": _("Choose one of the environments of these keys.")},
    )
    sort = forms.ChoiceField(
        required=False,
        choices=[
            ("", _("Newest first")),
            ("name", _("By name")),
            ("used", _("Last used first")),
            ("week", _("Most used this week")),
        ],
        label=_("Sorted"),
        error_messages={"invalid_choice": _("Choose one of the ways to sort.")},
    )
    by = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label=_("Made by"),
        error_messages={"invalid_choice": _("Choose one of the people of this account.")},
    )

    def __init__(
        self, asked: QueryDict, *, people: Sequence[User], environments: Sequence[str] = ()
    ) -> None:
        """people: of the account; one alone is not asked for. environments: of its keys."""
        super().__init__(asked.dict())
        if environments:
            environment = cast("forms.ChoiceField", self.fields["environment"])
            environment.choices = [("", _("Any")), *((name, name) for name in environments)]
        else:
            del self.fields["environment"]
        if len(people) > 1:
            named = [(str(person.pk), person.get_full_name()) for person in people]
            by = cast("forms.ChoiceField", self.fields["by"])
            by.choices = [("", _("Anybody")), *named]
        else:
            del self.fields["by"]

    @property
    def is_of_revoked(self) -> bool:
        """Whether it asks for keys that are gone for good, which pages list apart."""
        return self.data.get("state") == "revoked"

    @property
    def of_live(self) -> str:
        """The address of the same among keys that are not revoked, behind its question mark."""
        return urlencode({name: value for name, value in self.kept.items() if name != "state"})

    @property
    def of_revoked(self) -> str:
        """The address of the same among those that are."""
        return urlencode({**self.kept, "state": "revoked"})

    @property
    def narrows(self) -> bool:
        """Whether anything is left out; another order leaves out nothing."""
        return bool(self.kept.keys() - {"sort"})

    @property
    def is_by_use(self) -> bool:
        """Whether the list says what each key used this week, which sorts it."""
        return self.data.get("sort") == "week"

    def sorted(self, keys: QuerySet[ApiKey], *, at: datetime) -> tuple[QuerySet[ApiKey], Order]:
        """The keys with what they are sorted by, and that order; the form is valid."""
        match self.cleaned_data["sort"]:
            case "name":
                return keys.annotate(sorted_by=Lower("name")), by_words("sorted_by")
            case "used":
                last = Coalesce("last_used_at", Value(_NEVER))
                return keys.annotate(sorted_by=last), by_moment("sorted_by", is_by_age=False)
            case "week":
                # What was used is of a room above this one, which the settings name.
                chats = import_string(settings.KEYS_USE_COUNTED_BY)(at=at)
                return keys.annotate(sorted_by=chats), by_number("sorted_by")
        return keys, BY_CREATION

    def in_any_state(self, keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        """Those of the keys that are asked for, whatever their state; the form is valid."""
        asked: dict[str, Any] = self.cleaned_data
        if words := asked["q"]:
            masked = _MASKED.fullmatch(words)
            end = masked[1] if masked else words
            keys = keys.filter(Q(name__icontains=words) | Q(last_four=end))
        if by := asked.get("by"):
            keys = keys.filter(created_by=by)
        if environment := asked.get("environment"):
            keys = keys.filter(environment=environment)
        return keys

    def narrow(self, keys: QuerySet[ApiKey], *, at: datetime) -> QuerySet[ApiKey]:
        """Those of the keys that are asked for; the form is valid."""
        keys = self.in_any_state(keys)
        is_over = Q(expires_at__lte=at)
        match self.cleaned_data["state"]:
            case "active":
                keys = keys.exclude(is_over).filter(revoked_at=None, disabled_at=None)
            case "off":
                keys = keys.exclude(disabled_at=None).filter(revoked_at=None)
            case "expired":
                keys = keys.filter(is_over, revoked_at=None)
            case "revoked":
                keys = keys.exclude(revoked_at=None)
        return keys
