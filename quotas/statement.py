"""What became of an account's credits, line by line, for people to read."""

from dataclasses import dataclass
from datetime import datetime

from accounts.models import Account
from quotas.models.ledger import CreditEntry


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger. 1 credit is 1 US cent; negative when used."""

    kind_label: str
    note: str
    created_at: datetime
    credits: int


def last_lines(account: Account, *, at_most: int) -> list[Line]:
    """The newest lines of an account's ledger, the newest first."""
    return [
        Line(
            kind_label=str(CreditEntry.Kind(entry.kind).label),
            note=entry.note,
            created_at=entry.created_at,
            credits=entry.credits,
        )
        for entry in CreditEntry.objects.filter(account=account)[:at_most]
    ]
