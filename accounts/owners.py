"""Who owns an account, and what they are told by mail whether or not they chose mail."""

from django.template.loader import render_to_string

from accounts import language, mails
from accounts.models import Account, Membership, User

# A team may be large; its owners are not.
_AT_MOST = 20


def owners_of(account: Account) -> list[User]:
    """Those who own it and may sign in."""
    owners = Membership.objects.filter(
        account=account, role=Membership.Role.OWNER, user__is_active=True
    )
    return [place.user for place in owners.select_related("user").order_by("pk")[:_AT_MOST]]


def tell_owners(account: Account, template: str, **said: object) -> None:
    """Mail every owner, each in their language, in the transaction of whoever says it.

    template: how the names of its subject, its text and its page begin.
    """
    context = {"account": account, **said}
    for owner in owners_of(account):
        with language.spoken_to(owner):
            subject = render_to_string(f"{template}_subject.txt", context).strip()
            message = mails.written(template, context, subject=subject, to=owner.email)
        message.send()
