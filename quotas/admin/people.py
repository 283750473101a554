"""The admin's pages on which people come and go, and what becomes of access then."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import people_in_admin
from accounts.access import accounts_of, accounts_that_need, is_attended
from accounts.admin import RIGHTS, MembershipInline, UserAdmin
from accounts.finding import accounts_with
from accounts.large_lists import LargeListAdmin
from accounts.models import Account, Membership, User
from quotas import access


def tell_of_change(request: HttpRequest, before: dict[int, bool]) -> None:
    """After the commit: bring the change to the gate and say what became of access."""
    change = access.bring_to_gate(before)
    for account in change.ended:
        if account in change.unconfirmed:
            text = _(
                "Nobody may act for %(account)s any more, but the gate has not confirmed it yet. "
                "It is repeated every second; until then its keys may still work."
            )
            messages.warning(request, text % {"account": account})
        else:
            text = _("Nobody may act for %(account)s any more. The gate refuses all its requests.")
            messages.success(request, text % {"account": account})
    keys = access.keys_in_words(change.returned)
    for account in change.returned:
        if account in change.unconfirmed:
            text = _(
                "Somebody may act for %(account)s again: %(keys)s. The gate learns it within "
                "seconds."
            )
        else:
            text = _("Somebody may act for %(account)s again: %(keys)s.")
        messages.success(request, text % {"account": account, "keys": keys[account.pk]})


@admin.register(User)
class PeopleAdmin(UserAdmin):
    """Whoever is switched off, deleted or taken out of an account has no access from then on."""

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "access_that_ends")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """What would end stands above the switch that ends it."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        return [
            (name, {**options, "fields": ("access_that_ends", *options["fields"])})
            if name is RIGHTS
            else (name, options)
            for name, options in fieldsets
        ]

    @admin.display(description=gettext_lazy("access that depends on this person"))
    def access_that_ends(self, user: User) -> str:
        """The accounts that nobody else may act for, with the keys that would be refused."""
        ending = list(accounts_that_need([user]))
        keys = access.keys_in_words(ending)
        sentence = _(
            "Nobody else may act for %(account)s. Switching this person off, deleting them or "
            "taking them out of the account ends its access at once: %(keys)s. What it holds is "
            "kept."
        )
        sentences = [
            sentence % {"account": account, "keys": keys[account.pk]} for account in ending
        ]
        return " ".join(sentences) or _("None: others may act for every account of this person.")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What the page before a deletion lists: first the access that ends with it."""
        listed, counts, lacking, protected = super().get_deleted_objects(objs, request)
        ending = list(accounts_that_need(objs))
        keys = access.keys_in_words(ending)
        lacking_owner = [
            _("%(account)s has other members and would have no owner. Make one of them the owner.")
            % {"account": account}
            for account in people_in_admin.owned_alone(objs)
        ]
        protected = [*protected, *lacking_owner]
        sentences = [
            _("%(account)s is kept and access to it ends: %(keys)s")
            % {"account": account, "keys": keys[account.pk]}
            for account in ending
        ]
        return [*sentences, *listed], counts, lacking, protected

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        form.access_before = access.access_of(accounts_of([obj])) if change else {}
        super().save_model(request, obj, form, change)
        transaction.on_commit(lambda: tell_of_change(request, form.access_before))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Accounts that the person is put into here are looked at before that."""
        entered = {
            data["account"].pk
            for formset in formsets
            for data in formset.cleaned_data
            if data and not data.get("DELETE")
        }
        form.access_before |= access.access_of(entered - form.access_before.keys())
        super().save_related(request, form, formsets, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is Membership:
            people_in_admin.record(formset)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        before = access.access_of(accounts_of([obj]))
        people_in_admin.record_deletion([obj])
        super().delete_model(request, obj)
        transaction.on_commit(lambda: tell_of_change(request, before))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        before = access.access_of(accounts_of(queryset))
        with transaction.atomic():
            people_in_admin.record_deletion(queryset)
            super().delete_queryset(request, queryset)
        transaction.on_commit(lambda: tell_of_change(request, before))


class AccessFilter(admin.SimpleListFilter):
    """Finds the accounts that nobody may act for."""

    title = gettext_lazy("access")
    parameter_name = "access"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (("ended", _("Nobody may act: access ended")), ("open", _("Somebody may act")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        match self.value():
            case "ended":
                return queryset.filter(~is_attended())
            case "open":
                return queryset.filter(is_attended())
        return queryset


class MemberInline(MembershipInline):
    autocomplete_fields = ("user",)


class AccountPeople(LargeListAdmin[Account]):
    """The part of an account's page that is about who may act for it."""

    inlines: ClassVar = [MemberInline]

    def found_elsewhere(self, request: HttpRequest, words: str) -> Q:
        return Q(pk__in=accounts_with(words))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        acting = User.objects.filter(
            memberships__account=OuterRef("pk"),
            memberships__account__closed_at=None,
            is_active=True,
        )
        return (
            super()
            .get_queryset(request)
            # Two tell whether it depends on one.
            .annotate(acting=ArraySubquery(acting.order_by("pk").values("email")[:2]))
        )

    @admin.display(boolean=True, description=gettext_lazy("somebody may act"))
    def has_people(self, account: Any) -> bool:
        return bool(account.acting)

    @admin.display(description=gettext_lazy("access"))
    def access(self, account: Any) -> str:
        """Who may act, and what depends on them."""
        if account.pk is None:
            return _("Add the people who may act for it below.")
        keys = access.keys_in_words([account])[account.pk]
        if account.closed_at is not None:
            return _("Nobody may act: the account is closed. Reopened, it has %(keys)s.") % {
                "keys": keys
            }
        if not account.acting:
            return _(
                "Nobody may act: access ended. A person who is added below opens it again, with "
                "%(keys)s. Revoke those first that a person who is gone may know."
            ) % {"keys": keys}
        if len(account.acting) == 1:
            return _("Only %(person)s may act. Without them access ends at once: %(keys)s.") % {
                "person": account.acting[0],
                "keys": keys,
            }
        return _("Several people may act. While one of them is left, access stays: %(keys)s.") % {
            "keys": keys
        }

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is Membership:
            people_in_admin.record(formset)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        before = access.access_of([obj.pk]) if change else {}
        super().save_model(request, obj, form, change)
        transaction.on_commit(lambda: tell_of_change(request, before))
