"""Why something was not delivered, or cannot be: written down in English, read in any language.

Nobody reads along where these are found: in a worker, or in a thread that asks name servers. So
each sentence stands here once, is kept as it stands, and is put into the language of whoever reads
it.
"""

from enum import StrEnum

from django.utils.translation import gettext_noop

from accounts.kept_sentences import reader_of


class Reason(StrEnum):
    """A sentence as it is written down, by `%` with what is named in it.

    Of two that one text could be, the narrower stands first.
    """

    # Of mails.
    WORKER_DIED = gettext_noop("The worker ended while it was sent: it may have arrived.")
    NO_MEMBER = gettext_noop("No longer a member of the account.")
    NOT_SO = gettext_noop("By then it was no longer so.")
    MAY_HAVE_ARRIVED = gettext_noop("It may have arrived (%(error)s).")
    MAIL_NOT_TAKEN = gettext_noop("The mail server did not take it (%(error)s).")
    # Of webhooks.
    IS_OFF = gettext_noop("The webhook was switched off or removed.")
    CANNOT_SIGN = gettext_noop("The secret of this webhook can no longer be made: rotate it.")
    OURS_TOOK_LONG = gettext_noop("it took us too long")
    NO_ANSWER = gettext_noop("no answer within %(seconds)s s")
    TLS_FAILED = gettext_noop("TLS failed: is its certificate in order?")
    NOT_REACHED = gettext_noop("cannot be reached")
    BROKE_OFF = gettext_noop("the connection broke off, or what came was no HTTP")
    REDIRECTED = gettext_noop("answered %(status)s: redirects are not followed")
    ANSWERED = gettext_noop("answered %(status)s")
    # Of their addresses.
    LONG_OR_ODD = gettext_noop(
        "Give an address of at most %(longest)s characters, all of them ASCII, no spaces."
    )
    NO_ADDRESS = gettext_noop("This is no address. Write it as https://example.com/path.")
    NO_HTTPS = gettext_noop("Give an address that begins with https:// and a host.")
    HAS_PASSWORD = gettext_noop("Leave name and password out: the signature says who we are.")
    HAS_FRAGMENT = gettext_noop("Leave out what follows the #: no server is ever told it.")
    PORT_0 = gettext_noop("Port 0 cannot be reached.")
    NOT_PUBLIC = gettext_noop("There is no server %(host)s on the public Internet.")


_in_words = reader_of(Reason)


def in_words(text: str) -> str:
    """What was written down, in the reader's language; what is none of these as it stands."""
    return _in_words(text)
