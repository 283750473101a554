"""What members may do for an account, by their role. Decided here, and nowhere else."""

from enum import StrEnum

from accounts.models import Membership

Role = Membership.Role


class Act(StrEnum):
    """Something that is done for an account. Every page of the account area names one."""

    SEE_KEYS = "see keys"
    CHANGE_KEYS = "create and revoke keys"
    LET_KEYS_MANAGE = "make keys that manage the account's keys"
    SEE_USAGE = "see usage"
    SEE_MONEY = "see purchases, credits and plan"
    SPEND_MONEY = "buy"
    SWITCH_PACKS = "switch packs"
    SEE_AUDIT = "see what was done, by whom and from where"
    SEE_ALERTS = "see alerts and what became of them"
    CHOOSE_MAIL = "choose what mail they get themselves"
    CHANGE_ALERTS = "change what the account is told of, and its webhooks"


_EVERYTHING = frozenset(Act)

# Until there are pages for teams, whoever acts for an account is at home there. Where it tells
# servers of its use, and what others did, is for those who answer for it.
MAY: dict[str, frozenset[Act]] = {
    Role.OWNER: _EVERYTHING,
    Role.ADMIN: _EVERYTHING,
    Role.MEMBER: _EVERYTHING - {Act.CHANGE_ALERTS, Act.SEE_AUDIT, Act.LET_KEYS_MANAGE},
}


def may(membership: Membership, act: Act) -> bool:
    """Whether this member may do that for the account. A role that is not known may nothing."""
    return act in MAY.get(membership.role, frozenset())
