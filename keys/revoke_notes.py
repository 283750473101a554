"""Why keys are revoked where no person says it: written down in English, read in any language."""

from django.utils.translation import gettext_noop

from accounts.kept_sentences import reader_of

LEAKED_AT = gettext_noop("reported as leaked at %(url)s")
LEAKED = gettext_noop("reported as leaked")

# What a person wrote stays as it is.
in_words = reader_of([LEAKED_AT, LEAKED])
