"""Why a request was refused, and what to do about it, in words for the people of the account.

Whoever sent the request is told less: see `gate.terms.reasons`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gate.terms.reasons import Outcome, Reason


@dataclass(frozen=True, slots=True)
class Explained:
    """What a reason is called, what was so, what to do, and on which page ("" for none)."""

    name: str
    why: str
    advice: str
    page: str = ""


REFUSALS: Mapping[str, Explained] = {
    Reason.QUOTA_EXHAUSTED: Explained(
        "Used up",
        "This week’s allowance, boosts and credits were used up.",
        "Add a Weekly Boost or credits, or wait until Monday 00:00 UTC.",
        "billing",
    ),
    Reason.ABOVE_PLAN_CAP: Explained(
        "Above the plan",
        "It takes more than the account can pay in any week.",
        "Waiting does not help: add a Weekly Boost or credits.",
        "billing",
    ),
    Reason.KEY_CAP_REACHED: Explained(
        "Key’s week used up",
        "The key had used up its own chats of the week.",
        "Use another key, or wait until Monday 00:00 UTC.",
        "keys",
    ),
    Reason.ABOVE_KEY_CAP: Explained(
        "Above the key",
        "It takes more than this key may ever use in a week.",
        "Waiting does not help: use another key.",
        "keys",
    ),
    Reason.NOT_PERMITTED: Explained(
        "Not permitted",
        "The key may not be used for this.",
        "Use a key that may.",
        "keys",
    ),
    Reason.INVALID_KEY: Explained(
        "Key ended",
        "The key was revoked, or had expired.",
        "Create another key and use that.",
        "keys",
    ),
    Reason.WRONG_ADDRESS: Explained(
        "Wrong address",
        "It came from an address that the key is not bound to. The caller was told that the key is "
        "invalid.",
        "If it was not you, revoke the key. If it was, create one for that address.",
        "keys",
    ),
    Reason.SUSPENDED: Explained(
        "Suspended",
        "The account was suspended.",
        "Write to us to have it looked at.",
    ),
    Outcome.TOO_MANY_HOLDS: Explained(
        "Too many at once",
        "1,000 answers were being made for the account.",
        "Wait until some are done, or settle what is held.",
    ),
}


def explained(reason: str) -> Explained:
    """The words for a reason; of one that a later release knows, the reason itself."""
    return REFUSALS.get(reason) or Explained(reason, f"The reason is {reason}.", "")
