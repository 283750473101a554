"""What was done, in the reader's language. An act that is not known here reads as its own word."""

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.models import AuditEvent, Membership

Kind = AuditEvent.Kind
_ROLES: dict[str, StrOrPromise] = {str(role.value): role.label for role in Membership.Role}

_ACTS: dict[tuple[str, str], StrOrPromise] = {
    (Kind.KEY, "created"): _("Key created"),
    (Kind.KEY, "changed"): _("Key changed"),
    (Kind.KEY, "switched off"): _("Key switched off"),
    (Kind.KEY, "switched on"): _("Key switched on"),
    (Kind.KEY, "revoked"): _("Key revoked"),
    (Kind.KEY, "rotated"): _("Key given a new secret"),
    (Kind.KEY, "former ended"): _("Former secret of a key ended"),
    (Kind.KEY, "former leaked"): _("Former secret of a key ended because it was found in public"),
    (Kind.KEY, "leaked"): _("Key revoked because it was found in public"),
    (Kind.SPENDING, "chosen"): _("Spending past the allowance chosen"),
    (Kind.PLAN, "granted"): _("Plan granted"),
    (Kind.PLAN, "ended"): _("Plan ended"),
    (Kind.PLAN, "moved"): _("Moved to a plan"),
    (Kind.PLAN, "changed"): _("Plan changed"),
    (Kind.PLAN, "cancelled"): _("Subscription cancelled"),
    (Kind.PLAN, "cancelled at once"): _("Subscription ended at once"),
    (Kind.PLAN, "resumed"): _("Subscription goes on after all"),
    (Kind.PLAN, "pack on"): _("Pack switched on"),
    (Kind.PLAN, "pack off"): _("Pack switched off"),
    (Kind.MONEY, "boost granted"): _("Boost granted"),
    (Kind.MONEY, "credits granted"): _("Credits granted or taken"),
    (Kind.MONEY, "top-up wanted"): _("Auto top-up switched on or changed"),
    (Kind.MONEY, "top-up off"): _("Auto top-up switched off"),
    (Kind.MONEY, "card forgotten"): _("Card of the auto top-up forgotten"),
    (Kind.MONEY, "refunded"): _("Money returned"),
    (Kind.ALERT, "endpoint added"): _("Webhook added"),
    (Kind.ALERT, "endpoint changed"): _("Webhook changed"),
    (Kind.ALERT, "secret rotated"): _("Secret of a webhook rotated"),
    (Kind.ALERT, "endpoint removed"): _("Webhook removed"),
    (Kind.ALERT, "chosen"): _("Alerts chosen"),
    (Kind.SIGN_IN, "password changed"): _("Password changed"),
    (Kind.SIGN_IN, "password reset"): _("Password set anew by mail"),
    (Kind.SIGN_IN, "address added"): _("Email address added"),
    (Kind.SIGN_IN, "address changed"): _("Email address changed"),
    (Kind.SIGN_IN, "address removed"): _("Email address removed"),
    (Kind.SIGN_IN, "connected"): _("Sign-in by way of another site added"),
    (Kind.SIGN_IN, "disconnected"): _("Sign-in by way of another site removed"),
    (Kind.SIGN_IN, "data taken"): _("Personal data taken along"),
    (Kind.SIGN_IN, "session ended"): _("Signed out on another device"),
    (Kind.SIGN_IN, "other sessions ended"): _("Signed out everywhere else"),
    (Kind.SIGN_IN, "second factor forgotten"): _("Second factor taken away by the operator"),
    (Kind.SIGN_IN, "app added"): _("Authenticator app added"),
    (Kind.SIGN_IN, "app removed"): _("Authenticator app removed"),
    (Kind.SIGN_IN, "app used"): _("Code of the authenticator app given"),
    (Kind.SIGN_IN, "passkey added"): _("Passkey added"),
    (Kind.SIGN_IN, "passkey removed"): _("Passkey removed"),
    (Kind.SIGN_IN, "passkey used"): _("Passkey used"),
    (Kind.SIGN_IN, "codes made"): _("Recovery codes made"),
    (Kind.SIGN_IN, "codes removed"): _("Recovery codes removed"),
    (Kind.SIGN_IN, "code used"): _("Recovery code used"),
    (Kind.PEOPLE, "team made"): _("Team made"),
    (Kind.PEOPLE, "renamed"): _("Account renamed"),
    (Kind.PEOPLE, "invited"): _("Person invited"),
    (Kind.PEOPLE, "invited again"): _("Invitation sent again"),
    (Kind.PEOPLE, "invitation withdrawn"): _("Invitation withdrawn"),
    (Kind.PEOPLE, "invitation declined"): _("Invitation declined"),
    (Kind.PEOPLE, "joined"): _("Person joined"),
    (Kind.PEOPLE, "role changed"): _("Role changed"),
    (Kind.PEOPLE, "budget changed"): _("Budget of a person changed"),
    (Kind.PEOPLE, "new budget changed"): _("Budget of whoever joins changed"),
    (Kind.PEOPLE, "removed"): _("Person removed"),
    (Kind.PEOPLE, "left"): _("Person left"),
    (Kind.PEOPLE, "handed over"): _("Ownership handed over"),
    (Kind.PEOPLE, "account closed"): _("Account closed"),
    (Kind.PEOPLE, "account reopened"): _("Account reopened"),
    (Kind.PEOPLE, "data taken"): _("Data of the account taken along"),
    (Kind.PEOPLE, "suspended"): _("Account suspended"),
    (Kind.PEOPLE, "reinstated"): _("Suspension lifted"),
}
_NAMES: dict[str, StrOrPromise] = {
    "name": _("name"),
    "environment": _("environment"),
    "expires_at": _("end"),
    "last_four": _("last four characters"),
    "former_ends_at": _("the former works until"),
    "daily_cap": _("chats a day"),
    "weekly_cap": _("chats a week"),
    "monthly_cap": _("chats a month"),
    "total_cap": _("chats in all"),
    "scopes": _("scopes"),
    "only_models": _("models"),
    "addresses": _("addresses"),
    "requests_a_minute": _("requests a minute"),
    "requests_at_once": _("requests at once"),
    "past_allowance": _("pays past the allowance"),
    "credits_a_week": _("credits a week"),
    "credits_a_month": _("credits a month"),
    "units_a_request": _("units a request"),
    "plan": _("plan"),
    "until": _("until"),
    "seats": _("seats"),
    "url": _("address"),
    "is_on": _("on"),
    "credits": _("credits"),
    "chats": _("chats"),
    "address": _("email address"),
    "amount": _("amount"),
    "interval": _("paid by the"),
    "below_credits": _("below credits"),
    "month": _("at most a month"),
    "kinds": _("told of"),
    "low_credits": _("low credits"),
    "role": _("role"),
    "owner": _("owner"),
}


def act_of(event: AuditEvent) -> StrOrPromise:
    """What was done."""
    return _ACTS.get((event.kind, event.act), event.act)


def name_of(what: str) -> StrOrPromise:
    """What was changed."""
    return _NAMES.get(what, what)


def change_of(what: str, before: str, after: str, *, nothing: str) -> str:
    """What is different: “chats a week: 100 → 50”. nothing: what a blank reads as."""
    was, now = (
        (_ROLES.get(value, value) if what == "role" else value) or nothing
        for value in (before, after)
    )
    return f"{name_of(what)}: {was} → {now}"
