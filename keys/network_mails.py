"""People are mailed when a key is used from a network that it was not seen from before."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from keys import mail_choice
from keys.models import ApiKey, KeySighting
from keys.telling import MAILS_AN_HOUR, Told, key_address, mail_to, who_answers_for

# Of one key, whose programs may move all the time; and of all keys of an account.
MAILS_A_DAY = 3
COUNTED_FOR = timedelta(days=1)
# A key keeps those that it was used from last.
NETWORKS_AT_MOST = 20
_AT_ONCE = 200


def tell_of_new_networks(*, at: datetime) -> int:
    """Mail whoever answers for keys that were used from somewhere new; answers how many were."""
    news = KeySighting.objects.filter(is_news=True).order_by("pk")
    told = 0
    for sighting in list(news.select_related("key__account")[:_AT_ONCE]):
        with transaction.atomic():
            this = KeySighting.objects.filter(pk=sighting.pk)
            if not this.filter(is_news=True).update(is_news=False):
                continue
            if _write(sighting, at=at):
                this.update(told_at=at)
                told += 1
            else:
                # Nobody would be told of the others that wait, either.
                sighting.key.sightings.filter(is_news=True).update(is_news=False)
            _keep_the_last(sighting.key, at=at)
    return told


def _keep_the_last(key: ApiKey, *, at: datetime) -> None:
    """No key has networks without end. What people were told of stays while it is counted."""
    newest = Window(RowNumber(), order_by=[F("last_at").desc(), F("id").desc()])
    ranked = key.sightings.exclude(network="").annotate(rank=newest)
    older = list(ranked.filter(rank__gt=NETWORKS_AT_MOST).values_list("pk", flat=True))
    lately = at - COUNTED_FOR
    key.sightings.filter(pk__in=older, is_news=False).exclude(told_at__gt=lately).delete()


def _write(sighting: KeySighting, *, at: datetime) -> bool:
    """Mail whoever answers for the key and wants to hear; whether it was one to be told of."""
    key = sighting.key
    told = KeySighting.objects.filter(told_at__lte=at)
    of_key = told.filter(key=key, told_at__gt=at - COUNTED_FOR).count()
    of_account = told.filter(key__account=key.account_id, told_at__gt=at - timedelta(hours=1))
    is_bounded = of_key >= MAILS_A_DAY or of_account[:MAILS_AN_HOUR].count() >= MAILS_AN_HOUR
    if is_bounded or key.revoked_at is not None:
        return False
    is_last = of_key == MAILS_A_DAY - 1
    for member in mail_choice.who_wants_it(who_answers_for(key)):
        mail_to(member.user, key.account, lambda: _told(sighting, is_last=is_last))
    return True


def _told(sighting: KeySighting, *, is_last: bool) -> Told:
    key = sighting.key
    facts = [
        _("Key: %(masked)s") % {"masked": key.masked},
        _("When: %(moment)s UTC") % {"moment": date_format(sighting.first_at, "DATETIME_FORMAT")},
        _("From the address: %(address)s") % {"address": sighting.address},
        _("In the network: %(network)s") % {"network": sighting.network},
    ]
    if sighting.client:
        facts.append(_("Client: %(client)s") % {"client": sighting.client})
    sentences = [
        _(
            "As far back as we know, up to 90 days, this key was not used from there. If it is one "
            "of your programs in a new place, all is well."
        ),
        _(
            "If not, somebody else has the key: revoke it, and make another one for your program. "
            "A key can also be bound to the addresses that it may be used from."
        ),
    ]
    if is_last:
        sentences.append(
            _(
                "We send no more mails like this about this key for a day; its page shows the last "
                "networks."
            )
        )
    sentences.append(mail_choice.sentence())
    return Told(
        heading=_("Key “%(name)s” was used from a new network") % {"name": key.name},
        facts=facts,
        sentences=sentences,
        action=_("Look at this key"),
        url=key_address(key),
    )
