"""What models and fields are called that Django names itself, in the reader's language.

Django makes such a name of what stands in the code: “created at” of `created_at`, in English only.
Said again in the models, each of them would be a change of state that migrations have to keep,
although nothing of the database changes. So they are marked here, and put on the models before the
admin reads them; what a model says of its own accord stays.
"""

from collections.abc import Iterable

from django.apps import apps
from django.db.models import Model
from django.utils import translation
from django.utils.translation import gettext_lazy, gettext_noop

_OF_MODELS = (
    gettext_noop("API keys"),
    gettext_noop("account"),
    gettext_noop("accounts"),
    gettext_noop("alert"),
    gettext_noop("alert settings"),
    gettext_noop("alerts"),
    gettext_noop("boost"),
    gettext_noop("boosts"),
    gettext_noop("credit entry"),
    gettext_noop("delivery"),
    gettext_noop("membership"),
    gettext_noop("memberships"),
    gettext_noop("meter"),
    gettext_noop("meters"),
    gettext_noop("models"),
    gettext_noop("pack"),
    gettext_noop("pack switch"),
    gettext_noop("packs"),
    gettext_noop("partition"),
    gettext_noop("partitions"),
    gettext_noop("plan"),
    gettext_noop("plan grant"),
    gettext_noop("plan grants"),
    gettext_noop("plans"),
    gettext_noop("product"),
    gettext_noop("products"),
    gettext_noop("provider"),
    gettext_noop("providers"),
    gettext_noop("purchase"),
    gettext_noop("purchases"),
    gettext_noop("service token"),
    gettext_noop("service tokens"),
    gettext_noop("stripe event"),
    gettext_noop("stripe events"),
    gettext_noop("suspension"),
    gettext_noop("suspensions"),
    gettext_noop("user"),
    gettext_noop("users"),
    gettext_noop("webhook endpoint"),
    gettext_noop("webhook endpoints"),
    gettext_noop("week close"),
    gettext_noop("week closes"),
)
# Those without a page of their own: rights to them are listed with the others.
_OF_THE_REST = (
    gettext_noop("charge mark"),
    gettext_noop("entitlement"),
    gettext_noop("last look"),
    gettext_noop("mail choice"),
    gettext_noop("outgoing mail"),
    gettext_noop("refusal rollup"),
    gettext_noop("refusal total"),
    gettext_noop("tag rollup"),
    gettext_noop("token rollup"),
    gettext_noop("token total"),
    gettext_noop("totalled"),
    gettext_noop("usage rollup"),
    gettext_noop("usage tag"),
    gettext_noop("usage total"),
    gettext_noop("watch"),
)
_OF_FIELDS = (
    gettext_noop("account"),
    gettext_noop("addresses"),
    gettext_noop("alert"),
    gettext_noop("allowance"),
    gettext_noop("amount cents"),
    gettext_noop("ask at"),
    gettext_noop("attempts"),
    gettext_noop("boost"),
    gettext_noop("by"),
    gettext_noop("changed at"),
    gettext_noop("chats"),
    gettext_noop("checkout url"),
    gettext_noop("claimed until"),
    gettext_noop("closed at"),
    gettext_noop("created at"),
    gettext_noop("created by"),
    gettext_noop("credits"),
    gettext_noop("credits per chat"),
    gettext_noop("currency"),
    gettext_noop("data"),
    gettext_noop("date joined"),
    gettext_noop("description"),
    gettext_noop("digest"),
    gettext_noop("done at"),
    gettext_noop("drained at"),
    gettext_noop("drained id"),
    gettext_noop("ended at"),
    gettext_noop("ended by"),
    gettext_noop("endpoint"),
    gettext_noop("ends at"),
    gettext_noop("epoch"),
    gettext_noop("error"),
    gettext_noop("event id"),
    gettext_noop("expires at"),
    gettext_noop("failing since"),
    gettext_noop("failures"),
    gettext_noop("features"),
    gettext_noop("for all plans"),
    gettext_noop("generation"),
    gettext_noop("granted by"),
    gettext_noop("handle"),
    gettext_noop("handled at"),
    gettext_noop("has first models"),
    gettext_noop("has first password"),
    gettext_noop("id"),
    gettext_noop("ignored at"),
    gettext_noop("ignored headers"),
    gettext_noop("index"),
    gettext_noop("is default"),
    gettext_noop("is on"),
    gettext_noop("is passed"),
    gettext_noop("is public"),
    gettext_noop("key variable"),
    gettext_noop("kind"),
    gettext_noop("kinds"),
    gettext_noop("last four"),
    gettext_noop("last status"),
    gettext_noop("last used at"),
    gettext_noop("looked at"),
    gettext_noop("low credits"),
    gettext_noop("members"),
    gettext_noop("monthly price cents"),
    gettext_noop("name"),
    gettext_noop("name at provider"),
    gettext_noop("next try at"),
    gettext_noop("note"),
    gettext_noop("occasion"),
    gettext_noop("occurred at"),
    gettext_noop("opened at"),
    gettext_noop("pack"),
    gettext_noop("packs"),
    gettext_noop("paid at"),
    gettext_noop("payload"),
    gettext_noop("pepper id"),
    gettext_noop("plan"),
    gettext_noop("plans"),
    gettext_noop("position"),
    gettext_noop("previous pepper id"),
    gettext_noop("previous until"),
    gettext_noop("price cents"),
    gettext_noop("problem"),
    gettext_noop("product"),
    gettext_noop("product name"),
    gettext_noop("provider"),
    gettext_noop("pushed version"),
    gettext_noop("pushes"),
    gettext_noop("received at"),
    gettext_noop("received cents"),
    gettext_noop("received currency"),
    gettext_noop("refusals batch"),
    gettext_noop("removed at"),
    gettext_noop("resolution"),
    gettext_noop("resolved at"),
    gettext_noop("resolved by"),
    gettext_noop("retry at"),
    gettext_noop("revoked at"),
    gettext_noop("revoked by"),
    gettext_noop("role"),
    gettext_noop("scopes"),
    gettext_noop("slug"),
    gettext_noop("source"),
    gettext_noop("source ref"),
    gettext_noop("spent"),
    gettext_noop("starts at"),
    gettext_noop("state"),
    gettext_noop("status"),
    gettext_noop("stripe session id"),
    gettext_noop("submission"),
    gettext_noop("summary"),
    gettext_noop("switched off at"),
    gettext_noop("tries"),
    gettext_noop("type"),
    gettext_noop("units"),
    gettext_noop("url"),
    gettext_noop("user"),
    gettext_noop("valid days"),
    gettext_noop("version"),
    gettext_noop("week"),
    gettext_noop("weekly cap"),
)
# Histories keep which fields were changed by their English labels, and read them in any language.
IN_HISTORIES = frozenset(
    (
        gettext_noop("E-mail address"),
        gettext_noop("Name"),
        gettext_noop("Active"),
        gettext_noop("Staff"),
        gettext_noop("Superuser status"),
        gettext_noop("Groups"),
        gettext_noop("User permissions"),
        gettext_noop("Permissions"),
        gettext_noop("Password"),
        gettext_noop("Account"),
        gettext_noop("User"),
        gettext_noop("Role"),
        gettext_noop("Email address"),
        gettext_noop("Verified"),
        gettext_noop("Primary"),
        gettext_noop("Slug"),
        gettext_noop("Summary"),
        gettext_noop("Kind"),
        gettext_noop("Chats"),
        gettext_noop("Valid days"),
        gettext_noop("Credits"),
        gettext_noop("Position"),
        gettext_noop("On sale"),
        gettext_noop("Packs"),
        gettext_noop("Is public"),
        gettext_noop("Is default"),
        gettext_noop("Cost in chats"),
        gettext_noop("Address"),
        gettext_noop("Key variable"),
        gettext_noop("Description"),
        gettext_noop("Endpoint"),
        gettext_noop("Offered"),
        gettext_noop("Provider"),
        gettext_noop("Name at provider"),
        gettext_noop("Units"),
        gettext_noop("For all plans"),
        gettext_noop("Plans"),
        gettext_noop("Trust X-Quota-Request-Id"),
        gettext_noop("Trust X-Quota-Units"),
        gettext_noop("Trust X-Quota-Client-IP"),
        gettext_noop("Hops of X-Forwarded-For"),
        gettext_noop("Only meter"),
        gettext_noop("Reason of its end"),
        gettext_noop("Plan"),
        gettext_noop("Starts at"),
        gettext_noop("Ends at"),
        gettext_noop("Reason"),
        gettext_noop("Features"),
        gettext_noop("Weekly cap"),
    )
)
NAMES = frozenset((*_OF_MODELS, *_OF_THE_REST, *_OF_FIELDS))

