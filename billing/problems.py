"""Why a payment was not accepted as it is: kept in English, read in any language."""

from django.utils.translation import gettext_noop

from accounts.kept_sentences import reader_of

_in_words = reader_of(
    (
        gettext_noop("another session claims it: %(session)s"),
        gettext_noop("paid %(paid)s cents instead of %(due)s"),
        gettext_noop("paid in %(paid)s instead of %(due)s"),
        gettext_noop("completed without a payment"),
        gettext_noop("the session belongs to another account"),
        gettext_noop("test and live mode do not match"),
        gettext_noop("Stripe does not know this session"),
        gettext_noop("not decided after %(days)s days"),
        gettext_noop("its price is of no plan"),
        gettext_noop("the account has another subscription as well"),
        gettext_noop("Stripe does not know it"),
    )
)


def in_words(text: str) -> str:
    """The problems of a purchase, of which there may be several, in the reader's language."""
    return "; ".join(_in_words(problem) for problem in text.split("; "))
