"""What members may do for an account, by their role. Decided here, and nowhere else."""

from enum import StrEnum

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from accounts.models import Membership

Role = Membership.Role


class Act(StrEnum):
    """Something that is done for an account. Every page of the account area names one."""

    SEE_USAGE = "see usage"
    SEE_KEYS = "see their own keys"
    CHANGE_KEYS = "create and revoke their own keys"
    SEE_ALL_KEYS = "see everybody's keys"
    CHANGE_ALL_KEYS = "change and revoke everybody's keys"
    LET_KEYS_MANAGE = "make keys that manage the account's keys"
    SEE_MONEY = "see purchases, credits and plan"
    SPEND_MONEY = "buy"
    SWITCH_PACKS = "switch packs"
    SEE_ALERTS = "see alerts and what became of them"
    CHOOSE_MAIL = "choose what mail they get themselves"
    CHANGE_ALERTS = "change what the account is told of, and its webhooks"
    SEE_AUDIT = "see what was done, by whom and from where"
    SEE_PEOPLE = "see who else is a member"
    LEAVE = "leave"
    CHANGE_PEOPLE = "invite, change roles, remove, rename"
    CHANGE_BUDGETS = "say how much each member may use"
    CHANGE_OWNERS = "make and unmake owners, hand over"
    TAKE_DATA = "take everything that is written down of the account along"
    CLOSE = "close the account"


_EVERYBODYS = frozenset({Act.SEE_USAGE, Act.SEE_ALERTS, Act.CHOOSE_MAIL, Act.SEE_PEOPLE, Act.LEAVE})
_OWNERS_ALONE = frozenset({Act.CHANGE_OWNERS, Act.TAKE_DATA, Act.CLOSE})
_MONEY = frozenset({Act.SEE_MONEY, Act.SPEND_MONEY, Act.SWITCH_PACKS})

# Whoever touches no keys sees none, and whoever makes keys pays for nothing.
MAY: dict[str, frozenset[Act]] = {
    Role.OWNER: frozenset(Act),
    Role.ADMIN: frozenset(Act) - _OWNERS_ALONE,
    Role.DEVELOPER: _EVERYBODYS | {Act.SEE_KEYS, Act.CHANGE_KEYS},
    Role.BILLING: _EVERYBODYS | _MONEY,
    Role.VIEWER: _EVERYBODYS,
}

# What the matrix of the team page says, in its order; each line stands for what it holds.
LINES: tuple[tuple[StrOrPromise, frozenset[Act]], ...] = (
    (_("See usage and what is left"), frozenset({Act.SEE_USAGE})),
    (
        _("See alerts, and choose what mail they get themselves"),
        frozenset({Act.SEE_ALERTS, Act.CHOOSE_MAIL}),
    ),
    (_("See who is in the team, and leave it"), frozenset({Act.SEE_PEOPLE, Act.LEAVE})),
    (
        _("Create keys; change and revoke those that they made"),
        frozenset({Act.SEE_KEYS, Act.CHANGE_KEYS}),
    ),
    (
        _("See, change and revoke everybody’s keys"),
        frozenset({Act.SEE_ALL_KEYS, Act.CHANGE_ALL_KEYS}),
    ),
    (_("Make keys that manage the account’s keys"), frozenset({Act.LET_KEYS_MANAGE})),
    (_("See purchases, credits and the plan; buy, and choose what may be spent"), _MONEY),
    (_("Change alerts and webhooks"), frozenset({Act.CHANGE_ALERTS})),
    (_("Read the audit log"), frozenset({Act.SEE_AUDIT})),
    (
        _("Invite and remove people, change roles, rename the team"),
        frozenset({Act.CHANGE_PEOPLE}),
    ),
    (_("Say how much each member’s keys may use"), frozenset({Act.CHANGE_BUDGETS})),
    (_("Make other owners, and hand the team over"), frozenset({Act.CHANGE_OWNERS})),
    (
        _("Take all data of the account along, and close it"),
        frozenset({Act.TAKE_DATA, Act.CLOSE}),
    ),
)


def may(membership: Membership, act: Act) -> bool:
    """Whether this member may do that for the account. A role that is not known may nothing."""
    return act in MAY.get(membership.role, frozenset())


def may_give(membership: Membership, role: str) -> bool:
    """Whether this member may make others that, and change or remove those who are it."""
    return may(membership, Act.CHANGE_OWNERS if role == Role.OWNER else Act.CHANGE_PEOPLE)