# What pages of Django’s admin say and its own German leaves out.
OF_DJANGO = (
    gettext_noop("After you’ve created a user, you’ll be able to edit more user options."),
    gettext_noop(
        "This action will <strong>enable</strong> password-based authentication for this user."
    ),
    gettext_noop("Disable password-based authentication"),
    gettext_noop("Enable password-based authentication"),
    gettext_noop("Conflicting form data submitted. Please try again."),
    gettext_noop("Password-based authentication was disabled."),
    gettext_noop("Set password: %s"),
    gettext_noop("Reset password"),
    gettext_noop("Set password"),
    gettext_noop(
        "Whether the user will be able to authenticate using a password or not. If disabled, they "
        "may still be able to authenticate using other backends, such as Single Sign-On or LDAP."
    ),
    gettext_noop("Password-based authentication"),
    gettext_noop("Enabled"),
    gettext_noop("Disabled"),
    gettext_noop("Raw passwords are not stored, so there is no way to see the user’s password."),
    gettext_noop("Enable password-based authentication for this user by setting a password."),
)


def speak_every_language() -> None:
    """Give every name that Django made of code its translations; migrations see none of it."""
    # What is marked is the English.
    with translation.override(None):
        _speak(apps.get_models())


def _speak(models: Iterable[type[Model]]) -> None:
    for model in models:
        about = model._meta  # noqa: SLF001 - Django documents it
        said = about.original_attrs
        # Of one thing first: Django makes the name of many of it.
        many, one = str(about.verbose_name_plural), str(about.verbose_name)
        if "verbose_name_plural" not in said and many in NAMES:
            about.verbose_name_plural = gettext_lazy(many)
        if "verbose_name" not in said and one in NAMES:
            about.verbose_name = gettext_lazy(one)
        for field in (*about.local_fields, *about.local_many_to_many):
            # What a migration keeps of a field has its name where the model says it.
            said = field.deconstruct()[3]
            if "verbose_name" not in said and field.verbose_name in NAMES:
                field.verbose_name = gettext_lazy(str(field.verbose_name))
