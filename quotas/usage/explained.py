"""Why a request was refused, and what to do about it, in words for the people of the account.

Whoever sent the request is told less: see `gate.terms.reasons`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _
from django_stubs_ext import StrOrPromise

from gate.terms.reasons import Outcome, Reason


@dataclass(frozen=True, slots=True)
class Explained:
    """What a reason is called, what was so, what to do, and on which page ("" for none)."""

    name: StrOrPromise
    why: StrOrPromise
    advice: StrOrPromise
    page: str = ""


REFUSALS: Mapping[str, Explained] = {
    Reason.QUOTA_EXHAUSTED: Explained(
        _("Used up"),
        _("This week’s allowance, boosts and credits were used up."),
        _("Add a Weekly Boost or credits, or wait until Monday 00:00 UTC."),
        "billing",
    ),
    Reason.ABOVE_PLAN_CAP: Explained(
        _("Above the plan"),
        _("It takes more than the account can pay in any week."),
        _("Waiting does not help: add a Weekly Boost or credits."),
        "billing",
    ),
    Reason.KEY_CAP_REACHED: Explained(
        _("Key’s week used up"),
        _("The key had used up its own chats of the week."),
        _("Use another key, or wait until Monday 00:00 UTC."),
        "keys",
    ),
    Reason.ABOVE_KEY_CAP: Explained(
        _("Above the key"),
        _("It takes more than this key may ever use in a week."),
        _("Waiting does not help: use another key."),
        "keys",
    ),
    Reason.NOT_PERMITTED: Explained(
        _("Not permitted"),
        _("The key may not be used for this, or the plan has not this endpoint."),
        _("Use a key that may, or choose a plan that has it."),
        "keys",
    ),
    Reason.MODEL_NOT_PERMITTED: Explained(
        _("Another model"),
        _("The key names the models that it may ask, and this is none of them."),
        _("Ask one of those, or let the key ask this one, too."),
        "keys",
    ),
    Reason.INVALID_KEY: Explained(
        _("Key ended"),
        _("The key was revoked, or had expired."),
        _("Create another key and use that."),
        "keys",
    ),
    Reason.WRONG_ADDRESS: Explained(
        _("Wrong address"),
        _(
            "It came from an address that the key is not bound to. The caller was told that the "
            "key is invalid."
        ),
        _("If it was not you, revoke the key. If it was, create one for that address."),
        "keys",
    ),
    Reason.SUSPENDED: Explained(
        _("Suspended"),
        _("The account was suspended."),
        _("Write to us to have it looked at."),
    ),
    Reason.SPENDING_STOPPED: Explained(
        _("Spending stopped"),
        _(
            "This week’s allowance was used up, and “Spending” of the account or of the key stops "
            "there."
        ),
        _("Let boosts and credits pay, for the account or the key, or wait until the new week."),
        "spending",
    ),
    Reason.CREDITS_SWITCHED_OFF: Explained(
        _("Credits off"),
        _(
            "This week’s allowance and boosts were used up, and “Spending” of the account or of "
            "the key uses no credits."
        ),
        _("Let credits pay, for the account or the key, add a Weekly Boost, or wait."),
        "spending",
    ),
    Reason.CREDIT_CEILING_WEEK: Explained(
        _("Credits of the week"),
        _(
            "It takes more credits than “Spending” of the account or of the key had left for "
            "the week."
        ),
        _("Raise the ceiling, for the account or the key, or wait until the new week."),
        "spending",
    ),
    Reason.CREDIT_CEILING_MONTH: Explained(
        _("Credits of the month"),
        _(
            "It takes more credits than “Spending” of the account or of the key had left for "
            "the month."
        ),
        _("Raise the ceiling, for the account or the key, or wait until the new month."),
        "spending",
    ),
    Reason.REQUEST_TOO_LARGE: Explained(
        _("Request too large"),
        _(
            "It asks for more units at once than “Spending” of the account or of the key allows "
            "in one request."
        ),
        _("Waiting does not help: ask for fewer, or raise the ceiling."),
        "spending",
    ),
    Reason.KEY_BUDGET_REACHED: Explained(
        _("Key’s budget used up"),
        _("It takes more than the key had left of its chats a day, a month or in all."),
        _("Let the key use more, use another one, or wait until the day or month is over."),
        "keys",
    ),
    Reason.MEMBER_BUDGET_REACHED: Explained(
        _("Member’s budget used up"),
        _(
            "It takes more than whoever made the key had left of what all their keys may use in a "
            "day, a week or a month."
        ),
        _("Let them use more, or wait until the day, week or month is over."),
        "team",
    ),
    Reason.RATE_LIMITED: Explained(
        _("Too many a minute"),
        _(
            "The key, or all keys of the account, had made as many requests as may pass in a "
            "minute."
        ),
        _("Ask more slowly, as Retry-After says, or let the key do more a minute."),
        "keys",
    ),
    Reason.TOO_MANY_AT_ONCE: Explained(
        _("Too many of the key at once"),
        _("As many requests of the key, or of the account, were being answered as may be."),
        _("Wait until one is done, or let the key have more at the same time."),
        "keys",
    ),
    Outcome.TOO_MANY_HOLDS: Explained(
        _("Too many at once"),
        _("1,000 answers were being made for the account."),
        _("Wait until some are done, or settle what is held."),
    ),
}


def explained(reason: str) -> Explained:
    """The words for a reason; of one that a later release knows, the reason itself."""
    return REFUSALS.get(reason) or Explained(
        reason, _("The reason is %(reason)s.") % {"reason": reason}, ""
    )
