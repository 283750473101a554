"""What people read when a key of theirs was found in public: as text and as a page."""

from datetime import datetime

from django.core.mail import EmailMultiAlternatives
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import language, mails
from accounts.models import User
from accounts.site_address import site_address
from keys.models import ApiKey
from keys.telling import who_answers_for


def write(key: ApiKey, *, url: str, at: datetime, is_former: bool = False) -> None:
    """Mail whoever answers for a key that is revoked this moment, each in their language.

    is_former: only the secret that it had before ends.

    In the transaction of the caller: there is no mail without the revocation. Nobody chose whether
    to get it, because a program of theirs has stopped.
    """
    for member in who_answers_for(key):
        with language.spoken_to(member.user):
            _mail(key, member.user, url=url, at=at, is_former=is_former).send()


def _mail(
    key: ApiKey, person: User, *, url: str, at: datetime, is_former: bool
) -> EmailMultiAlternatives:
    context = {
        "key": key,
        "is_former": is_former,
        "masked": key.former_masked if is_former else key.masked,
        "account": key.account,
        "url": url,
        "at": at,
        "key_url": site_address(reverse("key_edit", args=[key.pk])),
        "keys_url": site_address(reverse("keys")),
        "usage_url": site_address(reverse("usage")),
    }
    if is_former:
        subject = _("The old secret of your key “%(name)s” was found in public and has ended")
    else:
        subject = _("Your key “%(name)s” was found in public and is revoked")
    subject %= {"name": key.name}
    subject = f"{subject} · {key.account.name}"
    return mails.written("keys/email/leaked", context, subject=subject, to=person.email)
