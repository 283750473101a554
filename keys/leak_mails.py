"""What people read when a key of theirs was found in public: as text and as a page."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import language
from accounts.models import Membership, User
from accounts.roles import Act, may
from accounts.site_address import site_address
from keys.models import ApiKey

# A team may be large; who answers for it is not.
_AT_MOST = 20


def write(key: ApiKey, *, url: str, at: datetime) -> None:
    """Mail whoever answers for a key that is revoked this moment, each in their language.

    In the transaction of the caller: there is no mail without the revocation. Nobody chose whether
    to get it, because a program of theirs has stopped.
    """
    for person in _who_answers_for(key):
        with language.spoken_to(person):
            _mail(key, person, url=url, at=at).send()


def _who_answers_for(key: ApiKey) -> Sequence[User]:
    """Owners and admins of the account, and who made the key while they may still see keys."""
    answering = Q(role__in=[Membership.Role.OWNER, Membership.Role.ADMIN])
    members = Membership.objects.filter(
        answering | Q(user=key.created_by_id), account=key.account, user__is_active=True
    )
    members = members.select_related("user").order_by("pk")[:_AT_MOST]
    return [member.user for member in members if may(member, Act.SEE_KEYS)]


def _mail(key: ApiKey, person: User, *, url: str, at: datetime) -> EmailMultiAlternatives:
    context = {
        "key": key,
        "account": key.account,
        "url": url,
        "at": at,
        "key_url": site_address(reverse("key_edit", args=[key.pk])),
        "keys_url": site_address(reverse("keys")),
        "usage_url": site_address(reverse("usage")),
    }
    subject = _("Your key “%(name)s” was found in public and is revoked") % {"name": key.name}
    message = EmailMultiAlternatives(
        f"{subject} · {key.account.name}",
        render_to_string("keys/email/leaked_message.txt", context),
        settings.DEFAULT_FROM_EMAIL,
        [person.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    page = render_to_string("keys/email/leaked_message.html", context)
    message.attach_alternative(page, "text/html")
    return message
