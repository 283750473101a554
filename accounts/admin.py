from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa import admin as mfa_admin
from allauth.usersessions import admin as sessions_admin
from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    SetUnusablePasswordMixin,
    UserChangeForm,
)
from django.contrib.auth.models import Group
from django.db.models import ForeignKey, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from accounts.admin_fields import ManyAsBoxes
from accounts.audit_words import act_of, change_of
from accounts.large_lists import LargeListAdmin, OfAccountsAdmin, in_period
from accounts.models import AuditEvent, Invitation, Membership, User
from accounts.people_in_admin import MembershipFormSet
from accounts.read_only_admin import ReadOnlyAdmin

RIGHTS = _("Rights")


class KnownSelect(AutocompleteSelect):
    """A required autocomplete that is told what is chosen, so that no row of many asks for it."""

    known: Model | None = None

    def optgroups(self, name: str, value: Sequence[str], attrs: Any = None) -> Any:
        if self.known is None or list(value) != [str(self.known.pk)]:
            return super().optgroups(name, value, attrs)
        return [(None, [self.create_option(name, self.known.pk, str(self.known), True, 0)], 0)]


class MembershipForm(forms.ModelForm[Membership]):
    """One row; its person and account came with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            return
        for name, field in self.fields.items():
            # Beside it the admin shows the ways to add and to change what it names.
            widget = getattr(field.widget, "widget", None)
            if isinstance(widget, KnownSelect):
                widget.known = getattr(self.instance, name)


class MembershipInline(admin.StackedInline[Membership, Any]):
    """The members of an account, or the accounts of a person: one query, however many.

    Not as a table: its boxes would have no names for whoever hears them.
    """

    model = Membership
    form = MembershipForm
    formset = MembershipFormSet
    extra = 0
    readonly_fields = ("created_at",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A row of fields for each."""
        return [(None, {"fields": (tuple(self.get_fields(request, obj)),)})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        return super().get_queryset(request).select_related("account", "user")

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = KnownSelect(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class AccountInline(MembershipInline):
    autocomplete_fields = ("account",)


class UserForm(UserChangeForm[User]):
    class Meta:
        model = User
        fields = "__all__"


class NewUserForm(AdminUserCreationForm[User]):
    class Meta:
        model = User
        fields = ("email",)


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """Django puts its warning together of pieces, in English, before anybody reads it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if field := self.fields.get("usable_password"):
            field.help_text = format_html(
                '{}<ul id="id_unusable_warning" class="messagelist">'
                '<li class="warning">{}</li></ul>',
                SetUnusablePasswordMixin.usable_password_help_text,
                _("If disabled, the current password for this user will be lost."),
            )


class UserAdmin(LargeListAdmin[User], ManyAsBoxes, DjangoUserAdmin[User]):
    """People who sign in. A new one gets a personal account.

    Registered where it can say what becomes of their keys: `quotas.admin.people`.
    """

    form = UserForm
    add_form = NewUserForm
    change_password_form = PasswordForm
    ordering = ("email",)
    list_display = ("email", "name", "is_staff", "is_active", "date_joined", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active", in_period("date_joined"))
    search_fields = ("^email", "^name")
    search_help_text = _("How an e-mail address or a name begins.")
    readonly_fields = ("date_joined", "last_login")
    inlines: ClassVar = [AccountInline]
    fieldsets = (
        (None, {"fields": ("email", "password", "name")}),
        (
            RIGHTS,
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (_("Moments"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_inlines(self, request: HttpRequest, obj: User | None = None) -> Any:
        """A membership needs a saved user."""
        return self.inlines if obj else []


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(ManyAsBoxes, DjangoGroupAdmin):
    """Rights that several people share."""


# The admin of the package counts them all, and looks for a part of an address in every one.
admin.site.unregister(EmailAddress)


@admin.register(EmailAddress)
class AddressAdmin(LargeListAdmin[Any], EmailAddressAdmin):  # type: ignore[misc]
    """Addresses of people, and whether they were confirmed."""

    list_filter = ("verified",)
    list_select_related = ("user",)
    search_help_text = _("A whole e-mail address.")

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("email",)

    def found_elsewhere(self, request: HttpRequest, words: str) -> Q:
        """They are kept in small letters."""
        return Q(email=words.lower())


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin[Invitation], OfAccountsAdmin[Invitation]):
    """Who was asked into which account, and what they said."""

    list_display = ("email", "account", "role", "state", "sent_at", "expires_at")
    list_filter = ("state", in_period("created_at"))
    list_select_related = ("account",)
    fields = (
        *("account", "email", "role", "state", "invited_by"),
        *("created_at", "sent_at", "expires_at", "answered_at"),
    )


# What it shows holds secrets, and `forget_second_factor` writes down what it does.
admin.site.unregister(mfa_admin.Authenticator)
# It is searched by names that our people do not have, and shows the numbers of sessions.
admin.site.unregister(sessions_admin.UserSession)


if apps.is_installed("allauth.socialaccount"):
    # What it shows holds secrets of other sites.
    socials = import_module("allauth.socialaccount.admin")
    admin.site.unregister((socials.SocialApp, socials.SocialAccount, socials.SocialToken))


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin[AuditEvent], OfAccountsAdmin[AuditEvent]):
    """What was done for accounts, by whom and from where."""

    list_display = ("act_in_words", "thing", "account", "user_name", "via", "ip", "created_at")
    list_filter = ("kind", "via", in_period("created_at"))
    fields = (
        *("account", "act_in_words", "thing", "what_changed", "note", "user_name", "via"),
        *("ip", "client", "created_at"),
    )

    @admin.display(description=_("act"))
    def act_in_words(self, event: AuditEvent) -> str:
        """In the reader's language."""
        return str(act_of(event))

    @admin.display(description=_("changes"))
    def what_changed(self, event: AuditEvent) -> str:
        """A line for each."""
        lines = [change_of(*change, nothing="–") for change in event.changes]
        return "\n".join(lines) or str(self.get_empty_value_display())
