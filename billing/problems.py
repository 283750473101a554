"""Why something about money did not go as it should: kept in English, read in any language."""

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
        gettext_noop("paid after its account was closed"),
        gettext_noop("its account is closed"),
    )
)


def in_words(text: str) -> str:
    """The problems of a purchase, of which there may be several, in the reader's language."""
    return "; ".join(_in_words(problem) for problem in text.split("; "))


of_a_refund = reader_of(
    (
        gettext_noop("Stripe says that it failed"),
        gettext_noop("Stripe says that it was canceled"),
        gettext_noop("all of it was returned already"),
        gettext_noop("a bank has taken the payment back, or may: it cannot be returned as well"),
        gettext_noop("less than that is left to return"),
        gettext_noop("the balance at Stripe is too low; add to it there, then return the payment"),
        gettext_noop("Stripe has no payment under this session"),
        gettext_noop("Stripe does not let our key return payments: give it the right to refunds"),
        gettext_noop("Stripe does not do it: %(why)s"),
    )
)

of_an_event = reader_of(
    (
        gettext_noop("nothing here depends on events of this type"),
        gettext_noop("the event names no payment"),
        gettext_noop("the event names no session"),
        gettext_noop("the payment came by no session of Checkout"),
        gettext_noop("the session is of no purchase of ours"),
        gettext_noop("the session is of a purchase that is not known"),
        gettext_noop("the purchase has another session"),
        gettext_noop("Stripe does not know this session"),
        gettext_noop("Stripe refuses what was asked: %(what)s"),
        gettext_noop("Stripe refuses our key for %(right)s: %(error)s"),
        gettext_noop("Stripe gave no answer: %(error)s"),
    )
)
